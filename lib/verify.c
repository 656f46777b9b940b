// SPDX-License-Identifier: LGPL-2.1-or-later
/* Comparing the legs of a job: the kernel does it, see kmod/bc-verify.h. */
#include <inttypes.h>

#include "internal.h"

static int no_verify(struct blockcopy *bc, const struct bcl_job *j)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, -EOPNOTSUPP,
			"%s: found a kernel module that cannot compare, needed a newer one",
			j->dev.name);
}

/* The job under the lock, of a module that can verify. */
static int lock_job(struct blockcopy *bc, const char *name, struct bcl_job *ret, int *ret_lock)
{
	int r = bcl_job_lock(bc, name, ret, ret_lock);

	return r == 0 && !*ret->status.verify ? no_verify(bc, ret) : r;
}

static bool runs(const struct bcl_job *j)
{
	return !strcmp(j->status.verify, BLOCKCOPY_VERIFY_RUNNING);
}

int blockcopy_verify(struct blockcopy *bc, const char *name, bool repair, uint64_t bytes_per_s)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_close_ int lock = -1;
	int r;

	bcl_begin(bc);
	r = lock_job(bc, name, &j, &lock);
	if (r < 0)
		return r;
	if (runs(&j))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found it being verified already, needed that to end", j.dev.name);
	r = bcl_job_message(bc, &j.dev, "verify%s bandwidth %" PRIu64, repair ? " repair" : "",
			    bytes_per_s);
	if (r == -EBUSY)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, r,
				"%s: found the job %s%s, needed one that copies or is ready",
				j.dev.name, bcl_state_to_string(j.status.state),
				j.dev.suspended ? " and its device suspended" : "");
	return r;
}

int blockcopy_verify_stop(struct blockcopy *bc, const char *name)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_close_ int lock = -1;
	int r;

	bcl_begin(bc);
	r = lock_job(bc, name, &j, &lock);
	if (r < 0 || !runs(&j))
		return r;
	r = bcl_job_message(bc, &j.dev, "verify stop");
	/* It has ended just now. */
	if (r == -EBUSY) {
		bcl_begin(bc);
		r = 0;
	}
	return r;
}

/* Return: 1 done, 0 it runs, -errno. */
static int judge(struct blockcopy *bc, const struct bcl_job *j)
{
	if (runs(j))
		return 0;
	if (!strcmp(j->status.verify, BLOCKCOPY_VERIFY_DONE))
		return 1;
	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -ECANCELED,
			"%s: verify was stopped after %" PRIu64 " of %" PRIu64 " bytes (job is %s)",
			j->dev.name, j->status.verify_bytes, j->status.verify_total_bytes,
			bcl_state_to_string(j->status.state));
}

static int not_done(struct blockcopy *bc, const struct bcl_job *j, long long s)
{
	return bcl_fail(bc, BLOCKCOPY_TIMED_OUT, -ETIMEDOUT,
			"%s: only %" PRIu64 " of %" PRIu64 " bytes were compared after %lld s",
			j->dev.name, j->status.verify_bytes, j->status.verify_total_bytes, s);
}

int blockcopy_verify_wait(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
			  blockcopy_progress_fn progress, void *userdata)
{
	static const struct bcl_wait_what done = { judge, not_done };

	bcl_begin(bc);
	return bcl_wait_for(bc, name, timeout_ms, interval_ms, progress, userdata, &done);
}

static int by_offset(const void *a, const void *b)
{
	const struct blockcopy_range *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Lines of "<start> <len>", sectors. */
static int parse_ranges(struct blockcopy *bc, const char *name, char *text,
			struct blockcopy_range **ret_ranges, size_t *ret_n)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	struct blockcopy_range *ranges;
	uint64_t start, len;
	size_t n;
	int r;

	for (char *p = text; (p = strchr(p, '\n')); )
		*p = ' ';
	r = bcl_words_split(text, &w);
	if (r < 0)
		return r == -ENOMEM ? bcl_oom(bc) :
			bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: found an unreadable list of ranges", name);
	ranges = calloc(w.n / 2 + 1, sizeof(*ranges));
	if (!ranges)
		return bcl_oom(bc);
	for (n = 0; n < w.n / 2; n++) {
		if (bcl_parse_u64(w.word[2 * n], &start) || bcl_parse_u64(w.word[2 * n + 1], &len)) {
			free(ranges);
			return bcl_fail(bc, BLOCKCOPY_FAILED, -EBADMSG,
					"%s: found \"%s %s\" in the list of ranges, needed two numbers",
					name, w.word[2 * n], w.word[2 * n + 1]);
		}
		ranges[n] = (struct blockcopy_range) { start * 512, len * 512 };
	}
	qsort(ranges, n, sizeof(*ranges), by_offset);
	*ret_ranges = ranges;
	*ret_n = n;
	return 0;
}

int blockcopy_verify_ranges(struct blockcopy *bc, const char *name,
			    struct blockcopy_range **ret_ranges, size_t *ret_n)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_free_ char *answer = NULL;
	int r;

	bcl_begin(bc);
	r = bcl_job_find(bc, name, &j);
	if (r == 0 && !*j.status.verify)
		r = no_verify(bc, &j);
	if (r == 0)
		r = bcl_dm_ask(bc, j.dev.name, "verify ranges", &answer);
	return r < 0 ? r : parse_ranges(bc, j.dev.name, answer, ret_ranges, ret_n);
}

int blockcopy_verify_check(struct blockcopy *bc, const char *name)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	int r;

	bcl_begin(bc);
	r = bcl_job_find(bc, name, &j);
	if (r < 0)
		return r;
	if (j.status.verify_differing_bytes)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EUCLEAN,
				"%s: found the destination to differ in %" PRIu64 " bytes, in %" PRIu64
				" ranges, needed it equal; `blockcopy verify %s --repair` copies them again",
				j.dev.name, j.status.verify_differing_bytes, j.status.verify_ranges,
				j.dev.name);
	if (j.status.verify_unread_bytes)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EIO,
				"%s: found %" PRIu64 " bytes that could not be read, needed all to be compared",
				j.dev.name, j.status.verify_unread_bytes);
	return 0;
}

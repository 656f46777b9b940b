// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The two good ends: pivot and finish. The kernel does the switch, we take the target out
 * afterwards.
 */
#include "internal.h"

struct how {
	const char *message;
	const char *word;		/* after the time, "" for none */
	const char *verb;
	bool (*is_done)(const struct bcl_job *j);
	bool (*may_begin)(const struct bcl_job *j);
	int (*check)(struct blockcopy *bc, const struct bcl_job *j);	/* before */
	int (*end)(struct blockcopy *bc, struct bcl_job *j);
};

static bool is_pivoted(const struct bcl_job *j)
{
	return j->status.state == BLOCKCOPY_STATE_ID_PIVOTED;
}

static bool is_finished(const struct bcl_job *j)
{
	return j->status.state == BLOCKCOPY_STATE_ID_FINISHED;
}

static bool is_ready(const struct bcl_job *j)
{
	return j->status.state == BLOCKCOPY_STATE_ID_READY && !j->status.paused;
}

bool bcl_is_way_back(const struct bcl_job *j)
{
	return j->status.reversals % 2 && !is_pivoted(j) && !is_finished(j);
}

/* Can it be written down what is about to become of the job? */
static int check_record(struct blockcopy *bc, const struct bcl_job *j)
{
	if (!j->args.metadata || !strcmp(j->status.metadata, "ok") || bc->force)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EIO,
			"%s: found its metadata device %s %s, needed it to take the record: at the next "
			"boot it would say what is not true any more (--force goes on without; do not use "
			"it then)", j->dev.name, j->args.metadata, j->status.metadata);
}

static const struct how how_pivot = {
	"complete", "", "pivot", is_pivoted, is_ready, check_record, bcl_end_on_destination,
};

static int check_keep(struct blockcopy *bc, const struct bcl_job *j)
{
	if (!j->args.metadata)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EOPNOTSUPP,
			"%s: found a job with metadata on %s, needed one without to keep its source: "
			"at the next boot that would not know which of the two has the data",
			j->dev.name, j->args.metadata);
}

/* The job goes on, the other way round. */
static int end_keep(struct blockcopy *bc, struct bcl_job *j)
{
	(void)bc;
	(void)j;
	return 0;
}

static const struct how how_keep = {
	"complete", " reverse", "pivot", bcl_is_way_back, is_ready, check_keep, end_keep,
};

/* What the kernel checks as well; but it does not say it to the user. */
static int check_source_failed(struct blockcopy *bc, const struct bcl_job *j)
{
	if (!bcl_is_way_back(j))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EINVAL,
				"%s: found a job that copies from the device's first disk, needed one that "
				"pivot --keep-source has left, to go back without the source", j->dev.name);
	if (!j->status.source_only_bytes || bc->force)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EIO,
			"%s: found regions of %llu bytes with acknowledged writes that its destination %s may "
			"lack, needed none (--force goes back without them)", j->dev.name,
			(unsigned long long)j->status.source_only_bytes, j->args.destination);
}

static const struct how how_source_failed = {
	"complete", " source-failed", "go back", is_pivoted, bcl_is_way_back, check_source_failed,
	bcl_end_on_destination,
};

/* The destination is closed with the job's table; somebody else may have it open. */
static int end_finish(struct blockcopy *bc, struct bcl_job *j)
{
	if (bcl_job_show_copy(bc, j) < 0)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING, "%s", blockcopy_error_message(bc));
	bcl_begin(bc);
	return bcl_end_on_source(bc, j);
}

static const struct how how_finish = {
	"finish", "", "finish", is_finished, is_ready, check_record, end_finish,
};

static const struct how how_finish_tracking = {
	"finish", "", "finish", is_finished, is_ready, bcl_tracking_check, bcl_tracking_begin,
};

static int not_ready(struct blockcopy *bc, const struct how *how, const struct bcl_job *j)
{
	bool error = j->status.state == BLOCKCOPY_STATE_ID_FAILED || bcl_job_paused_by_error(j);

	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
			"%s: found the job %s%s%s%s%s, needed it ready to %s", j->dev.name,
			bcl_state_to_string(j->status.state), j->status.paused ? " and paused" : "",
			error ? " (" : "", error ? bcl_job_why(j) : "", error ? ")" : "",
			how->verb);
}

static int done_the_other_way(struct blockcopy *bc, const struct how *how, const struct bcl_job *j)
{
	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EALREADY,
			"%s: found the job %s already, needed it ready to %s; `blockcopy %s "
			"%s` takes it down",
			j->dev.name, bcl_state_to_string(j->status.state), how->verb,
			bcl_is_tracking(j) ? "abort" : "recover", j->dev.name);
}

/* Limits of the destination, where both legs have some to compare. */
static int check_limits(struct blockcopy *bc, const struct bcl_job *j)
{
	dev_t destination;

	if (bcl_parse_devno(j->args.destination, &destination) < 0)
		return 0;
	return bcl_destination_compare_limits(bc, j->dev.dev, destination);
}

/* Send the message, unless that was done before. The caller holds the lock. */
static int request(struct blockcopy *bc, const struct how *how, struct bcl_job *j,
		   unsigned int max_blackout_ms)
{
	int r;

	if (how->is_done(j) || j->status.state == BLOCKCOPY_STATE_ID_COMPLETING)
		return 0;
	if (is_pivoted(j) || is_finished(j))
		return done_the_other_way(bc, how, j);
	if (!how->may_begin(j))
		return not_ready(bc, how, j);
	if (how == &how_pivot || how == &how_keep) {
		r = check_limits(bc, j);
		if (r < 0)
			return r;
	}
	/* The kernel does not complete beside a second job table that was loaded. */
	bcl_clear_loaded_job(bc, &j->dev);
	bcl_clear_loaded_source(bc, j);
	r = bcl_job_message(bc, &j->dev, "%s %u%s%s", how->message, max_blackout_ms, how->word,
			    !bc->force ? "" : how == &how_source_failed ? " lossy" :
			    j->args.metadata ? " unrecorded" : "");
	/* Ready a moment ago: an error or a pause came in between. */
	if (r == -EBUSY)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
				"%s: the kernel does not %s it now: it is not ready any more, a verify "
				"runs, or another table is loaded beside it", j->dev.name, how->verb);
	return r;
}

static int complete(struct blockcopy *bc, const struct how *how, const char *name,
		    unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	_cleanup_(bcl_job_done) struct bcl_job before = {}, after = {};
	_cleanup_close_ int lock = -1;
	int r;

	bcl_begin(bc);
	if (max_blackout_ms < BLOCKCOPY_HOLD_MS_MIN || max_blackout_ms > BLOCKCOPY_HOLD_MS_MAX)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"max-blackout: found %u ms, needed %d to %d", max_blackout_ms,
				BLOCKCOPY_HOLD_MS_MIN, BLOCKCOPY_HOLD_MS_MAX);
	/* Held to the end, so that no abort comes between the switch and the swap. */
	r = bcl_job_lock(bc, name, &before, &lock);
	/* What is done already only lacks its end. */
	if (r == 0 && !how->is_done(&before))
		r = how->check(bc, &before);
	if (r == 0)
		r = request(bc, how, &before, max_blackout_ms);
	if (r == 0)
		r = bcl_wait_completed(bc, &before.dev, &after);
	if (r < 0)
		return r;

	if (!how->is_done(&after) && (is_pivoted(&after) || is_finished(&after)))
		return done_the_other_way(bc, how, &after);
	if (!how->is_done(&after))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
				"%s: no %s: %s: %s (job is %s, writes were held %llu us of at most "
				"%u ms)",
				after.dev.name, how->verb, after.status.error, bcl_job_why(&after),
				bcl_state_to_string(after.status.state),
				(unsigned long long)after.status.blackout_us, max_blackout_ms);
	r = how->end(bc, &after);
	if (r < 0)
		return r;
	*ret_blackout_us = after.status.blackout_us;
	return 0;
}

int blockcopy_pivot(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		    uint64_t *ret_blackout_us)
{
	return complete(bc, &how_pivot, name, max_blackout_ms, ret_blackout_us);
}

int blockcopy_pivot_keep_source(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
				uint64_t *ret_blackout_us)
{
	return complete(bc, &how_keep, name, max_blackout_ms, ret_blackout_us);
}

int blockcopy_pivot_source_failed(struct blockcopy *bc, const char *name,
				  unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	return complete(bc, &how_source_failed, name, max_blackout_ms, ret_blackout_us);
}

int blockcopy_finish(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		     uint64_t *ret_blackout_us)
{
	return complete(bc, &how_finish, name, max_blackout_ms, ret_blackout_us);
}

int blockcopy_finish_tracking(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
			      uint64_t *ret_blackout_us)
{
	return complete(bc, &how_finish_tracking, name, max_blackout_ms, ret_blackout_us);
}

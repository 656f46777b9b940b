// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The two good ends: pivot and finish, of one job or of a group. The kernel does the switch, we take
 * the target out afterwards.
 */
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

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

/* The job goes on, the other way round: there is no end. */
static const struct how how_keep = {
	"complete", " reverse", "pivot", bcl_is_way_back, is_ready, check_keep, NULL,
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

	if (j->status.unread_bytes)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
				"%s: found %" PRIu64 " bytes of its source that cannot be read, needed all of it "
				"copied to %s; `blockcopy map %s --unread` lists them, and a write there may "
				"heal them", j->dev.name, j->status.unread_bytes, how->verb, j->dev.name);
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

/*
 * Those that complete together, in the order of their device numbers: two groups that have members in
 * common wait for each other's locks, and never in a circle.
 */
struct member {
	const char *name;
	size_t nr;		/* as the caller gave it */
	struct bcl_job job;	/* as seen last */
	bool gone;		/* it has no job any more */
	int lock;
};

struct group {
	struct member *members;
	size_t n;
};

static void group_done(struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		bcl_job_done(&g->members[i].job);
		if (g->members[i].lock >= 0)
			close(g->members[i].lock);
	}
	free(g->members);
}

static int by_device(const void *a, const void *b)
{
	dev_t x = ((const struct member *)a)->job.dev.dev, y = ((const struct member *)b)->job.dev.dev;

	return (x > y) - (x < y);
}

static int find_members(struct blockcopy *bc, const char *const *names, size_t n, struct group *g)
{
	int r;

	g->members = calloc(n, sizeof(*g->members));
	if (!g->members)
		return bcl_oom(bc);
	for (size_t i = 0; i < n; i++) {
		g->members[i] = (struct member) { .name = names[i], .nr = i, .lock = -1 };
		g->n++;
		r = bcl_device_find(bc, names[i], &g->members[i].job.dev);
		if (r < 0)
			return r;
	}
	qsort(g->members, n, sizeof(*g->members), by_device);
	for (size_t i = 1; i < n; i++)
		if (!by_device(&g->members[i - 1], &g->members[i]))
			return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
					"%s: found it twice in the group (%s, %s), needed it once",
					g->members[i].job.dev.name, g->members[i - 1].name,
					g->members[i].name);
	return 0;
}

/* Lock them all, and see how far each is; one that is on its way ends first. */
static int lock_members(struct blockcopy *bc, struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];
		struct bcl_dm_info dev;
		int r = bcl_device_lock(bc, m->name, &dev, &m->lock);

		if (r == 0)
			r = bcl_job_read(bc, &dev, &m->job);
		if (r < 0)
			return r;
		m->gone = r == 0;
	}
	for (size_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];
		struct bcl_dm_info dev = m->job.dev;
		int r;

		if (m->gone || m->job.status.state != BLOCKCOPY_STATE_ID_COMPLETING)
			continue;
		bcl_job_done(&m->job);
		r = bcl_wait_completed(bc, &dev, &m->job);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Can it be asked for, and will it be right? */
static int check_member(struct blockcopy *bc, const struct how *how, const struct bcl_job *j)
{
	int r = how->check(bc, j);

	if (r < 0)
		return r;
	if (is_pivoted(j) || is_finished(j))
		return done_the_other_way(bc, how, j);
	if (!how->may_begin(j))
		return not_ready(bc, how, j);
	return how == &how_pivot || how == &how_keep ? check_limits(bc, j) : 0;
}

/*
 * All of them are ready: 1. All of them have done it, and lack their end; or had that, too, by a call that
 * was interrupted before it came to the others: 0.
 */
static int check_members(struct blockcopy *bc, const struct how *how, const struct group *g)
{
	const struct member *done = NULL, *ready = NULL, *gone = NULL;
	bool tracks = false;

	for (size_t i = 0; i < g->n; i++) {
		const struct member *m = &g->members[i];
		int r;

		if (m->gone) {
			gone = m;
		} else if (how->is_done(&m->job)) {
			done = m;
			tracks = tracks || bcl_is_tracking(&m->job);
		} else {
			ready = m;
			r = check_member(bc, how, &m->job);
			if (r < 0)
				return r;
		}
	}
	/* One that tracks may have finished days ago: that says nothing about the others. */
	if (gone && !ready && tracks)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO,
				"%s: no copy job on this device, and %s may have finished without it, as one "
				"that tracks; if it is of this group, `blockcopy finish %s` does the rest",
				gone->name, done->job.dev.name, done->job.dev.name);
	if (gone && (ready || !done)) {
		struct bcl_job none;
		int r = bcl_job_find(bc, gone->name, &none);

		if (r == 0)
			bcl_job_done(&none);
		return r < 0 ? r : -EAGAIN;
	}
	if (ready && done)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EALREADY,
				"%s: found it %s already, and %s %s; needed both ready, for one instant "
				"(`blockcopy recover %s` takes the first one down)",
				done->job.dev.name, bcl_state_to_string(done->job.status.state),
				ready->job.dev.name, bcl_state_to_string(ready->job.status.state),
				done->job.dev.name);
	return ready ? 1 : 0;
}

static int send_message(struct blockcopy *bc, const struct how *how, const struct group *g,
			const struct bcl_job *j, unsigned int max_blackout_ms, uint64_t id)
{
	const char *force = !bc->force ? "" : how == &how_source_failed ? " lossy" :
			    j->args.metadata ? " unrecorded" : "";
	int r;

	if (g->n == 1)
		r = bcl_job_message(bc, &j->dev, "%s %u%s%s", how->message, max_blackout_ms, how->word, force);
	else
		r = bcl_job_message(bc, &j->dev, "%s %u%s group %" PRIu64 " %zu", how->message,
				    max_blackout_ms, force, id, g->n);
	/* Ready a moment ago: an error or a pause came in between. */
	if (r == -EBUSY)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
				"%s: the kernel does not %s it now: it is not ready any more, a verify "
				"runs, or another table is loaded beside it", j->dev.name, how->verb);
	if (r == -EINVAL && g->n > 1)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r,
				"%s: the kernel does not %s it together with others: needed a module "
				"that knows groups", j->dev.name, how->verb);
	return r;
}

/* Ask for it. The kernel does it for all, or for none. Return: 0, also where some have said no since. */
static int request(struct blockcopy *bc, const struct how *how, struct group *g,
		   unsigned int max_blackout_ms)
{
	struct bcl_saved_error saved = {};
	int r = 0, ret = 0;
	size_t sent;
	uint64_t id;

	/* Two groups of one number at a time would be one, of the wrong size. */
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "no random number for the group");
	/* The kernel does not complete beside a second job table that was loaded. */
	for (size_t i = 0; i < g->n; i++) {
		bcl_clear_loaded_job(bc, &g->members[i].job.dev);
		bcl_clear_loaded_source(bc, &g->members[i].job);
	}
	for (sent = 0; sent < g->n && r == 0; sent++)
		r = send_message(bc, how, g, &g->members[sent].job, max_blackout_ms, id);
	if (r < 0) {
		ret = r;
		sent--;
	}
	/* The first failure is told. All others are looked at all the same, they may have done it. */
	for (size_t i = 0; i < sent; i++) {
		struct bcl_job after = {};

		if (ret < 0)
			bcl_error_save(bc, &saved);
		r = bcl_wait_completed(bc, &g->members[i].job.dev, &after);
		if (ret < 0)
			bcl_error_restore(bc, &saved);
		else
			ret = r;
		if (r < 0)
			continue;
		bcl_job_done(&g->members[i].job);
		g->members[i].job = after;
	}
	return ret;
}

/* Why not: the member that has a reason of its own, if there is one. */
static int not_done(struct blockcopy *bc, const struct how *how, const struct group *g,
		    unsigned int max_blackout_ms)
{
	const struct bcl_job *why = NULL;

	for (size_t i = 0; i < g->n; i++) {
		const struct bcl_job *j = &g->members[i].job;

		if (g->members[i].gone || how->is_done(j))
			continue;
		if (is_pivoted(j) || is_finished(j))
			return done_the_other_way(bc, how, j);
		if (!why || !strcmp(why->status.error, BLOCKCOPY_ERROR_GROUP))
			why = j;
	}
	if (!why)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EAGAIN,
			"%s: no %s: %s: %s (job is %s, writes were held %llu us of at most %u ms)",
			why->dev.name, how->verb, why->status.error, bcl_job_why(why),
			bcl_state_to_string(why->status.state),
			(unsigned long long)why->status.blackout_us, max_blackout_ms);
}

/* Take the target out of each that has done it, whatever becomes of the others. */
static int end_all(struct blockcopy *bc, const struct how *how, struct group *g)
{
	struct bcl_saved_error saved = {};
	int r, ret = 0;

	for (size_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];

		if (m->gone || !how->end || !how->is_done(&m->job))
			continue;
		if (ret < 0)
			bcl_error_save(bc, &saved);
		r = how->end(bc, &m->job);
		if (ret < 0)
			bcl_error_restore(bc, &saved);
		else
			ret = r;
	}
	return ret;
}

static int complete(struct blockcopy *bc, const struct how *how, const char *const *names, size_t n,
		    unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	_cleanup_(group_done) struct group g = {};
	struct bcl_saved_error saved;
	int r, ended;

	bcl_begin(bc);
	if (max_blackout_ms < BLOCKCOPY_HOLD_MS_MIN || max_blackout_ms > BLOCKCOPY_HOLD_MS_MAX)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"max-blackout: found %u ms, needed %d to %d", max_blackout_ms,
				BLOCKCOPY_HOLD_MS_MIN, BLOCKCOPY_HOLD_MS_MAX);
	if (n < 1 || n > BLOCKCOPY_GROUP_MAX)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "group: found %zu devices, needed 1 to %d",
				n, BLOCKCOPY_GROUP_MAX);
	/* The locks are held to the end, so that no abort comes between the switch and the swap. */
	r = find_members(bc, names, n, &g);
	if (r == 0)
		r = lock_members(bc, &g);
	/* What is done already only lacks its end. */
	if (r == 0)
		r = check_members(bc, how, &g);
	if (r < 0)
		return r;
	if (r > 0)
		r = request(bc, how, &g, max_blackout_ms);
	if (r == 0)
		r = not_done(bc, how, &g, max_blackout_ms);
	if (r < 0)
		bcl_error_save(bc, &saved);
	ended = end_all(bc, how, &g);
	if (r < 0)
		bcl_error_restore(bc, &saved);
	if (r < 0 || ended < 0)
		return r < 0 ? r : ended;
	for (size_t i = 0; i < n; i++)
		ret_blackout_us[g.members[i].nr] = g.members[i].gone ? UINT64_MAX :
						   g.members[i].job.status.blackout_us;
	return 0;
}

int blockcopy_pivot(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		    uint64_t *ret_blackout_us)
{
	return complete(bc, &how_pivot, &name, 1, max_blackout_ms, ret_blackout_us);
}

int blockcopy_pivot_keep_source(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
				uint64_t *ret_blackout_us)
{
	return complete(bc, &how_keep, &name, 1, max_blackout_ms, ret_blackout_us);
}

int blockcopy_pivot_source_failed(struct blockcopy *bc, const char *name,
				  unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	return complete(bc, &how_source_failed, &name, 1, max_blackout_ms, ret_blackout_us);
}

int blockcopy_finish(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		     uint64_t *ret_blackout_us)
{
	return complete(bc, &how_finish, &name, 1, max_blackout_ms, ret_blackout_us);
}

int blockcopy_finish_tracking(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
			      uint64_t *ret_blackout_us)
{
	return complete(bc, &how_finish_tracking, &name, 1, max_blackout_ms,
			ret_blackout_us);
}

int blockcopy_pivot_group(struct blockcopy *bc, const char *const *names, size_t n,
			  unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	return complete(bc, &how_pivot, names, n, max_blackout_ms, ret_blackout_us);
}

int blockcopy_finish_group(struct blockcopy *bc, const char *const *names, size_t n,
			   unsigned int max_blackout_ms, bool keep_tracking,
			   uint64_t *ret_blackout_us)
{
	return complete(bc, keep_tracking ? &how_finish_tracking : &how_finish, names, n,
			max_blackout_ms, ret_blackout_us);
}

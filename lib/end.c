// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How a job leaves the device: the swap back to the source, the swap to the destination, and
 * abort. Each can be repeated, and be done by another process than the one that began.
 */
#include <inttypes.h>
#include <unistd.h>

#include "internal.h"

/* How long a metadata device may take. */
#define DETACH_MS	3000

/*
 * With the job gone the helper has no user. To fail here would say that the swap failed, and it did
 * not.
 */
static void drop_helper(struct blockcopy *bc, const struct bcl_dm_info *helper)
{
	struct bcl_saved_error saved;

	bcl_error_save(bc, &saved);
	if (bcl_helper_remove(bc, helper) < 0)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING, "%s; `blockcopy recover` tries again",
			blockcopy_error_message(bc));
	bcl_error_restore(bc, &saved);
}

static bool is_detached(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};

	return bcl_job_read(bc, dev, &j) == 1 && !strcmp(j.status.metadata, "detached");
}

/*
 * From the swap on the source is written to without us: that is written down on the metadata device
 * before. A device that fails must not keep the job from ending.
 */
static void detach_metadata(struct blockcopy *bc, const struct bcl_job *j)
{
	int64_t until = bcl_now_ms() + DETACH_MS;
	struct bcl_saved_error saved;

	if (!j->args.metadata)
		return;
	bcl_error_save(bc, &saved);
	if (bcl_job_message(bc, &j->dev, "detach") == 0)
		while (!is_detached(bc, &j->dev) && bcl_now_ms() < until)
			usleep(5000);
	if (!is_detached(bc, &j->dev))
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: its metadata device %s does not answer, do not go on from it with "
			"--sync bitmap", j->dev.name, j->args.metadata);
	bcl_error_restore(bc, &saved);
}

int bcl_end_on_source(struct blockcopy *bc, struct bcl_job *j)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	struct bcl_dm_info helper;
	bool has_helper;
	int r;

	r = bcl_source_table(bc, &j->args, j->len, &helper, &has_helper, &t);
	if (r == 0) {
		detach_metadata(bc, j);
		r = bcl_swap(bc, &j->dev, t);
	}
	if (r == 0 && has_helper)
		drop_helper(bc, &helper);
	return r;
}

int bcl_end_on_destination(struct blockcopy *bc, struct bcl_job *j)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL, *unused = NULL;
	_cleanup_free_ char *params = NULL;
	struct bcl_saved_error saved;
	struct bcl_dm_info helper;
	bool has_helper = false;
	int r;

	params = bcl_asprintf("%s %" PRIu64, j->args.destination, j->args.destination_offset);
	if (!params || bcl_table_new(&t) < 0 ||
	    bcl_table_add(t, 0, j->len, "linear", params) < 0)
		return bcl_oom(bc);
	/* A helper that cannot be read any more is no reason to stay on the target. */
	bcl_error_save(bc, &saved);
	(void)bcl_source_table(bc, &j->args, j->len, &helper, &has_helper, &unused);
	bcl_error_restore(bc, &saved);

	r = bcl_swap(bc, &j->dev, t);
	if (r == 0 && has_helper)
		drop_helper(bc, &helper);
	return r;
}

int blockcopy_abort(struct blockcopy *bc, const char *name, bool missing_ok)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r < 0)
		return r;
	r = bcl_job_read(bc, &dev, &j);
	if (r < 0)
		return r;
	if (r == 0) {
		/* What an interrupted start or abort left goes too. */
		if (bcl_helper_find(bc, &dev, &j.dev) > 0 && j.dev.open_count == 0)
			drop_helper(bc, &j.dev);
		bcl_begin(bc);
		if (missing_ok)
			return 0;
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no copy job on this device",
				dev.name);
	}
	/*
	 * The kernel would give a completion up for the swap; but when it is just done by then,
	 * the swap would take writes away that went to the destination. With the lock held nobody
	 * begins another one.
	 */
	if (j.status.state == BLOCKCOPY_STATE_ID_COMPLETING) {
		bcl_job_done(&j);
		r = bcl_wait_completed(bc, &dev, &j);
		if (r < 0)
			return r;
	}
	if (j.status.state == BLOCKCOPY_STATE_ID_PIVOTED)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EALREADY,
				"%s: found it pivoted already, needed a job that runs on its "
				"source; `blockcopy recover %s` completes the pivot",
				j.dev.name, j.dev.name);
	return bcl_end_on_source(bc, &j);
}

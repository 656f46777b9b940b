// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finish or undo what an interrupted controller left. What there can be:
 *
 *	killed in	leaves						recover
 *	start		a helper without user				removes it
 *	start		a job table in the inactive slot		clears it
 *	start		a job that is listing				everything is copied
 *	start		a metadata snapshot of a thin pool		releases it
 *	any resume	the device suspended				clears, resumes
 *	abort		the source table in the inactive slot		clears it, the job goes on
 *	pivot, finish	a job that is completing			waits for its end
 *	pivot		a job that is pivoted				linear over the destination
 *	finish		a job that is finished				the source table, unless it
 *									may be meant to track
 *	any end		the plain table, and the helper			removes the helper
 *	anything	a udev cookie					removes it
 *
 * A job that copies, is ready or failed is nobody's leftover, nor is one that is finished and has
 * metadata: `blockcopy abort` ends it.
 */
#include "cookie.h"
#include "destination/attachment.h"
#include "internal.h"
#include "less.h"

/* Resume a device that only an interrupted swap of ours can have left suspended. */
static int recover_suspended(struct blockcopy *bc, struct bcl_dm_info *dev, bool explicit_name,
			     unsigned int *deeds)
{
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL, *inactive = NULL;
	struct bcl_dm_info helper;
	bool ours = false;
	int r;

	if (!dev->suspended)
		return 0;
	if (dev->live_table) {
		r = bcl_dm_table(bc, dev->name, false, &live);
		if (r < 0)
			return r;
		ours = bcl_table_has(live, BLOCKCOPY_TARGET_NAME);
	}
	if (dev->inactive_table) {
		r = bcl_dm_table(bc, dev->name, true, &inactive);
		if (r < 0)
			return r;
		ours = ours || bcl_table_has(inactive, BLOCKCOPY_TARGET_NAME);
	}
	ours = ours || bcl_is_helper(dev) || bcl_helper_find(bc, dev, &helper) > 0;
	if (!ours) {
		if (!explicit_name)
			return 0;
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EPERM,
				"%s: found it suspended, with nothing of blockcopy's in its "
				"tables; needed to know who did it: `dmsetup resume %s` resumes it",
				dev->name, dev->name);
	}
	/* What is live is what the guest had last; what is inactive was never used. */
	if (dev->inactive_table && dev->live_table) {
		r = bcl_dm_clear(bc, dev->name);
		if (r < 0)
			return r;
	}
	r = bcl_dm_resume(bc, dev->name, bcl_dm_udev_flags_of(dev->dev));
	if (r < 0)
		return r;
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: resumed", dev->name);
	(*deeds)++;
	r = bcl_dm_info(bc, dev->name, dev);
	return r < 0 ? r : 0;
}

static int recover_inactive(struct blockcopy *bc, struct bcl_dm_info *dev, unsigned int *deeds)
{
	_cleanup_(bcl_table_freep) struct bcl_table *inactive = NULL;
	int r;

	if (!dev->inactive_table || !dev->live_table)
		return 0;
	r = bcl_dm_table(bc, dev->name, true, &inactive);
	if (r < 0)
		return r;
	if (!bcl_table_has(inactive, BLOCKCOPY_TARGET_NAME))
		return 0;
	r = bcl_dm_clear(bc, dev->name);
	if (r < 0)
		return r;
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: dropped the table of a start that was interrupted",
		dev->name);
	(*deeds)++;
	return 0;
}

/* Whoever makes the list has the lock. Return: 1, -errno. */
static int recover_list(struct blockcopy *bc, const struct bcl_job *j, unsigned int *deeds)
{
	int r;

	if (!j->status.listing)
		return 1;
	r = bcl_list_all(bc, &j->dev);
	if (r < 0)
		return r;
	bcl_log(bc, BLOCKCOPY_LOG_INFO,
		"%s: the list of what to copy was interrupted, everything is copied", j->dev.name);
	(*deeds)++;
	return 1;
}

/* Return: 1 a job goes on, 0 there is none (any more), -errno. */
static int recover_job(struct blockcopy *bc, const struct bcl_dm_info *dev, unsigned int *deeds)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	int r = bcl_job_read(bc, dev, &j);

	if (r <= 0)
		return r;
	/* Whoever began it would hold the lock, and would take the job down when it is over. */
	if (j.status.state == BLOCKCOPY_STATE_ID_COMPLETING) {
		bcl_job_done(&j);
		r = bcl_wait_completed(bc, dev, &j);
		if (r < 0)
			return r;
	}
	if (j.status.state == BLOCKCOPY_STATE_ID_PIVOTED) {
		r = bcl_end_on_destination(bc, &j);
		if (r == 0)
			bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: completed the pivot to %s", dev->name,
				j.args.destination);
	} else if (bcl_is_tracking(&j)) {
		/* Meant to stay, or a finish that was interrupted: then finish or abort again. */
		return 1;
	} else if (j.status.state == BLOCKCOPY_STATE_ID_FINISHED) {
		r = bcl_end_on_source(bc, &j);
		if (r == 0)
			bcl_log(bc, BLOCKCOPY_LOG_INFO,
				"%s: completed the finish, %s is a finished copy", dev->name,
				j.args.destination);
	} else {
		if (bcl_clear_loaded_source(bc, &j)) {
			bcl_log(bc, BLOCKCOPY_LOG_INFO,
				"%s: dropped the table of an abort that was interrupted, the job "
				"goes on", dev->name);
			(*deeds)++;
		}
		return recover_list(bc, &j, deeds);
	}
	if (r == 0)
		(*deeds)++;
	return r;
}

static int remove_leftover(struct blockcopy *bc, const struct bcl_dm_info *helper,
			   unsigned int *deeds)
{
	int r;

	if (helper->open_count > 0)
		return 0;
	r = bcl_helper_remove(bc, helper);
	if (r < 0)
		return r;
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: removed, nobody used it", helper->name);
	(*deeds)++;
	return 0;
}

static int recover_device(struct blockcopy *bc, const struct bcl_dm_info *found, bool explicit_name,
			  unsigned int *deeds)
{
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev, helper;
	int r;

	lock = bcl_lock(bc, found);
	if (lock < 0)
		return lock;
	r = bcl_dm_info(bc, found->name, &dev);
	if (r <= 0)
		return r;
	r = recover_suspended(bc, &dev, explicit_name, deeds);
	if (r == 0)
		r = recover_inactive(bc, &dev, deeds);
	if (r == 0)
		r = recover_job(bc, &dev, deeds);
	if (r != 0)
		return r < 0 ? r : 0;
	r = bcl_helper_find(bc, &dev, &helper);
	return r > 0 ? remove_leftover(bc, &helper, deeds) : r;
}

/* Has the device of this helper gone? Then nobody's lock protects it, and nobody needs it. */
static int recover_orphan(struct blockcopy *bc, const struct bcl_dm_info *helper,
			  const struct bcl_dm_info *devs, size_t n, unsigned int *deeds)
{
	struct bcl_dm_info now, of;
	int r;

	/* The list is older than what was done for the devices before this one. */
	r = bcl_dm_info(bc, helper->name, &now);
	if (r <= 0 || !bcl_is_helper(&now))
		return r < 0 ? r : 0;
	for (size_t i = 0; i < n; i++) {
		if (bcl_is_helper(&devs[i]))
			continue;
		if (bcl_helper_find(bc, &devs[i], &of) > 0 && of.dev == now.dev)
			return 0;
	}
	return remove_leftover(bc, &now, deeds);
}

/* The first failure is kept, the other devices are looked at all the same. */
static int recover_all(struct blockcopy *bc, unsigned int *deeds)
{
	_cleanup_free_ struct bcl_dm_info *devs = NULL;
	struct bcl_saved_error first = {};
	int r, ret = 0;
	size_t n;

	r = bcl_dm_list(bc, &devs, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (bcl_is_helper(&devs[i]))
			r = recover_orphan(bc, &devs[i], devs, n, deeds);
		else
			r = recover_device(bc, &devs[i], false, deeds);
		if (r < 0 && ret == 0) {
			ret = r;
			bcl_error_save(bc, &first);
		}
	}
	bcl_begin(bc);
	if (ret < 0)
		bcl_error_restore(bc, &first);
	return ret;
}

int blockcopy_recover(struct blockcopy *bc, const char *name, unsigned int *ret_deeds)
{
	struct bcl_dm_info dev;
	unsigned int deeds = 0;
	int r;

	bcl_begin(bc);
	if (name) {
		r = bcl_device_find(bc, name, &dev);
		if (r == 0)
			r = recover_device(bc, &dev, true, &deeds);
	} else {
		r = recover_all(bc, &deeds);
	}
	bcl_cookies_recover(bc, &deeds);
	bcl_attachment_recover(bc, &deeds);
	bcl_thin_recover(bc, &deeds);
	if (r < 0)
		return r;
	*ret_deeds = deeds;
	return 0;
}

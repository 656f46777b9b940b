// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How a job leaves the device: the swap back to the source, the swap to the destination, and
 * abort. Each can be repeated, and be done by another process than the one that began.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "destination/attachment.h"
#include "destination/nbd.h"
#include "format-user.h"
#include "internal.h"
#include "metadata.h"

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
	if (!is_detached(bc, &j->dev)) {
		dev_t metadata;
		int r = bcl_parse_devno(j->args.metadata, &metadata);

		if (r == 0)
			r = bcl_distrust(j->dev.name, metadata);
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: its metadata device %s does not answer, and cannot be gone on from%s%s",
			j->dev.name, j->args.metadata,
			r < 0 ? "; that could not be noted, do not try: " : "",
			r < 0 ? strerror(-r) : "");
	}
	bcl_error_restore(bc, &saved);
}

/*
 * The destination is open, and with that what was read of it before it was a copy stays in the page
 * cache, where udev's probes leave it. Who reads the copy is not to get that.
 */
int bcl_job_show_copy(struct blockcopy *bc, const struct bcl_job *j)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_close_ int fd = -1;
	int r = bcl_destination_find(bc, j->args.destination, &d);

	if (r < 0)
		return r;
	fd = open(d.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKFLSBUF, 0) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno,
				"%s: is a finished copy, but its cached pages cannot be dropped: %s",
				d.path, strerror(errno));
	return 0;
}

/* The leg that the device does not need any more: if it was attached for a job, it goes. */
static void release(struct blockcopy *bc, const char *devno)
{
	dev_t dev;

	if (bcl_parse_devno(devno, &dev) == 0)
		bcl_attachment_release(bc, dev);
}

/*
 * The leg that the guest does not use any more. It may be the helper, which is below the first source; else
 * it may have been attached for the job.
 */
static void drop_leg(struct blockcopy *bc, const char *leg, uint64_t offset, uint64_t len)
{
	_cleanup_(bcl_table_freep) struct bcl_table *unused = NULL;
	struct bcl_saved_error saved;
	struct bcl_dm_info helper;
	bool has_helper = false;

	bcl_error_save(bc, &saved);
	(void)bcl_leg_table(bc, leg, offset, len, &helper, &has_helper, &unused);
	bcl_error_restore(bc, &saved);
	if (has_helper)
		drop_helper(bc, &helper);
	else
		release(bc, leg);
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
	if (r == 0)
		drop_leg(bc, j->args.destination, j->args.destination_offset, j->len);
	return r;
}

/*
 * With the swap the kernel stops trying to write down that the destination has the data now. Without
 * that, the next boot would take the source for it.
 */
static int wait_recorded(struct blockcopy *bc, const struct bcl_job *j)
{
	int64_t until = bcl_now_ms() + DETACH_MS;

	/* Written before the flip, or there is nothing to write on, or none is wanted. */
	if (!j->args.metadata || !strcmp(j->status.metadata, "ok") || bc->force)
		return 0;
	for (;;) {
		_cleanup_(bcl_destination_done) struct bcl_destination d = {};
		_cleanup_(bcl_job_done) struct bcl_job now = {};
		struct bc_format_super super;

		/* One that has just answered can be read. */
		if (bcl_job_read(bc, &j->dev, &now) == 1 &&
		    !strcmp(now.status.metadata, "detached") &&
		    bcl_destination_find(bc, j->args.metadata, &d) == 0 &&
		    bcl_metadata_peek(bc, &d, &super) > 0 &&
		    le32_to_cpu(super.outcome) == BC_OUTCOME_PIVOTED)
			return 0;
		if (bcl_now_ms() >= until)
			break;
		usleep(20000);
	}
	return bcl_fail(bc, BLOCKCOPY_FAILED, -ETIMEDOUT,
			"%s: has pivoted to %s, but its metadata device %s does not take that; needed "
			"it to, before the job goes (`blockcopy recover %s` tries again, with --force "
			"it goes, and the metadata device must not be used at the next boot)",
			j->dev.name, j->args.destination, j->args.metadata, j->dev.name);
}

int bcl_end_on_destination(struct blockcopy *bc, struct bcl_job *j)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	struct bcl_dm_info helper;
	bool has_helper = false;
	dev_t destination;
	int r;

	r = wait_recorded(bc, j);
	if (r < 0)
		return r;
	if (bcl_parse_devno(j->args.destination, &destination) == 0)
		bcl_nbd_be_patient(bc, destination);
	/* On the way back it may be the helper that holds the first source's table. */
	r = bcl_leg_table(bc, j->args.destination, j->args.destination_offset, j->len, &helper,
			  &has_helper, &t);
	if (r == 0)
		r = bcl_swap(bc, &j->dev, t);
	if (r == 0 && has_helper)
		drop_helper(bc, &helper);
	if (r == 0)
		drop_leg(bc, j->args.source, j->args.source_offset, j->len);
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
		bcl_clear_loaded_job(bc, &dev);
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

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A job: how it is made and freed, its state and its messages.
 */
#include <linux/slab.h>

#include "bc-job.h"
#include "compat.h"

#define CREATE_TRACE_POINTS
#include "bc-trace.h"

const char *const bc_state_names[BC_STATE_MAX] = {
	[BC_COPYING]	= BLOCKCOPY_STATE_COPYING,
	[BC_READY]	= BLOCKCOPY_STATE_READY,
	[BC_COMPLETING]	= BLOCKCOPY_STATE_COMPLETING,
	[BC_PIVOTED]	= BLOCKCOPY_STATE_PIVOTED,
	[BC_FINISHED]	= BLOCKCOPY_STATE_FINISHED,
	[BC_FAILED]	= BLOCKCOPY_STATE_FAILED,
};

const char *const bc_error_names[BC_ERROR_MAX] = {
	[BC_ERROR_NONE]		= BLOCKCOPY_ERROR_NONE,
	[BC_ERROR_SOURCE_READ]	= BLOCKCOPY_ERROR_SOURCE_READ,
	[BC_ERROR_TARGET_WRITE]	= BLOCKCOPY_ERROR_TARGET_WRITE,
	[BC_ERROR_TARGET_FLUSH]	= BLOCKCOPY_ERROR_TARGET_FLUSH,
	[BC_ERROR_GIVEN_UP]	= BLOCKCOPY_ERROR_GIVEN_UP,
	[BC_ERROR_BLACKOUT]	= BLOCKCOPY_ERROR_BLACKOUT,
	[BC_ERROR_SUSPENDED]	= BLOCKCOPY_ERROR_SUSPENDED,
	[BC_ERROR_METADATA]	= BLOCKCOPY_ERROR_METADATA,
	[BC_ERROR_SOURCE_ONLY]	= BLOCKCOPY_ERROR_SOURCE_ONLY,
	[BC_ERROR_GROUP]	= BLOCKCOPY_ERROR_GROUP,
};

const char *const bc_event_names[BC_EVENT_MAX] = {
	[BC_EVENT_NONE]		 = BLOCKCOPY_EVENT_NONE,
	[BC_EVENT_READY]	 = BLOCKCOPY_EVENT_READY,
	[BC_EVENT_COMPLETING]	 = BLOCKCOPY_EVENT_COMPLETING,
	[BC_EVENT_NOT_COMPLETED] = BLOCKCOPY_EVENT_NOT_COMPLETED,
	[BC_EVENT_PIVOTED]	 = BLOCKCOPY_EVENT_PIVOTED,
	[BC_EVENT_FINISHED]	 = BLOCKCOPY_EVENT_FINISHED,
	[BC_EVENT_PAUSED]	 = BLOCKCOPY_EVENT_PAUSED,
	[BC_EVENT_RESUMED]	 = BLOCKCOPY_EVENT_RESUMED,
	[BC_EVENT_ERROR]	 = BLOCKCOPY_EVENT_ERROR,
	[BC_EVENT_MODE_CHANGED]	 = BLOCKCOPY_EVENT_MODE_CHANGED,
	[BC_EVENT_FALLING_BEHIND] = BLOCKCOPY_EVENT_FALLING_BEHIND,
	[BC_EVENT_METADATA_FAILED] = BLOCKCOPY_EVENT_METADATA_FAILED,
	[BC_EVENT_VERIFIED]	 = BLOCKCOPY_EVENT_VERIFIED,
};

/*
 * State and events
 */

/*
 * Apart from everything else: dm_table_event() waits for what other devices tell udev, which waits
 * for memory, which may have to be swapped out to this device. With job->lock held, or the held
 * writes not released yet, that would be a circle (I8).
 */
static void tell_work(struct work_struct *work)
{
	struct bc_job *job = container_of(work, struct bc_job, tell);

	while (atomic_add_unless(&job->untold, -1, 0))
		dm_table_event(job->table);
}

void bc_job_tell(struct bc_job *job)
{
	lockdep_assert_held(&job->lock);
	/* The table of a job that is being taken down is gone. */
	if (job->ti) {
		atomic_inc(&job->untold);
		queue_work(system_unbound_wq, &job->tell);
	}
}

void bc_job_event(struct bc_job *job, enum bc_event event)
{
	lockdep_assert_held(&job->lock);
	WRITE_ONCE(job->event, event);
	WRITE_ONCE(job->events, job->events + 1);
	bc_job_tell(job);
}

void bc_job_set_state(struct bc_job *job, enum bc_state state, enum bc_event event,
		      enum bc_error error)
{
	lockdep_assert_held(&job->lock);
	if (error)
		DMINFO("%s: %s -> %s: %s", job->name, bc_state_names[job->state],
		       bc_state_names[state], bc_error_names[error]);
	else
		DMINFO("%s: %s -> %s", job->name, bc_state_names[job->state],
		       bc_state_names[state]);
	trace_blockcopy_state(job->devt, bc_state_names[job->state], bc_state_names[state],
			      bc_error_names[error]);
	WRITE_ONCE(job->error, error);
	WRITE_ONCE(job->state, state);
	bc_mode_update(job);
	bc_job_event(job, event);
	bc_verify_kick(job);
}

/* Stop copying, and guest writes from waiting for the destination, until "resume". */
static void pause_after_error(struct bc_job *job, enum bc_error error)
{
	struct bio_list bios = BIO_EMPTY_LIST;
	bool was;

	mutex_lock(&job->lock);
	was = bc_complete_give_up(job, BC_COPYING, error, &bios);
	if (job->state == BC_READY || (job->state == BC_COPYING && !job->paused)) {
		WRITE_ONCE(job->paused, true);
		bc_mode_update(job);
		if (was)
			bc_job_event(job, BC_EVENT_ERROR);
		else
			bc_job_set_state(job, BC_COPYING, BC_EVENT_ERROR, error);
	}
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
}

/* The copier tries again after a while; what it can not repair ends the epoch (I5). */
static void go_on_after_error(struct bc_job *job, enum bc_error error, bool first)
{
	struct bio_list bios = BIO_EMPTY_LIST;

	mutex_lock(&job->lock);
	if (!bc_complete_give_up(job, BC_COPYING, error, &bios) &&
	    (job->state == BC_READY || (job->state == BC_COPYING && first)))
		bc_job_set_state(job, BC_COPYING, BC_EVENT_ERROR, error);
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
	if (error != BC_ERROR_SOURCE_READ)
		bc_mode_fall_back(job);
}

static void fail(struct bc_job *job, enum bc_error error)
{
	struct bio_list bios = BIO_EMPTY_LIST;

	mutex_lock(&job->lock);
	if (!bc_complete_give_up(job, BC_FAILED, error, &bios) &&
	    (job->state == BC_COPYING || job->state == BC_READY))
		bc_job_set_state(job, BC_FAILED, BC_EVENT_ERROR, error);
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
}

void bc_job_error(struct bc_job *job, enum bc_error error, blk_status_t status)
{
	bool source = error == BC_ERROR_SOURCE_READ;
	enum bc_policy policy = source ? READ_ONCE(job->args.on_source_error) :
					 READ_ONCE(job->args.on_target_error);
	bool full = !source && status == BLK_STS_NOSPC;
	bool first = READ_ONCE(job->io_status) == BC_IO_OK;

	/* That is known. */
	if (source && bc_source_failed(job))
		return;
	/* Of several errors the first tells. */
	if (first)
		WRITE_ONCE(job->io_status, full ? BC_IO_NOSPACE : BC_IO_FAILED);
	switch (policy) {
	case BC_POLICY_IGNORE:
		go_on_after_error(job, error, first);
		break;
	case BC_POLICY_STOP:
		pause_after_error(job, error);
		break;
	case BC_POLICY_ENOSPC:
		if (full)
			pause_after_error(job, error);
		else
			fail(job, error);
		break;
	default:
		fail(job, error);
		break;
	}
}

void bc_job_recovered(struct bc_job *job)
{
	mutex_lock(&job->lock);
	if (job->state != BC_FAILED && !job->paused)
		WRITE_ONCE(job->io_status, BC_IO_OK);
	mutex_unlock(&job->lock);
}

void bc_job_metadata_failed(struct bc_job *job, u64 hold)
{
	if (hold)
		bc_complete_cancel(job, BC_READY, BC_ERROR_METADATA);
	mutex_lock(&job->lock);
	bc_job_event(job, BC_EVENT_METADATA_FAILED);
	mutex_unlock(&job->lock);
}

void bc_job_set_pivoted(struct bc_job *job)
{
	mutex_lock(&job->lock);
	WRITE_ONCE(job->state, BC_PIVOTED);
	WRITE_ONCE(job->listing, false);
	WRITE_ONCE(job->truth, job->destination);
	mutex_unlock(&job->lock);
	bc_bitmap_clear(&job->dirty, 0, job->dirty.nbits - 1);
}

void bc_job_dirty_all(struct bc_job *job)
{
	unsigned long slice = 1UL << 20, nbits = job->dirty.nbits, first;

	/* Not bit by bit: there may be hundreds of millions. */
	if (job->zero) {
		WRITE_ONCE(job->zero_written, true);
		memset(job->zero, 0, BITS_TO_LONGS(nbits) * sizeof(*job->zero));
	}
	for (first = 0; first < nbits; first += slice) {
		bc_job_mark(job, first, min(first + slice, nbits) - 1, true);
		cond_resched();
	}
	bc_holes_spoil(job, 0, nbits - 1);
}

/*
 * Messages
 */

int bc_job_pause(struct bc_job *job)
{
	int r = 0;

	mutex_lock(&job->lock);
	if (job->paused || (job->state != BC_COPYING && job->state != BC_READY)) {
		r = -EBUSY;
	} else {
		WRITE_ONCE(job->paused, true);
		bc_mode_update(job);
		bc_job_event(job, BC_EVENT_PAUSED);
	}
	mutex_unlock(&job->lock);
	return r;
}

int bc_job_resume(struct bc_job *job)
{
	int r = 0;

	mutex_lock(&job->lock);
	if (job->state == BC_FAILED) {
		WRITE_ONCE(job->paused, false);
		WRITE_ONCE(job->io_status, BC_IO_OK);
		bc_job_set_state(job, BC_COPYING, BC_EVENT_RESUMED, BC_ERROR_NONE);
	} else if (job->paused) {
		WRITE_ONCE(job->paused, false);
		if (job->io_status != BC_IO_OK)
			WRITE_ONCE(job->error, BC_ERROR_NONE);
		WRITE_ONCE(job->io_status, BC_IO_OK);
		bc_mode_update(job);
		bc_job_event(job, BC_EVENT_RESUMED);
	} else {
		r = -EBUSY;
	}
	mutex_unlock(&job->lock);
	if (!r) {
		/* Somebody may have mended something. */
		WRITE_ONCE(job->copier.holes.retry_at, 0);
		bc_copier_kick(&job->copier);
	}
	return r;
}

int bc_job_set(struct bc_job *job, const char *name, const char *value)
{
	struct bc_args args;
	char *error = NULL;
	int r;

	mutex_lock(&job->lock);
	args = job->args;
	r = bc_args_set(&args, name, value, &error);
	if (r) {
		DMWARN("%s: set %s %s: %s", job->name, name, value, error);
		goto unlock;
	}
	WRITE_ONCE(job->args.bandwidth, args.bandwidth);
	WRITE_ONCE(job->args.buf_size, args.buf_size);
	WRITE_ONCE(job->args.write_timeout, args.write_timeout);
	WRITE_ONCE(job->args.on_source_error, args.on_source_error);
	WRITE_ONCE(job->args.on_target_error, args.on_target_error);
	if (args.copy_mode != job->args.copy_mode) {
		WRITE_ONCE(job->args.copy_mode, args.copy_mode);
		job->mode.wanted = false;
		bc_mode_forget_trial(job);
		bc_mode_update(job);
		bc_job_event(job, BC_EVENT_MODE_CHANGED);
	}
unlock:
	mutex_unlock(&job->lock);
	if (!r) {
		mod_delayed_work(job->wq, &job->mirrors.timer, 0);
		bc_copier_kick(&job->copier);
	}
	return r;
}

int bc_job_give_up(struct bc_job *job)
{
	enum bc_state state;

	fail(job, BC_ERROR_GIVEN_UP);
	bc_mirror_expire_all(job);
	bc_copier_kick(&job->copier);
	state = READ_ONCE(job->state);
	return state == BC_FAILED ? 0 : -EBUSY;
}

void bc_job_args(struct bc_job *job, struct bc_args *ret)
{
	*ret = job->args;	/* what may change is single words */
	ret->paused = READ_ONCE(job->paused);
	/* Loading the line of a job that ended must not begin it again, over a truth that moved. */
	ret->pivoted = READ_ONCE(job->state) == BC_PIVOTED;
	ret->finished = READ_ONCE(job->state) == BC_FINISHED;
	/* I11: another instance would not know what differs by now, or is still to be listed. */
	if (!bc_mirror_is_clean(job) || READ_ONCE(job->copier.in_flight_bytes) ||
	    ret->sync == BC_SYNC_RANGES)
		ret->sync = BC_SYNC_FULL;
	if (job->meta) {
		ret->metadata = job->meta->dev->name;
		/* It has been read, or made anew: from now on it tells. */
		if (READ_ONCE(job->meta->state) == BC_META_OK)
			ret->sync = BC_SYNC_BITMAP;
	}
	/* Nor what is there by now. */
	ret->target_is_zero = job->args.target_is_zero && !READ_ONCE(job->zero_written) &&
			      ret->sync == BC_SYNC_FULL && !ret->pivoted && !ret->finished;
}

/*
 * Making a job
 */

static int open_leg(struct dm_target *ti, struct bc_leg *leg, char **argv, blk_mode_t mode,
		    char *bad_offset, char *cannot_open)
{
	u64 start;
	int r;

	if (kstrtou64(argv[1], 10, &start) || start + ti->len < start) {
		ti->error = bad_offset;
		return -EINVAL;
	}
	leg->start = start;
	r = dm_get_device(ti, argv[0], mode, &leg->dev);
	if (r) {
		ti->error = cannot_open;
		return r;
	}
	leg->bdev = leg->dev->bdev;
	leg->block = bdev_logical_block_size(leg->bdev) >> SECTOR_SHIFT;
	return 0;
}

struct file *bc_leg_open(const struct bc_leg *leg)
{
	return bdev_file_open_by_dev(leg->bdev->bd_dev, BLK_OPEN_READ, NULL, NULL);
}

static int open_legs(struct dm_target *ti, struct bc_job *job, char **argv)
{
	int r;

	r = open_leg(ti, job->source, argv, dm_table_get_mode(ti->table),
		     "Source offset: need a number of sectors", "Cannot open source");
	if (r)
		return r;
	r = open_leg(ti, job->destination, argv + 2, BLK_OPEN_READ | BLK_OPEN_WRITE,
		     "Destination offset: need a number of sectors",
		     "Cannot open destination (missing, or in use)");
	if (r)
		return r;
	job->destination->file = bc_leg_open(job->destination);
	if (IS_ERR(job->destination->file)) {
		ti->error = "Cannot open destination once more";
		r = PTR_ERR(job->destination->file);
		job->destination->file = NULL;
	}
	return r;
}

static bool leg_fits(const struct bc_leg *leg, sector_t len)
{
	return leg->start + len <= bdev_nr_sectors(leg->bdev);
}

static bool aligned(const struct bc_leg *leg, unsigned int bytes)
{
	return IS_ALIGNED(leg->start << SECTOR_SHIFT, bytes);
}

/* What the core does not check, as it is shown the source only. */
static int check_legs(struct dm_target *ti, struct bc_job *job)
{
	struct block_device *source = job->source->bdev;
	struct block_device *destination = job->destination->bdev;
	unsigned int source_lbs = bdev_logical_block_size(source);
	unsigned int destination_lbs = bdev_logical_block_size(destination);

	if (source->bd_dev == job->devt || destination->bd_dev == job->devt)
		ti->error = "A leg is the device itself";
	else if (bdev_is_zoned(source) || bdev_is_zoned(destination))
		ti->error = "Zoned devices are not supported";
	else if (!leg_fits(job->source, ti->len))
		ti->error = "Source is smaller than the target";
	else if (!leg_fits(job->destination, ti->len))
		ti->error = "Destination is smaller than the target";
	else if (bdev_read_only(destination))
		ti->error = "Destination is read-only";
	else if (destination_lbs > source_lbs)
		ti->error = "Destination has larger logical blocks than the source";
	else if (!aligned(job->source, source_lbs) || !aligned(job->destination, destination_lbs))
		ti->error = "Offset is not a multiple of the device's logical blocks";
	else if (job->args.region_sectors < source_lbs >> SECTOR_SHIFT)
		ti->error = "Region is smaller than a logical block of the source";
	else
		return 0;
	return -EINVAL;
}

static int check_args(struct dm_target *ti, struct bc_job *job)
{
	u64 regions = DIV_ROUND_UP_ULL(ti->len, job->args.region_sectors);

	if (ti->begin) {
		ti->error = "Target must begin at sector 0";
		return -EINVAL;
	}
	if (regions > BC_BITMAP_MAX_BITS) {
		ti->error = "Too many regions, take a larger region size";
		return -EINVAL;
	}
	return 0;
}

static void init_state(struct bc_job *job)
{
	job->paused = job->args.paused;
	job->truth = job->source;
	job->guest_last = jiffies - BC_BUSY_JIFFIES;
	if (job->args.pivoted) {
		job->state = BC_PIVOTED;
		job->truth = job->destination;
	} else if (job->args.finished) {
		job->state = BC_FINISHED;
	} else {
		job->listing = job->args.sync == BC_SYNC_RANGES;
	}
}

static int allocate(struct dm_target *ti, struct bc_job *job)
{
	unsigned long regions = dm_sector_div_up(ti->len, job->args.region_sectors);
	bool dirty = job->args.sync == BC_SYNC_FULL || job->args.sync == BC_SYNC_BITMAP;
	int r;

	/* What changed since the copy was finished only the metadata can tell. */
	if (job->args.pivoted || (job->args.finished && job->args.sync != BC_SYNC_BITMAP))
		dirty = false;
	job->guest = alloc_percpu(struct bc_guest);
	if (!job->guest)
		return -ENOMEM;
	r = bc_bitmap_init(&job->dirty, regions, dirty);
	if (!r && job->args.target_is_zero) {
		job->zero = kvcalloc(BITS_TO_LONGS(regions), sizeof(*job->zero), GFP_KERNEL);
		if (job->zero)
			memset(job->zero, 0xff, BITS_TO_LONGS(regions) * sizeof(*job->zero));
		else
			r = -ENOMEM;
	}
	if (!r)
		r = bc_copier_init(&job->copier, job);
	if (!r)
		r = bc_mirror_init(job);
	if (!r) {
		job->wq = alloc_workqueue("bc_hold_%s", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_UNBOUND, 0,
					  job->name);
		r = job->wq ? 0 : -ENOMEM;
	}
	if (r)
		ti->error = "Not enough memory for the dirty bitmap and the buffers";
	return r;
}

static int open_metadata(struct dm_target *ti, struct bc_job *job)
{
	const char *path = job->args.metadata;
	int r;

	job->args.metadata = NULL;	/* memory of the caller of ctr */
	if (!path)
		return 0;
	ti->error = "Not enough memory for the intent bitmap";
	r = bc_meta_init(job, path);
	if (r)
		return r;
	ti->error = NULL;
	if (bdev_nr_sectors(job->meta->bdev) <
	    bc_format_sectors(job->len, job->args.region_sectors))
		ti->error = "Metadata device is too small";
	else if (bdev_read_only(job->meta->bdev))
		ti->error = "Metadata device is read-only";
	else if (bdev_logical_block_size(job->meta->bdev) > BC_FORMAT_BLOCK_SIZE)
		ti->error = "Metadata device has logical blocks of more than 4096 bytes";
	return ti->error ? -EINVAL : 0;
}

void bc_job_close(struct bc_job *job)
{
	unsigned int i;

	bc_meta_close(job);
	for (i = 0; i < ARRAY_SIZE(job->legs); i++) {
		if (job->ti && job->legs[i].dev)
			dm_put_device(job->ti, job->legs[i].dev);
		job->legs[i].dev = NULL;
	}
	if (job->source->file)
		bdev_fput(job->source->file);
	job->source->file = NULL;
	mutex_lock(&job->lock);
	job->ti = NULL;
	mutex_unlock(&job->lock);
	flush_work(&job->tell);
}

/*
 * What drivers/md/dm-core.h keeps to itself: how far into the core's part of a clone its bio is.
 * Were it another distance, a swap would take longer, and nothing else.
 */
struct core_clone {
	unsigned short magic;
	unsigned short flags;
	unsigned int nr;
	void *io;
	void *ti;
	unsigned int *len;
	sector_t sector;
	struct bio bio;
};

void bc_job_keep_slabs(struct bc_job *job)
{
	/* Of first clones, which are part of the core's request: as seen. And of others. */
	unsigned int pads[] = {
		READ_ONCE(job->clone_pad),
		round_up(sizeof(struct bc_io), __alignof__(struct core_clone)) +
			offsetof(struct core_clone, bio),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pads); i++)
		if (pads[0] && !job->clones[i].bio_slab &&
		    bioset_init(&job->clones[i], 1, pads[i], 0))
			DMDEBUG("%s: no memory to keep a slab", job->name);
}

void bc_job_destroy(struct bc_job *job)
{
	bc_verify_exit(job);
	bc_completion_exit(job);
	bc_mode_exit(job);
	bc_mirror_exit(job);
	if (job->meta && job->copier.wq) {
		/* What it has half issued is cut, and puts its epoch. */
		bc_copier_stop(&job->copier, MAX_SCHEDULE_TIMEOUT);
		flush_work(&job->copier.work);
	}
	bc_meta_exit(job);
	bc_copier_exit(&job->copier);
	/*
	 * Not before the grace period that bc_copier_exit() waited for: a switch may just have
	 * ended.
	 */
	percpu_ref_exit(&job->writes[0]);
	percpu_ref_exit(&job->writes[1]);
	if (job->wq)
		destroy_workqueue(job->wq);
	bc_bitmap_exit(&job->dirty);
	bc_bitmap_exit(&job->source_only);
	kvfree(job->zero);
	bioset_exit(&job->clones[0]);
	bioset_exit(&job->clones[1]);
	free_percpu(job->guest);
	bc_job_close(job);
	if (job->destination->file)
		bdev_fput(job->destination->file);
	mutex_destroy(&job->lock);
	kvfree(job);
}

struct bc_job *bc_job_create(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct bc_job *job;
	int r;

	if (argc < 5) {
		ti->error = "Need source, offset, destination, offset and region size";
		return ERR_PTR(-EINVAL);
	}
	job = kvzalloc(sizeof(*job), GFP_KERNEL);
	if (!job) {
		ti->error = "Not enough memory for the job";
		return ERR_PTR(-ENOMEM);
	}
	job->ti = ti;
	job->table = ti->table;
	INIT_WORK(&job->tell, tell_work);
	job->md = dm_table_get_md(ti->table);
	strscpy(job->name, dm_device_name(job->md), sizeof(job->name));
	job->devt = disk_devt(dm_disk(job->md));
	job->len = ti->len;
	job->source = &job->legs[0];
	job->destination = &job->legs[1];
	INIT_LIST_HEAD(&job->registered);
	mutex_init(&job->lock);
	bc_mode_init(job);
	bc_verify_init(job);
	r = bc_completion_init(job);
	if (r)
		ti->error = "Not enough memory for the job";
	if (!r)
		r = bc_args_parse(&job->args, argc - 4, argv + 4, &ti->error);
	if (!r)
		r = check_args(ti, job);
	if (r)
		goto err;
	job->region_shift = ilog2(job->args.region_sectors);
	init_state(job);

	r = open_legs(ti, job, argv);
	if (!r)
		r = check_legs(ti, job);
	if (!r)
		r = allocate(ti, job);
	if (!r)
		r = open_metadata(ti, job);
	if (r)
		goto err;
	return job;

err:
	bc_job_destroy(job);
	return ERR_PTR(r);
}

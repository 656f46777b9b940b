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
	[BC_ERROR_BLACKOUT]	= BLOCKCOPY_ERROR_BLACKOUT,
	[BC_ERROR_SUSPENDED]	= BLOCKCOPY_ERROR_SUSPENDED,
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
};

/*
 * State and events
 */

void bc_job_event(struct bc_job *job, enum bc_event event)
{
	lockdep_assert_held(&job->lock);
	WRITE_ONCE(job->event, event);
	WRITE_ONCE(job->events, job->events + 1);
	dm_table_event(job->ti->table);
}

void bc_job_set_state(struct bc_job *job, enum bc_state state, enum bc_event event,
		      enum bc_error error)
{
	lockdep_assert_held(&job->lock);
	if (error)
		DMINFO("%s: %s -> %s: %s", dm_device_name(job->md), bc_state_names[job->state],
		       bc_state_names[state], bc_error_names[error]);
	else
		DMINFO("%s: %s -> %s", dm_device_name(job->md), bc_state_names[job->state],
		       bc_state_names[state]);
	trace_blockcopy_state(bc_job_devt(job), bc_state_names[job->state], bc_state_names[state],
			      bc_error_names[error]);
	WRITE_ONCE(job->error, error);
	WRITE_ONCE(job->state, state);
	bc_job_event(job, event);
}

void bc_job_fail(struct bc_job *job, enum bc_error error, blk_status_t status)
{
	/* Of several errors the first tells. */
	if (READ_ONCE(job->state) != BC_FAILED)
		WRITE_ONCE(job->no_space, status == BLK_STS_NOSPC);
	if (bc_complete_cancel(job, BC_FAILED, error))
		return;
	mutex_lock(&job->lock);
	if (job->state == BC_COPYING || job->state == BC_READY)
		bc_job_set_state(job, BC_FAILED, BC_EVENT_ERROR, error);
	mutex_unlock(&job->lock);
}

void bc_job_dirty_all(struct bc_job *job)
{
	unsigned long slice = 1UL << 20, nbits = job->dirty.nbits, first;

	for (first = 0; first < nbits; first += slice) {
		bc_bitmap_mark(&job->dirty, first, min(first + slice, nbits) - 1);
		cond_resched();
	}
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
		WRITE_ONCE(job->no_space, false);
		bc_job_set_state(job, BC_COPYING, BC_EVENT_RESUMED, BC_ERROR_NONE);
	} else if (job->paused) {
		WRITE_ONCE(job->paused, false);
		bc_job_event(job, BC_EVENT_RESUMED);
	} else {
		r = -EBUSY;
	}
	mutex_unlock(&job->lock);
	if (!r)
		bc_copier_kick(&job->copier);
	return r;
}

int bc_job_set(struct bc_job *job, const char *name, const char *value)
{
	char *error = NULL;
	u64 number;
	u64 *knob;
	int r;

	if (!strcmp(name, "bandwidth")) {
		knob = &job->args.bandwidth;
		r = bc_args_bandwidth(value, &number, &error);
	} else if (!strcmp(name, "buf_size")) {
		knob = &job->args.buf_size;
		r = bc_args_buf_size(value, &number, &error);
	} else {
		DMWARN("%s: set %s: need bandwidth or buf_size", dm_device_name(job->md), name);
		return -EINVAL;
	}
	if (r) {
		DMWARN("%s: set %s", dm_device_name(job->md), error);
		return r;
	}
	mutex_lock(&job->lock);
	WRITE_ONCE(*knob, number);
	mutex_unlock(&job->lock);
	bc_copier_kick(&job->copier);
	return 0;
}

void bc_job_args(struct bc_job *job, struct bc_args *ret)
{
	*ret = job->args;
	ret->bandwidth = READ_ONCE(job->args.bandwidth);
	ret->buf_size = READ_ONCE(job->args.buf_size);
	ret->paused = READ_ONCE(job->paused);
	/* Loading the line of a job that ended must not begin it again, over a truth that moved. */
	ret->pivoted = READ_ONCE(job->state) == BC_PIVOTED;
	ret->finished = READ_ONCE(job->state) == BC_FINISHED;
	/* I11: another instance would not know what differs by now. */
	if (bc_bitmap_count(&job->dirty) || READ_ONCE(job->copier.in_flight_bytes))
		ret->sync = BC_SYNC_FULL;
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
	if (r)
		ti->error = cannot_open;
	return r;
}

static int open_legs(struct dm_target *ti, struct bc_job *job, char **argv)
{
	int r;

	r = open_leg(ti, &job->source, argv, dm_table_get_mode(ti->table),
		     "Source offset: need a number of sectors", "Cannot open source");
	if (r)
		return r;
	return open_leg(ti, &job->destination, argv + 2, BLK_OPEN_READ | BLK_OPEN_WRITE,
			"Destination offset: need a number of sectors",
			"Cannot open destination (missing, or in use)");
}

static bool leg_fits(const struct bc_leg *leg, sector_t len)
{
	return leg->start + len <= bdev_nr_sectors(leg->dev->bdev);
}

static bool aligned(const struct bc_leg *leg, unsigned int bytes)
{
	return IS_ALIGNED(leg->start << SECTOR_SHIFT, bytes);
}

/* What the core does not check, as it is shown the source only. */
static int check_legs(struct dm_target *ti, struct bc_job *job)
{
	struct block_device *source = job->source.dev->bdev;
	struct block_device *destination = job->destination.dev->bdev;
	unsigned int source_lbs = bdev_logical_block_size(source);
	unsigned int destination_lbs = bdev_logical_block_size(destination);

	if (source->bd_dev == bc_job_devt(job) || destination->bd_dev == bc_job_devt(job))
		ti->error = "A leg is the device itself";
	else if (bdev_is_zoned(source) || bdev_is_zoned(destination))
		ti->error = "Zoned devices are not supported";
	else if (!leg_fits(&job->source, ti->len))
		ti->error = "Source is smaller than the target";
	else if (!leg_fits(&job->destination, ti->len))
		ti->error = "Destination is smaller than the target";
	else if (bdev_read_only(destination))
		ti->error = "Destination is read-only";
	else if (destination_lbs > source_lbs)
		ti->error = "Destination has larger logical blocks than the source";
	else if (!aligned(&job->source, source_lbs) || !aligned(&job->destination, destination_lbs))
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
	job->truth = &job->source;
	if (job->args.pivoted) {
		job->state = BC_PIVOTED;
		job->truth = &job->destination;
	} else if (job->args.finished) {
		job->state = BC_FINISHED;
	}
}

static int allocate(struct dm_target *ti, struct bc_job *job)
{
	bool ended = job->args.pivoted || job->args.finished;
	unsigned long regions = dm_sector_div_up(ti->len, job->args.region_sectors);
	int r;

	r = bc_bitmap_init(&job->dirty, regions, job->args.sync == BC_SYNC_FULL && !ended);
	if (!r)
		r = bc_copier_init(&job->copier, job);
	if (!r) {
		job->wq = alloc_workqueue("bc_hold_%s", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_UNBOUND, 0,
					  dm_device_name(job->md));
		r = job->wq ? 0 : -ENOMEM;
	}
	if (r)
		ti->error = "Not enough memory for the dirty bitmap and the buffers";
	return r;
}

void bc_job_destroy(struct bc_job *job)
{
	struct dm_target *ti = job->ti;

	bc_completion_exit(job);
	bc_copier_exit(&job->copier);
	/*
	 * Not before the grace period that bc_copier_exit() waited for: a switch may just have
	 * ended.
	 */
	percpu_ref_exit(&job->writes);
	if (job->wq)
		destroy_workqueue(job->wq);
	bc_bitmap_exit(&job->dirty);
	if (job->destination.dev)
		dm_put_device(ti, job->destination.dev);
	if (job->source.dev)
		dm_put_device(ti, job->source.dev);
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
	job->md = dm_table_get_md(ti->table);
	INIT_LIST_HEAD(&job->registered);
	mutex_init(&job->lock);
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
	if (r)
		goto err;
	return job;

err:
	bc_job_destroy(job);
	return ERR_PTR(r);
}

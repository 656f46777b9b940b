// SPDX-License-Identifier: GPL-2.0-only
/*
 * All jobs of this machine, loaded and live ones.
 *
 * The device mapper claims devices for all its targets together, so nothing but this keeps two jobs
 * off one destination. Within one device a new table is built while the old one still runs; here
 * they meet.
 */
#include <linux/list.h>
#include <linux/mutex.h>

#include "bc-job.h"

static LIST_HEAD(jobs);
static DEFINE_MUTEX(registry_mutex);
static u64 generations;

/* Ranges of one disk, be it through different partitions, overlap. */
static bool legs_overlap(const struct bc_leg *a, sector_t a_len,
			 const struct bc_leg *b, sector_t b_len)
{
	sector_t a_start, b_start;

	/* That of a job without a table is the guest's again. */
	if (!a->bdev || !b->bdev)
		return false;
	a_start = get_start_sect(a->bdev) + a->start;
	b_start = get_start_sect(b->bdev) + b->start;
	return a->bdev->bd_disk == b->bdev->bd_disk &&
	       a_start < b_start + b_len && b_start < a_start + a_len;
}

static bool same_leg(const struct bc_leg *a, const struct bc_leg *b)
{
	return a->bdev == b->bdev && a->start == b->start;
}

static bool metadata_on_leg(const struct bc_job *job, const struct bc_job *other)
{
	struct bc_leg metadata = { .bdev = job->meta->bdev };
	sector_t len = bdev_nr_sectors(metadata.bdev);

	return legs_overlap(&metadata, len, &other->legs[0], other->len) ||
	       legs_overlap(&metadata, len, &other->legs[1], other->len);
}

static bool metadata_conflict(const struct bc_job *job, const struct bc_job *other)
{
	if (job->meta && other->meta) {
		struct bc_leg ours = { .bdev = job->meta->bdev };
		struct bc_leg theirs = { .bdev = other->meta->bdev };

		if (legs_overlap(&ours, bdev_nr_sectors(ours.bdev), &theirs,
				 bdev_nr_sectors(theirs.bdev)))
			return true;
	}
	return (job->meta && metadata_on_leg(job, other)) ||
	       (other->meta && metadata_on_leg(other, job));
}

/*
 * Another device's job writes to its destination, and its guest to its source, without us being
 * told. When it has finished, its destination is free.
 */
static bool conflict(const struct bc_job *job, const struct bc_job *other)
{
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(job->legs); i++)
		for (k = 0; k < ARRAY_SIZE(other->legs); k++) {
			if (READ_ONCE(other->state) == BC_FINISHED &&
			    &other->legs[k] == READ_ONCE(other->destination))
				continue;
			if (legs_overlap(&job->legs[i], job->len, &other->legs[k], other->len))
				return true;
		}
	return false;
}

/*
 * A new table for a device whose live table is a job as well. When that job has moved the truth, or
 * is about to, the new one must know; otherwise resuming it would take the guest back to a stale
 * source.
 */
static int check_successor(struct bc_job *job, struct bc_job *live)
{
	enum bc_state state = READ_ONCE(live->state);

	smp_rmb();	/* the legs are those of that state; pairs with end_completion() */
	if (state == BC_COMPLETING) {
		job->ti->error = "The live job is completing";
		return -EBUSY;
	}
	if (state == BC_PIVOTED && !same_leg(job->truth, live->destination)) {
		job->ti->error = "The live job has pivoted, its source is stale";
		return -EBUSY;
	}
	if (state != BC_FINISHED && job->args.finished) {
		job->ti->error = "The live job has not finished";
		return -EBUSY;
	}
	if (state != BC_PIVOTED && (job->args.pivoted || READ_ONCE(live->reversals)) &&
	    !same_leg(job->truth, live->source)) {
		job->ti->error = "The live job has not pivoted there, its destination is stale";
		return -EBUSY;
	}
	return 0;
}

static int check(struct bc_job *job)
{
	struct bc_job *other, *live = NULL;

	if (legs_overlap(job->source, job->len, job->destination, job->len)) {
		job->ti->error = "Source and destination overlap";
		return -EINVAL;
	}
	if (job->meta && metadata_on_leg(job, job)) {
		job->ti->error = "Metadata device is a leg";
		return -EINVAL;
	}
	list_for_each_entry(other, &jobs, registered) {
		if (other->md != job->md) {
			if (conflict(job, other) || metadata_conflict(job, other)) {
				job->ti->error = "A leg is in use by another blockcopy job";
				return -EBUSY;
			}
		} else if (READ_ONCE(other->live)) {
			live = other;	/* the youngest; older ones are being taken down */
		}
	}
	return live ? check_successor(job, live) : 0;
}

int bc_registry_add(struct bc_job *job)
{
	int r;

	mutex_lock(&registry_mutex);
	r = check(job);
	if (!r) {
		job->generation = ++generations;
		list_add_tail(&job->registered, &jobs);
	}
	mutex_unlock(&registry_mutex);
	return r;
}

void bc_registry_del(struct bc_job *job)
{
	mutex_lock(&registry_mutex);
	list_del_init(&job->registered);
	mutex_unlock(&registry_mutex);
}

void bc_registry_bury(struct bc_job *job)
{
	mutex_lock(&registry_mutex);
	WRITE_ONCE(job->live, false);
	job->md = NULL;
	job->source->bdev = NULL;
	mutex_unlock(&registry_mutex);
}

/* Context: registry mutex. */
static bool is_older(struct bc_job *other, struct bc_job *job)
{
	return (!other->md || other->md == job->md) && other->generation < job->generation &&
	       legs_overlap(job->destination, job->len, other->destination, other->len);
}

bool bc_registry_has_older(struct bc_job *job)
{
	struct bc_job *other;
	bool older = false;

	mutex_lock(&registry_mutex);
	list_for_each_entry(other, &jobs, registered)
		older |= is_older(other, job);
	mutex_unlock(&registry_mutex);
	return older;
}

int bc_registry_metadata_heir(struct bc_job *job)
{
	struct bc_job *other;
	int heir = 0;

	mutex_lock(&registry_mutex);
	list_for_each_entry(other, &jobs, registered) {
		if (!is_older(other, job))
			continue;
		if (!other->meta || other->meta->bdev != job->meta->bdev ||
		    READ_ONCE(other->meta->state) != BC_META_OK)
			heir = -1;
		/*
		 * I4, I11: dirty in memory only is what was asked for and is not noted yet, and all
		 * that is copied once more after a flush failed, which may still be on its way.
		 */
		else if (bc_intent_asked(other) || (atomic_read(&other->flush_failures) &&
						    !bc_copier_is_quiet(&other->copier)))
			heir = -1;
		else if (!heir)
			heir = 1;
	}
	mutex_unlock(&registry_mutex);
	return heir;
}

bool bc_registry_metadata_busy(struct bc_job *job)
{
	struct bc_job *other;
	bool busy = false;

	mutex_lock(&registry_mutex);
	list_for_each_entry(other, &jobs, registered)
		busy |= other != job && other->meta && other->meta->bdev == job->meta->bdev &&
			READ_ONCE(other->meta->busy);
	mutex_unlock(&registry_mutex);
	return busy;
}

static bool has_younger(struct bc_job *job)
{
	struct bc_job *other;

	list_for_each_entry(other, &jobs, registered)
		if (other->md == job->md && other->generation > job->generation)
			return true;
	return false;
}

bool bc_registry_lock_alone(struct bc_job *job)
{
	mutex_lock(&registry_mutex);
	if (!has_younger(job))
		return true;
	mutex_unlock(&registry_mutex);
	return false;
}

void bc_registry_unlock(void)
{
	mutex_unlock(&registry_mutex);
}

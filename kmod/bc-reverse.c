// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back: "complete <ms> reverse" and "complete <ms> source-failed".
 *
 * A flip happens when the legs are equal, with writes held. Instead of leaving the old source
 * behind the job may then exchange its legs and go on: what was the destination is the source and
 * the truth, and what was the source is kept equal to it. All else that flips waits for no more
 * than this does. Writes are mirrored from the first one on that is released, so there is no moment
 * in which a write reaches the new truth only, but for what write-blocking mode itself lets pass:
 * see bc-mirror.h.
 *
 * It is READY without a flush of its new destination (I5): that has had all flushes of the guest,
 * and owes it nothing else.
 *
 * When the new truth fails, it cannot be read, and what is dirty can not be copied. The old one
 * will do all the same, if it has each write that was acknowledged. "source_only" tells: a region
 * is set there, and dirty, when a write that ended well at the source has not reached the
 * destination, or only may have. It is cleared with the dirty bit. A region that is dirty only
 * because writes failed at the source is not set: nobody was promised anything, and before or after
 * are both right.
 */
#include "bc-job.h"
#include "compat.h"

u64 bc_source_only_bytes(const struct bc_job *job)
{
	const struct bc_bitmap *b = READ_ONCE(job->reversals) ? &job->source_only : &job->dirty;

	return bc_bitmap_count(b) << (job->region_shift + SECTOR_SHIFT);
}

int bc_reverse_prepare(struct bc_job *job)
{
	struct bc_bitmap source_only = {};
	struct file *file;
	int r;

	if (job->meta) {
		DMWARN("%s: cannot reverse a job with metadata", job->name);
		return -EINVAL;
	}
	if (!(dm_table_get_mode(job->ti->table) & BLK_OPEN_WRITE) ||
	    bdev_read_only(job->source->bdev)) {
		DMWARN("%s: cannot reverse: the source is read-only", job->name);
		return -EROFS;
	}
	/* As for each destination: it is open for as long as its bios may be in flight. */
	file = bc_leg_open(job->source);
	if (IS_ERR(file))
		return PTR_ERR(file);
	r = bc_bitmap_init(&source_only, job->dirty.nbits, false);
	if (!r) {
		mutex_lock(&job->lock);
		if (!job->source_only.nbits)
			swap(job->source_only, source_only);
		if (!job->source->file)
			swap(job->source->file, file);
		mutex_unlock(&job->lock);
		bc_bitmap_exit(&source_only);
	}
	if (file)
		bdev_fput(file);
	return r;
}

bool bc_reverse_has_all(struct bc_job *job)
{
	const struct bc_how *how = &job->completion.how;

	if (!how->source_failed)
		return !bc_bitmap_count(&job->dirty);
	return how->lossy || !bc_bitmap_count(&job->source_only);
}

void bc_reverse(struct bc_job *job)
{
	lockdep_assert_held(&job->lock);
	swap(job->source, job->destination);
	WRITE_ONCE(job->truth, job->source);
	WRITE_ONCE(job->reversals, job->reversals + 1);

	/* What was learned of the old destination, and promised. */
	WRITE_ONCE(job->copier.zeroes_work, bdev_write_zeroes_sectors(job->destination->bdev));
	job->copier.alone = false;
	job->args.target_is_zero = false;
	job->args.sync = BC_SYNC_NONE;
	bc_mode_forget(job);
	/* A source that begins to fail is what the way back is for. */
	WRITE_ONCE(job->args.on_source_error, BC_POLICY_IGNORE);
	WRITE_ONCE(job->args.copy_mode, BC_COPY_MODE_WRITE_BLOCKING);
	WRITE_ONCE(job->mirrors.mirroring, true);
}

int bc_reverse_check_failed(struct bc_job *job, bool lossy)
{
	lockdep_assert_held(&job->lock);
	if (!job->reversals) {
		DMWARN("%s: cannot do without the source: the job was never reversed", job->name);
		return -EINVAL;
	}
	if (!lossy && bc_bitmap_count(&job->source_only)) {
		DMWARN("%s: cannot do without the source: %llu bytes are only there", job->name,
		       (unsigned long long)bc_source_only_bytes(job));
		return -EBUSY;
	}
	return 0;
}

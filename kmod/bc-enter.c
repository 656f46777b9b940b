// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which way a guest write goes while writes are mirrored, and who keeps whom out: copies, writes
 * and late writes meet in the tree of ranges. See bc-mirror.h and bc-range.h.
 */
#include "bc-mirrored.h"

/*
 * Something left the tree, or memory came back: wake those who may wait for it. Context: m->lock
 * held. It orders us after a copier that counted its claim and then found it busy.
 */
void bc_mirror_left(struct bc_mirrors *m)
{
	struct bc_job *job = bc_mirrors_job(m);

	if (!bio_list_empty(&m->waiting))
		queue_work(job->wq, &m->retry);
	if (READ_ONCE(job->copier.nr_claimed) ||
	    (!m->nr && READ_ONCE(job->state) == BC_COMPLETING))
		bc_copier_kick(&job->copier);
}

static bool all_dirty(struct bc_job *job, const struct bc_io *io)
{
	unsigned long first = io->start >> job->region_shift;
	unsigned long nr = ((io->start + io->sectors - 1) >> job->region_shift) - first + 1;

	return bc_bitmap_run(&job->dirty, first, nr) == nr;
}

/*
 * I2: the regions that @io covers from end to end need no copy if it is mirrored. Not before the
 * copier has looked for an older job (I4), and not while there is more to a dirty region than its
 * bit: what is still to be listed, could not be read, or is on the source only. Return: whether
 * there are such regions.
 */
static bool replaces_copies(struct bc_job *job, const struct bc_io *io, unsigned long *ret_first,
			    unsigned long *ret_last)
{
	sector_t end = io->start + io->sectors;
	unsigned long first = (io->start + job->args.region_sectors - 1) >> job->region_shift;
	unsigned long after = end == job->len ? job->dirty.nbits : end >> job->region_shift;

	/* Zeroes may be for gigabytes, which the destination would take long for. */
	if (first >= after || io->sectors > job->mirrors.max_sectors)
		return false;
	if (!READ_ONCE(job->copier.alone) || READ_ONCE(job->listing) ||
	    READ_ONCE(job->copier.holes.nr) || READ_ONCE(job->reversals))
		return false;
	*ret_first = first;
	*ret_last = after - 1;
	return true;
}

void bc_mirror_replace_copies(struct bc_mirror *mirror, struct bc_job *job, const struct bc_io *io)
{
	unsigned long first, last;

	lockdep_assert_held(&job->mirrors.lock);
	mirror->replaces = replaces_copies(job, io, &first, &last) &&
			   bc_bitmap_clear(&job->dirty, first, last);
	if (mirror->replaces)
		job->mirrors.replacing++;
}

void bc_mirror_replaced(struct bc_mirror *mirror)
{
	struct bc_job *job = mirror->job;

	lockdep_assert_held(&job->mirrors.lock);
	if (!mirror->replaces)
		return;
	mirror->replaces = false;
	/* Of the last one nobody else would say that all is clean. */
	if (!--job->mirrors.replacing && !bc_bitmap_count(&job->dirty))
		bc_copier_kick(&job->copier);
}

bool bc_mirror_is_clean(struct bc_job *job)
{
	bool clean;

	if (bc_bitmap_count(&job->dirty))
		return false;
	/* Both at once: one that fails sets its bits again, and counts no more. */
	spin_lock_irq(&job->mirrors.lock);
	clean = !job->mirrors.replacing && !bc_bitmap_count(&job->dirty);
	spin_unlock_irq(&job->mirrors.lock);
	return clean;
}

static bool has_equal(struct bc_job *job, struct bio *bio)
{
	if (bio_op(bio) == REQ_OP_WRITE)
		return bio_sectors(bio) <= job->mirrors.max_sectors;
	/* What discards leave behind is for the source to know: it is copied. */
	return bio_op(bio) == REQ_OP_WRITE_ZEROES && READ_ONCE(job->copier.zeroes_work);
}

enum bc_way bc_mirror_choose(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_ranges *ranges = &job->mirrors.ranges;
	u64 end = io->start + io->sectors;
	unsigned long first, last;

	lockdep_assert_held(&job->mirrors.lock);
	/* I3 */
	if (ranges->nr[BC_RANGE_COPY] &&
	    bc_range_find(ranges, BIT(BC_RANGE_COPY), io->start, end))
		return BC_WAY_WAIT;
	if (ranges->nr[BC_RANGE_COMPARE] &&
	    bc_range_find(ranges, BIT(BC_RANGE_COMPARE), io->start, end))
		return BC_WAY_WAIT;
	/* It marks when it ends, and the copy is repeated. */
	if (ranges->nr[BC_RANGE_IDLE] &&
	    bc_range_find(ranges, BIT(BC_RANGE_IDLE), io->start, end))
		return BC_WAY_SOURCE;
	/*
	 * No copy clears the bits while this write is in the tree, as it would wait. A mirrored
	 * write may: then this one marks them again when it ends. That others set them does no
	 * harm.
	 */
	if (!has_equal(job, bio) ||
	    (all_dirty(job, io) && !replaces_copies(job, io, &first, &last)))
		return BC_WAY_SOURCE;
	/* I4 */
	if (ranges->nr[BC_RANGE_LATE] &&
	    bc_range_find(ranges, BIT(BC_RANGE_LATE), io->start, end))
		return BC_WAY_SOURCE;
	/* I12 */
	if (bc_range_find(ranges, BIT(BC_RANGE_MIRROR), io->start, end))
		return BC_WAY_WAIT;
	return BC_WAY_MIRROR;
}

void bc_mirror_claim(struct bc_job *job, struct bc_range *range, enum bc_range_kind kind, u64 start,
		     u64 end)
{
	struct bc_mirrors *m = &job->mirrors;

	spin_lock_irq(&m->lock);
	bc_range_enter(&m->ranges, range, kind, start, end);
	spin_unlock_irq(&m->lock);
}

enum bc_claim bc_mirror_claim_state(struct bc_job *job, struct bc_range *range)
{
	struct bc_mirrors *m = &job->mirrors;
	u64 end = range->last + 1;
	enum bc_claim state;

	spin_lock_irq(&m->lock);
	if (bc_range_find(&m->ranges, BIT(BC_RANGE_LATE), range->start, end))
		state = BC_CLAIM_LATE;
	else if (bc_range_find(&m->ranges, BIT(BC_RANGE_SOURCE) | BIT(BC_RANGE_MIRROR),
			       range->start, end))
		state = BC_CLAIM_BUSY;
	else
		state = BC_CLAIM_FREE;
	spin_unlock_irq(&m->lock);
	return state;
}

void bc_mirror_unclaim(struct bc_job *job, struct bc_range *range)
{
	struct bc_mirrors *m = &job->mirrors;

	spin_lock_irq(&m->lock);
	bc_range_leave(&m->ranges, range);
	bc_mirror_left(m);
	spin_unlock_irq(&m->lock);
}

void bc_mirror_set_idle(struct bc_job *job, struct bc_range *range, bool idle)
{
	enum bc_range_kind kind = idle ? BC_RANGE_IDLE : BC_RANGE_COPY;
	struct bc_mirrors *m = &job->mirrors;

	if (range->kind == kind)	/* the copier alone changes it */
		return;
	spin_lock_irq(&m->lock);
	bc_range_turn(&m->ranges, range, kind);
	if (idle)
		bc_mirror_left(m);
	spin_unlock_irq(&m->lock);
}

bool bc_mirror_find_late(struct bc_job *job, u64 start, u64 end, u64 *ret_start, u64 *ret_end)
{
	struct bc_mirrors *m = &job->mirrors;
	struct bc_range *range;

	if (!READ_ONCE(m->ranges.nr[BC_RANGE_LATE]))
		return false;
	spin_lock_irq(&m->lock);
	range = bc_range_find(&m->ranges, BIT(BC_RANGE_LATE), start, end);
	if (range) {
		*ret_start = range->start;
		*ret_end = range->last + 1;
	}
	spin_unlock_irq(&m->lock);
	return range;
}

void bc_mirror_source_ended(struct bc_job *job, struct bc_io *io)
{
	struct bc_mirrors *m = &job->mirrors;
	unsigned long flags;

	spin_lock_irqsave(&m->lock, flags);
	bc_range_leave(&m->ranges, &io->range);
	bc_mirror_left(m);
	spin_unlock_irqrestore(&m->lock, flags);
}

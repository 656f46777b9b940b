// SPDX-License-Identifier: GPL-2.0-only
/*
 * What could not be read at the source. See bc-holes.h.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "bc-job.h"

/* Between tries. */
#define BACKOFF_MIN_MS	100U
#define BACKOFF_MAX_MS	10000U

static u64 hole_end(const struct bc_hole *hole)
{
	return hole->start + hole->sectors;
}

/* The first one that ends after @sector. */
static unsigned int lower_bound(const struct bc_holes *h, u64 sector)
{
	unsigned int low = 0, high = h->nr;

	lockdep_assert_held(&h->lock);
	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (hole_end(&h->ranges[middle]) > sector)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool insert(struct bc_holes *h, unsigned int i, u64 start, u64 end, bool stale)
{
	if (h->nr == BC_NR_HOLES)
		return false;
	memmove(&h->ranges[i + 1], &h->ranges[i], (h->nr - i) * sizeof(*h->ranges));
	h->ranges[i] = (struct bc_hole) { start, end - start, stale };
	WRITE_ONCE(h->nr, h->nr + 1);
	WRITE_ONCE(h->sectors, h->sectors + end - start);
	return true;
}

static void delete(struct bc_holes *h, unsigned int i)
{
	WRITE_ONCE(h->sectors, h->sectors - h->ranges[i].sectors);
	WRITE_ONCE(h->nr, h->nr - 1);
	memmove(&h->ranges[i], &h->ranges[i + 1], (h->nr - i) * sizeof(*h->ranges));
}

/* Return: whether there is memory for some. */
static bool allocate(struct bc_holes *h)
{
	struct bc_hole *ranges;
	unsigned int noio;

	if (h->ranges)
		return true;
	noio = memalloc_noio_save();
	ranges = kvcalloc(BC_NR_HOLES, sizeof(*ranges), GFP_KERNEL | __GFP_NOWARN);
	memalloc_noio_restore(noio);
	spin_lock_irq(&h->lock);
	h->ranges = ranges;
	spin_unlock_irq(&h->lock);
	return ranges;
}

/* Does the one before @i end here, and in the same region? */
static bool joins(const struct bc_holes *h, unsigned int i, u64 start, u64 region_mask)
{
	return i && hole_end(&h->ranges[i - 1]) == start &&
	       !((h->ranges[i - 1].start ^ start) & ~region_mask);
}

bool bc_holes_add(struct bc_holes *h, u64 start, unsigned int sectors)
{
	struct bc_job *job = container_of(h, struct bc_job, copier.holes);
	u64 region_mask = ((u64)1 << job->region_shift) - 1;
	unsigned int i;
	bool added;

	if (!allocate(h))
		return true;
	spin_lock_irq(&h->lock);
	i = lower_bound(h, start);
	added = i == h->nr || h->ranges[i].start >= start + sectors;
	if (added && joins(h, i, start, region_mask)) {
		h->ranges[i - 1].sectors += sectors;
		h->ranges[i - 1].stale = true;
		WRITE_ONCE(h->sectors, h->sectors + sectors);
	} else if (added) {
		/* Until the copy of the region ends, see bc_holes_settle(). */
		insert(h, i, start, start + sectors, true);
	}
	spin_unlock_irq(&h->lock);
	return added;
}

void bc_holes_remove(struct bc_holes *h, u64 start, unsigned int sectors)
{
	u64 end = start + sectors, last;
	bool removed = false;
	unsigned int i;

	if (!READ_ONCE(h->nr))
		return;
	spin_lock_irq(&h->lock);
	i = lower_bound(h, start);
	while (i < h->nr && h->ranges[i].start < end) {
		struct bc_hole hole = h->ranges[i];

		last = hole_end(&hole);
		delete(h, i);
		removed = true;
		if (hole.start < start)
			insert(h, i++, hole.start, start, hole.stale);
		if (last > end)
			insert(h, i++, end, last, hole.stale);
	}
	spin_unlock_irq(&h->lock);
	if (removed) {
		h->backoff_ms = 0;
		h->retry_at = 0;
	}
}

bool bc_holes_find(struct bc_holes *h, u64 start, u64 end, struct bc_hole *ret)
{
	unsigned long flags;
	unsigned int i;
	bool found;

	if (!READ_ONCE(h->nr))
		return false;
	spin_lock_irqsave(&h->lock, flags);
	i = lower_bound(h, start);
	found = i < h->nr && h->ranges[i].start < end;
	if (found)
		*ret = h->ranges[i];
	spin_unlock_irqrestore(&h->lock, flags);
	return found;
}

static bool set_stale(struct bc_holes *h, u64 start, u64 end, bool stale)
{
	unsigned int first = lower_bound(h, start), i;

	for (i = first; i < h->nr && h->ranges[i].start < end; i++)
		h->ranges[i].stale = stale;
	return i > first;
}

void bc_holes_settle(struct bc_job *job, unsigned long region, bool failed)
{
	struct bc_holes *h = &job->copier.holes;

	if (!READ_ONCE(h->nr))
		return;
	spin_lock_irq(&h->lock);
	smp_mb__after_spinlock();	/* holes, then bit; pairs with the mark of a clear one */
	/*
	 * The bit was clear when the copy began. Who has set it since may have found no hole yet;
	 * who sets it from now on comes to bc_holes_spoil() when we are done.
	 */
	set_stale(h, (u64)region << job->region_shift, (u64)(region + 1) << job->region_shift,
		  failed || bc_bitmap_run(&job->dirty, region, 1));
	spin_unlock_irq(&h->lock);
}

void bc_holes_make_stale(struct bc_job *job, unsigned long first, unsigned long last)
{
	struct bc_holes *h = &job->copier.holes;
	unsigned long flags;
	bool spoilt;

	spin_lock_irqsave(&h->lock, flags);
	spoilt = set_stale(h, (u64)first << job->region_shift,
			   (u64)(last + 1) << job->region_shift, true);
	spin_unlock_irqrestore(&h->lock, flags);
	smp_mb();	/* pairs with the one in settle() */
	if (spoilt && READ_ONCE(job->copier.idle))
		bc_copier_kick(&job->copier);
}

/*
 * When
 */

bool bc_holes_is_due(const struct bc_holes *h, const struct bc_hole *hole)
{
	return ktime_get_ns() >= (hole->stale ? h->stale_at : READ_ONCE(h->retry_at));
}

void bc_holes_tried(struct bc_holes *h, const struct bc_hole *hole)
{
	u64 now = ktime_get_ns();

	h->stale_at = now + (u64)BACKOFF_MIN_MS * NSEC_PER_MSEC;
	if (hole->stale)
		return;
	h->backoff_ms = clamp(h->backoff_ms * 2, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	WRITE_ONCE(h->retry_at, now + (u64)h->backoff_ms * NSEC_PER_MSEC);
}

u64 bc_holes_next_due(struct bc_holes *h)
{
	u64 due = READ_ONCE(h->retry_at);
	unsigned int i;

	spin_lock_irq(&h->lock);
	for (i = 0; i < h->nr; i++)
		if (h->ranges[i].stale)
			break;
	if (i < h->nr)
		due = min(due, h->stale_at);
	spin_unlock_irq(&h->lock);
	return due;
}

void bc_holes_init(struct bc_holes *h)
{
	spin_lock_init(&h->lock);
}

void bc_holes_exit(struct bc_holes *h)
{
	kvfree(h->ranges);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies: runs of dirty regions that the copier has taken.
 *
 * A run of which no copy is in flight is claimed, which keeps mirrored guest writes out (I3). It
 * begins when those inside have left: then the bits are cleared (I2), and its pieces are read.
 */
#include "bc-copier.h"
#include "bc-trace.h"

static u64 copy_bytes(const struct bc_copy *copy)
{
	return (copy->end - copy->start) << SECTOR_SHIFT;
}

static unsigned long first_region(struct bc_job *job, const struct bc_copy *copy)
{
	return copy->start >> job->region_shift;
}

static unsigned long last_region(struct bc_job *job, const struct bc_copy *copy)
{
	return (copy->end - 1) >> job->region_shift;
}

/* Keep mirrored writes out of a run of regions. Those inside may still have to leave. */
static struct bc_copy *claim(struct bc_copier *c, unsigned long region, unsigned long nr)
{
	struct bc_job *job = bc_copier_job(c);
	struct bc_copy *copy = list_first_entry(&c->idle_copies, struct bc_copy, list);

	copy->start = (sector_t)region << job->region_shift;
	copy->end = min_t(sector_t, (sector_t)(region + nr) << job->region_shift, job->len);
	list_move_tail(&copy->list, &c->claimed);
	c->cursor = region + nr;
	/* Before the look at who is inside: those who leave look at it under the same lock. */
	WRITE_ONCE(c->nr_claimed, c->nr_claimed + 1);
	bc_mirror_claim(job, &copy->range, BC_RANGE_COPY, copy->start, copy->end);
	return copy;
}

static void unclaim(struct bc_copier *c, struct bc_copy *copy)
{
	WRITE_ONCE(c->nr_claimed, c->nr_claimed - 1);
	bc_mirror_unclaim(bc_copier_job(c), &copy->range);
	list_move(&copy->list, &c->idle_copies);
	c->cursor = first_region(bc_copier_job(c), copy);
}

/* Has no mirrored write taken its place? None can from now on, as the claim is free. */
static bool is_needed(struct bc_job *job, const struct bc_copy *copy)
{
	unsigned long nr = last_region(job, copy) - first_region(job, copy) + 1;

	return bc_bitmap_run(&job->dirty, first_region(job, copy), nr) == nr;
}

/*
 * One that may begin now, or NULL. It is dirty until it does: nothing flips before (I6). Those that
 * met a late write are withdrawn, as it may take for ever.
 */
static struct bc_copy *free_claim(struct bc_copier *c)
{
	struct bc_copy *copy, *tmp;

	list_for_each_entry_safe(copy, tmp, &c->claimed, list) {
		switch (bc_mirror_claim_state(bc_copier_job(c), &copy->range)) {
		case BC_CLAIM_FREE:
			if (is_needed(bc_copier_job(c), copy))
				return copy;
			unclaim(c, copy);
			break;
		case BC_CLAIM_LATE:
			unclaim(c, copy);
			break;
		case BC_CLAIM_BUSY:
			break;
		}
	}
	return NULL;
}

void bc_copy_withdraw(struct bc_copier *c)
{
	struct bc_copy *copy, *tmp;

	list_for_each_entry_safe(copy, tmp, &c->claimed, list)
		unclaim(c, copy);
}

void bc_copy_begin(struct bc_copier *c, struct bc_copy *copy)
{
	struct bc_job *job = bc_copier_job(c);

	WRITE_ONCE(c->nr_claimed, c->nr_claimed - 1);
	list_move_tail(&copy->list, &c->active);
	copy->next = copy->start;
	copy->pending = 0;
	copy->error = 0;
	copy->holes = false;
	c->current_copy = copy;

	/* I2: before the source is read. The other way round a write in between would be lost. */
	bc_account(&c->in_flight_bytes, c->in_flight_bytes + copy_bytes(copy));
	/* I9: before it looks clean. The clear is a full barrier; pairs with clear_word(). */
	copy->epoch = bc_intent_get_copy(job, first_region(job, copy), last_region(job, copy));
	bc_bitmap_clear(&job->dirty, first_region(job, copy), last_region(job, copy));
	/*
	 * After that, and before the source is read: of a write that marks meanwhile either both
	 * bits stay, or it is dirty only, and in this copy. See bc_job_mark().
	 */
	copy->source_only = job->reversals &&
		bc_bitmap_clear(&job->source_only, first_region(job, copy), last_region(job, copy));
	trace_blockcopy_copy_begin(job->devt, copy->start, copy->end - copy->start, 0);
}

/* A run failed: look at its regions one by one, and first at them. */
static void be_careful(struct bc_copier *c, unsigned long first, unsigned long last)
{
	if (first == last)
		return;
	c->careful_from = first;
	c->careful_to = last + 1;
	c->cursor = first;
}

static void copy_end(struct bc_copier *c, struct bc_copy *copy)
{
	struct bc_job *job = bc_copier_job(c);

	if (copy->error || copy->holes) {
		bc_holes_settle(job, first_region(job, copy), copy->error);
		bc_job_mark(job, first_region(job, copy), last_region(job, copy),
			    copy->source_only);
		if (copy->error && copy->error != -EINTR)
			be_careful(c, first_region(job, copy), last_region(job, copy));
	} else {
		bc_copier_copied(c, copy_bytes(copy));
		bc_copier_recovered(c);
	}
	bc_account(&c->in_flight_bytes, c->in_flight_bytes - copy_bytes(copy));
	trace_blockcopy_copy_end(job->devt, copy->start, copy->end - copy->start,
				 copy->error);
	if (copy->epoch)
		bc_intent_put(job, copy->epoch);
	/* After the marks: who enters must see what the copy left dirty. */
	bc_mirror_unclaim(job, &copy->range);
	list_move(&copy->list, &c->idle_copies);
}

void bc_copy_end_if_over(struct bc_copier *c, struct bc_copy *copy)
{
	if (!copy->pending && copy->next == copy->end)
		copy_end(c, copy);
}

void bc_copy_cut(struct bc_copier *c)
{
	struct bc_copy *copy = c->current_copy;

	if (!copy)
		return;
	c->current_copy = NULL;
	copy->error = copy->error ?: -EINTR;
	copy->next = copy->end;
	bc_copy_end_if_over(c, copy);
}

/*
 * I3: the first active or claimed copy that overlaps the regions, or NULL. They are few, at most
 * BC_NR_PIECES + BC_NR_CLAIMS.
 */
static struct bc_copy *find_active(struct bc_copier *c, sector_t start, sector_t end)
{
	struct bc_copy *copy;

	list_for_each_entry(copy, &c->active, list)
		if (copy->start < end && start < copy->end)
			return copy;
	list_for_each_entry(copy, &c->claimed, list)
		if (copy->start < end && start < copy->end)
			return copy;
	return NULL;
}

/*
 * I3, I4: where in @region up to @end may nothing be copied now? Return: whether there is such a
 * run of regions, the first of them in *@ret_from and the one after in *@ret_to.
 */
static bool find_taken(struct bc_copier *c, unsigned long region, unsigned long end,
		       unsigned long *ret_from, unsigned long *ret_to)
{
	struct bc_job *job = bc_copier_job(c);
	sector_t start = (sector_t)region << job->region_shift;
	sector_t stop = (sector_t)end << job->region_shift;
	struct bc_copy *copy = find_active(c, start, stop);
	u64 from, to;

	if (copy) {
		*ret_from = first_region(job, copy);
		*ret_to = last_region(job, copy) + 1;
		return true;
	}
	if (!bc_mirror_find_late(job, start, stop, &from, &to))
		return false;
	*ret_from = from >> job->region_shift;
	*ret_to = to >> job->region_shift;	/* whole regions, even past the end */
	return true;
}

static bool find_hole(struct bc_copier *c, unsigned long region, unsigned long nr,
		      struct bc_hole *ret)
{
	unsigned int shift = bc_copier_job(c)->region_shift;

	return bc_holes_find(&c->holes, (u64)region << shift, (u64)(region + nr) << shift, ret);
}

/* Has it a hole whose time has not come? */
static bool rests(struct bc_copier *c, unsigned long region)
{
	struct bc_hole hole;

	return find_hole(c, region, 1, &hole) && !bc_holes_is_due(&c->holes, &hole);
}

/* Find a run of dirty regions, up to one piece long, of which none is being copied. */
static bool find_run(struct bc_copier *c, unsigned long *ret_region, unsigned long *ret_nr)
{
	struct bc_job *job = bc_copier_job(c);
	unsigned long most = max(BC_PIECE_SECTORS >> job->region_shift, 1U);
	unsigned long from = c->cursor, region, nr, taken, to;
	struct bc_hole hole;
	bool wrapped = false;

	for (;;) {
		if (!bc_bitmap_next(&job->dirty, from, &region)) {
			if (wrapped)
				return false;
			wrapped = true;
			from = 0;
			continue;
		}
		if (wrapped && region >= c->cursor)
			return false;
		if (find_taken(c, region, region + 1, &taken, &from))
			continue;
		if (!rests(c, region))
			break;
		from = region + 1;
	}

	if (region >= c->careful_from && region < c->careful_to)
		most = 1;
	nr = bc_bitmap_run(&job->dirty, region, most);
	/* Regions with holes go one by one. */
	if (nr > 1 && find_hole(c, region, nr, &hole))
		nr = max(hole.start >> job->region_shift, (u64)region + 1) - region;
	/* A write that became late just now may begin before us; the claim will meet it. */
	while (nr > 1 && find_taken(c, region + 1, region + nr, &taken, &to))
		nr = taken > region ? taken - region : 1;
	*ret_region = region;
	*ret_nr = max(nr, 1UL);
	return true;
}

/* I4: whether an older job of this device may still have writes to the destination in flight. */
static bool alone(struct bc_copier *c)
{
	if (!c->alone)
		WRITE_ONCE(c->alone, !bc_registry_has_older(bc_copier_job(c)));
	return c->alone;
}

struct bc_copy *bc_copy_choose(struct bc_copier *c)
{
	struct bc_copy *copy = free_claim(c);
	unsigned long region, nr;
	struct bc_hole hole;

	while (!copy) {
		if (c->nr_claimed >= BC_NR_CLAIMS || !bc_bitmap_count(&bc_copier_job(c)->dirty) ||
		    !alone(c) || !find_run(c, &region, &nr))
			return NULL;
		if (find_hole(c, region, nr, &hole))
			bc_holes_tried(&c->holes, &hole);
		claim(c, region, nr);
		copy = free_claim(c);
	}
	return copy;
}

bool bc_copy_rests(struct bc_copier *c, u64 *ret_due)
{
	unsigned long region, nr;

	if (!READ_ONCE(c->holes.nr) || !list_empty(&c->active) || !list_empty(&c->claimed) ||
	    ktime_get_ns() < c->retry_at || !alone(c) || find_run(c, &region, &nr))
		return false;
	*ret_due = bc_holes_next_due(&c->holes);
	return true;
}

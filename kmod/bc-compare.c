// SPDX-License-Identifier: GPL-2.0-only
/*
 * What verify has read: is it equal, and where is it not? See bc-verify.h.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "bc-verifying.h"

static bool is_todo(struct bc_verify *v, unsigned long unit)
{
	return bc_bitmap_run(&v->memory.todo, unit, 1);
}

/* Done with it; its bytes count there. */
static void settle(struct bc_verify *v, unsigned long unit, u64 *counter)
{
	u64 bytes = (bc_unit_end(v, unit) - bc_unit_start(v, unit)) << SECTOR_SHIFT;

	bc_bitmap_clear(&v->memory.todo, unit, unit);
	WRITE_ONCE(*counter, *counter + bytes);
	v->settled = true;
}

/* A place in what was read of a leg. */
struct place {
	struct page *chunk;
	unsigned int offset;
	unsigned int chunk_bytes;
};

static struct place place_of(struct bc_verify *v, unsigned int leg, sector_t sector)
{
	struct place p = {
		.chunk = v->legs[leg].chunks,
		.offset = (sector - v->start) << SECTOR_SHIFT,
		.chunk_bytes = PAGE_SIZE << v->memory.pools[leg].order,
	};

	for (; p.offset >= p.chunk_bytes; p.offset -= p.chunk_bytes)
		p.chunk = bc_chunk_next(p.chunk);
	return p;
}

static void advance(struct place *p, unsigned int bytes)
{
	p->offset += bytes;
	if (p->offset == p->chunk_bytes) {
		p->chunk = bc_chunk_next(p->chunk);
		p->offset = 0;
	}
}

/* The first sector from @start up to @end that differs, or that does not; or @end. */
static sector_t find_sector(struct bc_verify *v, sector_t start, sector_t end, bool differs)
{
	struct place a = place_of(v, 0, start), b = place_of(v, 1, start);
	unsigned int n = SECTOR_SIZE;

	for (; start < end; start += n >> SECTOR_SHIFT) {
		/* As much as lies in one chunk of both, first; then sector by sector. */
		n = min3(a.chunk_bytes - a.offset, b.chunk_bytes - b.offset,
			 (unsigned int)((end - start) << SECTOR_SHIFT));
		if (!differs || memcmp(page_address(a.chunk) + a.offset,
				       page_address(b.chunk) + b.offset, n)) {
			n = SECTOR_SIZE;
			if (differs == !!memcmp(page_address(a.chunk) + a.offset,
						page_address(b.chunk) + b.offset, n))
				return start;
		}
		advance(&a, n);
		advance(&b, n);
	}
	return end;
}

static bool unit_differs(struct bc_verify *v, unsigned long unit)
{
	sector_t end = bc_unit_end(v, unit);

	return find_sector(v, bc_unit_start(v, unit), end, true) < end;
}

bool bc_compare_unread(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v->legs); i++)
		if (v->legs[i].status)
			break;
	if (i == ARRAY_SIZE(v->legs))
		return false;
	if (bc_first_unit(v) != bc_last_unit(v)) {
		v->careful_to = bc_last_unit(v) + 1;
		v->cursor = bc_first_unit(v);
		return true;
	}
	DMERR_LIMIT("%s: verify reads %s %llu+%llu: error %d", job->name,
		    i ? "destination" : "source", (unsigned long long)v->start,
		    (unsigned long long)(v->end - v->start),
		    blk_status_to_errno(v->legs[i].status));
	settle(v, bc_first_unit(v), &v->unread_bytes);
	return true;
}

bool bc_compare(struct bc_verify *v)
{
	unsigned long unit;
	bool differs = false;

	for (unit = bc_first_unit(v); unit <= bc_last_unit(v); unit++) {
		if (unit_differs(v, unit))
			differs = true;
		else
			settle(v, unit, &v->compared_bytes);
	}
	return differs;
}

/*
 * What differs
 */

static void note_range(struct bc_verify *v, sector_t start, sector_t sectors)
{
	struct bc_verify_range *last = v->nr_ranges ? &v->memory.ranges[v->nr_ranges - 1] : NULL;

	WRITE_ONCE(v->differing_bytes, v->differing_bytes + (sectors << SECTOR_SHIFT));
	if (last && v->found == v->nr_ranges && last->start + last->sectors == start) {
		last->sectors += sectors;
		return;
	}
	WRITE_ONCE(v->found, v->found + 1);
	if (v->nr_ranges < BC_VERIFY_RANGES)
		v->memory.ranges[v->nr_ranges++] = (struct bc_verify_range) { start, sectors };
}

/* It is copied again, also where it was taken for zero there. */
static void repair(struct bc_job *job, sector_t start, sector_t sectors)
{
	bc_zero_forget(job, start, sectors);
	bc_io_mark(job, start, sectors, true);
}

static void report_unit(struct bc_verify *v, unsigned long unit)
{
	struct bc_job *job = bc_verify_job(v);
	sector_t end = bc_unit_end(v, unit), start, next;

	lockdep_assert_held(&job->lock);
	for (start = bc_unit_start(v, unit); start < end; start = next) {
		start = find_sector(v, start, end, true);
		if (start == end)
			break;
		next = find_sector(v, start, end, false);
		DMWARN_LIMIT("%s: verify: the legs differ at %llu+%llu", job->name,
			     (unsigned long long)start, (unsigned long long)(next - start));
		note_range(v, start, next - start);
		if (v->repair)
			repair(job, start, next - start);
	}
	settle(v, unit, &v->compared_bytes);
}

/* I6: a completion that is under way has looked at what is dirty; it is not for us to change it. */
void bc_compare_report(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	unsigned int shift = job->region_shift - v->unit_shift;
	unsigned long unit, first = ULONG_MAX, last = 0;

	mutex_lock(&job->lock);
	if (!bc_verify_touched(v) && bc_verify_possible(job)) {
		WRITE_ONCE(v->watching, false);
		for (unit = bc_first_unit(v); unit <= bc_last_unit(v); unit++) {
			if (!is_todo(v, unit))
				continue;
			report_unit(v, unit);
			first = min(first, unit);
			last = unit;
		}
		if (v->repair) {
			bc_intent_ask(job, first >> shift, last >> shift);
			v->step = BC_VERIFY_INTENT;
		}
	}
	mutex_unlock(&job->lock);
}

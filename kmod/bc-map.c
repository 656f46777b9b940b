// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages "map": which sectors may differ, and which could not be read.
 *
 * An answer has room for so much; its last line says where to ask on. What is looked at for one
 * line is bounded, and so are the lines: nothing here takes long, however large the device.
 */
#include "bc-job.h"

/* Regions that one look takes for a run, and looks that one message takes. */
#define MOST_REGIONS	65536UL
#define MOST_LOOKS	4096

/* What one line and the last one take at most. */
#define LINE_BYTES	48

struct answer {
	char *result;
	unsigned int maxlen;
	unsigned int sz;
	unsigned int lines;
	unsigned int most_lines;
	u64 start;			/* the line that may still grow; empty: none */
	u64 end;
};

static bool has_room(const struct answer *a)
{
	return a->lines < a->most_lines && a->sz + 2 * LINE_BYTES < a->maxlen;
}

static void end_line(struct answer *a)
{
	char *result = a->result;
	unsigned int sz = a->sz, maxlen = a->maxlen;

	if (a->start == a->end)
		return;
	DMEMIT("%llu %llu\n", (unsigned long long)a->start,
	       (unsigned long long)(a->end - a->start));
	a->sz = sz;
	a->lines++;
	a->start = a->end;
}

/* Return: false if it has no room any more. */
static bool emit(struct answer *a, u64 start, u64 end)
{
	if (start != a->end)
		end_line(a);
	if (a->start == a->end) {
		if (!has_room(a))
			return false;
		a->start = start;
	}
	a->end = end;
	return true;
}

static void finish(struct answer *a, u64 next)
{
	char *result = a->result;
	unsigned int sz, maxlen = a->maxlen;

	end_line(a);
	sz = a->sz;
	DMEMIT("%llu", (unsigned long long)next);
}

/*
 * The next regions from @region on that are dirty or being copied, or where a mirrored write may
 * have taken the place of a copy. All these enter the tree before they clear their bits, and leave
 * it after they have set them again, if they have to.
 *
 * Context: mirrors.lock held. Return: whether there are some.
 */
static bool find_regions(struct bc_job *job, unsigned long region, unsigned long *ret_first,
			 unsigned long *ret_last)
{
	unsigned int kinds = BIT(BC_RANGE_COPY) | BIT(BC_RANGE_IDLE);
	unsigned long first = job->dirty.nbits;
	struct bc_range *range = NULL;

	lockdep_assert_held(&job->mirrors.lock);
	if (job->mirrors.replacing)
		kinds |= BIT(BC_RANGE_MIRROR);
	bc_bitmap_next(&job->dirty, region, &first);
	if (first > region)
		range = bc_range_find(&job->mirrors.ranges, kinds, (u64)region << job->region_shift,
				      (u64)first << job->region_shift);
	if (range) {
		*ret_first = max_t(unsigned long, region, range->start >> job->region_shift);
		*ret_last = range->last >> job->region_shift;
		return true;
	}
	if (first == job->dirty.nbits)
		return false;
	*ret_first = first;
	/* It may have been cleared since; then a copy of it has begun. */
	*ret_last = first + max(bc_bitmap_run(&job->dirty, first, MOST_REGIONS), 1UL) - 1;
	return true;
}

/*
 * The next range that differs from @from on, to *@ret_end; an empty one leads past what does not.
 *
 * Context: mirrors.lock held. Return: false if there is none.
 */
static bool find_range(struct bc_job *job, u64 from, u64 *ret_start, u64 *ret_end)
{
	unsigned int shift = job->region_shift;
	struct bc_holes *h = &job->copier.holes;
	unsigned long first, last, region;
	struct bc_hole hole;
	u64 end;

	if (!find_regions(job, from >> shift, &first, &last))
		return false;
	*ret_start = max(from, (u64)first << shift);
	*ret_end = min_t(u64, (u64)(last + 1) << shift, job->len);
	if (!bc_holes_find(h, (u64)first << shift, *ret_end, &hole))
		return true;
	region = hole.start >> shift;
	if (region > first) {
		*ret_end = (u64)region << shift;
		return true;
	}
	end = min_t(u64, (u64)(first + 1) << shift, job->len);
	*ret_end = end;
	if (hole.stale)
		return true;
	/* The rest of the region was copied, and not written to since. */
	if (!bc_holes_find(h, *ret_start, end, &hole)) {
		*ret_start = end;
		return true;
	}
	*ret_start = max(*ret_start, hole.start);
	*ret_end = hole.start + hole.sectors;
	return true;
}

static u64 list_dirty(struct bc_job *job, u64 from, struct answer *a)
{
	unsigned int looks;
	u64 start, end;
	bool found;

	for (looks = 0; looks < MOST_LOOKS; looks++) {
		spin_lock_irq(&job->mirrors.lock);
		found = find_range(job, from, &start, &end);
		spin_unlock_irq(&job->mirrors.lock);
		if (!found)
			return job->len;
		if (start < end && !emit(a, start, end))
			return start;
		from = end;
		if (from == job->len)
			break;
		cond_resched();
	}
	return from;
}

/* I11: nobody knows yet. */
static u64 list_all(struct bc_job *job, u64 from, struct answer *a)
{
	emit(a, from, job->len);
	return job->len;
}

static u64 list_holes(struct bc_job *job, u64 from, struct answer *a)
{
	struct bc_hole hole;

	while (bc_holes_find(&job->copier.holes, from, job->len, &hole)) {
		u64 start = max(from, hole.start);

		if (!emit(a, start, hole.start + hole.sectors))
			return start;
		from = hole.start + hole.sectors;
		cond_resched();
	}
	return job->len;
}

int bc_map(struct bc_job *job, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct answer a = { .result = result, .maxlen = maxlen, .most_lines = UINT_MAX };
	bool holes = argc && !strcmp(argv[0], "unread");
	u64 from, next;

	if (holes) {
		argc--;
		argv++;
	}
	if (argc < 1 || argc > 2 || kstrtou64(argv[0], 10, &from) || from >= job->len ||
	    (argc == 2 && (kstrtouint(argv[1], 10, &a.most_lines) || !a.most_lines))) {
		DMWARN("%s: map: need [unread] <start> [<lines>]", job->name);
		return -EINVAL;
	}
	if (maxlen)
		*result = '\0';
	if (holes)
		next = list_holes(job, from, &a);
	else if (smp_load_acquire(&job->listing))	/* pairs with bc_list_end() */
		next = list_all(job, from, &a);
	else
		next = list_dirty(job, from, &a);
	finish(&a, next);
	return 1;
}

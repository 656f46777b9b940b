// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges that somebody works on. See bc-range.h.
 */
#include <linux/bits.h>
#include <linux/interval_tree_generic.h>

#include "bc-range.h"

#define START(range) ((range)->start)
#define LAST(range) ((range)->last)

INTERVAL_TREE_DEFINE(struct bc_range, rb, u64, subtree_last, START, LAST, static inline, tree)

void bc_range_enter(struct bc_ranges *ranges, struct bc_range *range, enum bc_range_kind kind,
		    u64 start, u64 end)
{
	range->start = start;
	range->last = end - 1;
	range->kind = kind;
	tree_insert(range, &ranges->root);
	ranges->nr[kind]++;
}

void bc_range_leave(struct bc_ranges *ranges, struct bc_range *range)
{
	tree_remove(range, &ranges->root);
	ranges->nr[range->kind]--;
}

struct bc_range *bc_range_find(struct bc_ranges *ranges, unsigned int kinds, u64 start, u64 end)
{
	struct bc_range *range = tree_iter_first(&ranges->root, start, end - 1);

	while (range && !(kinds & BIT(range->kind)))
		range = tree_iter_next(range, start, end - 1);
	return range;
}

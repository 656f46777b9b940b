/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which ranges of the target somebody works on, while guest writes are mirrored: an interval tree.
 *
 *	BC_RANGE_COPY	a copy, in whole regions. It has been claimed: no write enters any more,
 *			and the copy begins when those inside have left.
 *	BC_RANGE_IDLE	a copy that has begun, and that waits for its turn by a limit or after an
 *			error: writes to the source enter
 *	BC_RANGE_COMPARE what verify reads when it was written to each time before: no mirrored
 *			write enters, for a moment
 *	BC_RANGE_SOURCE	a guest write that goes to the source only and marks when it ends
 *	BC_RANGE_MIRROR	a guest write that goes to both legs
 *	BC_RANGE_LATE	a destination write, in whole regions, whose guest was acknowledged because
 *			it took too long (I4)
 *
 * Copies overlap no other copy and no late write. Whether a range may enter is the callers' to look
 * up. The lock is the callers' as well: bc_mirrors.lock.
 */
#ifndef BC_RANGE_H
#define BC_RANGE_H

#include <linux/rbtree.h>
#include <linux/types.h>

enum bc_range_kind {
	BC_RANGE_COPY,
	BC_RANGE_IDLE,
	BC_RANGE_COMPARE,
	BC_RANGE_SOURCE,
	BC_RANGE_MIRROR,
	BC_RANGE_LATE,
	BC_RANGE_KINDS,
};

struct bc_range {
	struct rb_node rb;
	u64 start;			/* sectors of the target, both inclusive */
	u64 last;
	u64 subtree_last;		/* of the tree */
	enum bc_range_kind kind;
};

struct bc_ranges {
	struct rb_root_cached root;
	unsigned int nr[BC_RANGE_KINDS];
};

static inline void bc_ranges_init(struct bc_ranges *ranges)
{
	*ranges = (struct bc_ranges) { .root = RB_ROOT_CACHED };
}

/* Enter @range, which was not in a tree, for @start up to but not including @end. */
void bc_range_enter(struct bc_ranges *ranges, struct bc_range *range, enum bc_range_kind kind,
		    u64 start, u64 end);
void bc_range_leave(struct bc_ranges *ranges, struct bc_range *range);

/* It becomes another kind, where it is. */
static inline void bc_range_turn(struct bc_ranges *ranges, struct bc_range *range,
				 enum bc_range_kind kind)
{
	ranges->nr[range->kind]--;
	ranges->nr[kind]++;
	range->kind = kind;
}

/*
 * Does a range of one of @kinds, a mask of BIT(enum bc_range_kind), overlap @start up to @end?
 *
 * Return: the one that begins first, or NULL.
 */
struct bc_range *bc_range_find(struct bc_ranges *ranges, unsigned int kinds, u64 start, u64 end);

#endif /* BC_RANGE_H */

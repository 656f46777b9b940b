/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holes: what the copier could not read at the source, in sectors (policy "ignore").
 *
 * A region with a hole stays dirty; what can be read of it is copied all the same. A hole is
 * "stale" when the guest has written to its region since that was copied last: then more than the
 * hole may differ, and the hole may have healed. The others are tried again ever more slowly, one
 * at a time.
 *
 * No range crosses the border of a region. There is room for a number of them; a region whose holes
 * have none is dirty like any, and tried again like any.
 */
#ifndef BC_HOLES_H
#define BC_HOLES_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct bc_job;

#define BC_NR_HOLES	16384U

struct bc_hole {
	u64 start;			/* sectors of the target */
	u32 sectors;
	bool stale;
};

struct bc_holes {
	spinlock_t lock;		/* interrupts too; guards the ranges and their counts */
	struct bc_hole *ranges;		/* sorted; NULL before the first */
	unsigned int nr;		/* read without the lock */
	u64 sectors;			/* shown */

	/* The copier's. */
	unsigned int backoff_ms;
	u64 retry_at;			/* ns; when the next one is tried */
	u64 stale_at;			/* ns; when the next stale one is */
};

void bc_holes_init(struct bc_holes *h);
void bc_holes_exit(struct bc_holes *h);

/* These sectors could not be read. Context: the copier's work. Return: whether they are new. */
bool bc_holes_add(struct bc_holes *h, u64 start, unsigned int sectors);

/* They were copied. Context: the copier's work. */
void bc_holes_remove(struct bc_holes *h, u64 start, unsigned int sectors);

/* The first hole in @start up to @end, or false. Context: any. */
bool bc_holes_find(struct bc_holes *h, u64 start, u64 end, struct bc_hole *ret);

/* What could be read of this region was copied, or not (@failed). Context: the copier's work. */
void bc_holes_settle(struct bc_job *job, unsigned long region, bool failed);

/* For bc_holes_spoil(), which is for all to call. Context: any. */
void bc_holes_make_stale(struct bc_job *job, unsigned long first, unsigned long last);

/* May it be tried now? Then it has to be told, too: the others wait. Context: the copier's work. */
bool bc_holes_is_due(const struct bc_holes *h, const struct bc_hole *hole);
void bc_holes_tried(struct bc_holes *h, const struct bc_hole *hole);

/* When the next one may be tried, ns. Context: the copier's work. */
u64 bc_holes_next_due(struct bc_holes *h);

/*
 * Messages "map": what may differ, and what of it could not be read. Context: process. Return: 1,
 * or -EINVAL.
 */
int bc_map(struct bc_job *job, unsigned int argc, char **argv, char *result, unsigned int maxlen);

#endif /* BC_HOLES_H */

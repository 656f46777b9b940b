/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Message "verify": are the legs equal, while the guest writes?
 *
 * A piece of up to 1 MiB is read from both legs without a lock, and no guest write waits for that.
 * What is equal is done with. What differs may only be a write, or a copy, on its way; before it is
 * reported it is proven that there was none while the legs were read:
 *
 *  1. Before the reads the regions of the piece are "watched": whoever marks them, or mirrors a
 *     write to them, "touches" the watch. Those that are dirty then, or that are in the tree of
 *     ranges, count as touched.
 *  2. The legs are read, and differ.
 *  3. job->writes takes a turn: guest writes that come from now on hold the other reference. When
 *     the first one has no holder any more, each write that may have been in flight during the
 *     reads has ended, and has touched: in background mode it marks before it puts its reference,
 *     and a mirrored write touches when it enters the tree.
 *  4. A piece that was not touched until now differs. One that was is looked at again later, region
 *     by region, with those that are dirty. Copies begin only where something is dirty, so that
 *     steps 1 and 3 cover them.
 *
 * What is mirrored to so often that each look fails would never be settled. In the third round it
 * is claimed, as for a copy: writes there wait until one region was read, CLAIM_TIME at most.
 * Nothing that is reported depends on that.
 *
 * It ends when all is settled, or when nothing was for a number of rounds in a row: what is left is
 * dirty, or written to, all the time.
 */
#ifndef BC_VERIFY_H
#define BC_VERIFY_H

#include <linux/blk_types.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "bc-bitmap.h"
#include "bc-pool.h"
#include "bc-range.h"
#include "bc-throttle.h"
#include "blockcopy-abi.h"

struct bc_job;

/* So many ranges that differ are kept, the others are only counted. */
#define BC_VERIFY_RANGES	((unsigned int)BLOCKCOPY_VERIFY_RANGES)

enum bc_verify_state {
	BC_VERIFY_NONE,
	BC_VERIFY_RUNNING,
	BC_VERIFY_DONE,
	BC_VERIFY_STOPPED,		/* by a message, or as the legs may differ from now on */
	BC_VERIFY_STATE_MAX,
};

extern const char *const bc_verify_state_names[BC_VERIFY_STATE_MAX];

enum bc_verify_step {
	BC_VERIFY_CHOOSE,
	BC_VERIFY_CLAIM,		/* of what is written to each time */
	BC_VERIFY_READ,
	BC_VERIFY_TURN,
	BC_VERIFY_INTENT,		/* of what is to be repaired: until it is durable */
};

struct bc_verify_leg {
	struct bc_verify *verify;
	struct page *chunks;
	blk_status_t status;
};

/* In sectors. */
struct bc_verify_range {
	u64 start;
	u64 sectors;
};

struct bc_verify_memory {
	struct bc_bitmap todo;		/* units that are not settled */
	struct bc_pool pools[2];	/* of one piece each */
	struct bc_verify_range *ranges;	/* stays when it ends; under job->lock */
};

struct bc_verify {
	bool watching;			/* the watch: see bc_verify_touch() */
	bool touched;
	unsigned long watch_first;	/* regions, both inclusive */
	unsigned long watch_last;

	enum bc_verify_state state;	/* job->lock; shown */
	bool stop;			/* job->lock, read without */
	bool turn;			/* job->lock, likewise: job->writes is to take one */
	bool running;			/* the work */
	wait_queue_head_t quiet;	/* woken when that ends, and when a turn is over */
	atomic_t reads;			/* in flight */
	struct work_struct work;	/* on the copier's queue: may block in submit_bio() */
	struct delayed_work timer;	/* kicks */

	/* The work's, while it is in state RUNNING. */
	enum bc_verify_step step;
	bool repair;
	struct bc_verify_memory memory;
	unsigned int unit_shift;	/* of sectors: a region, or a piece if that is less */
	sector_t from;			/* what was asked for */
	sector_t to;
	unsigned long cursor;		/* the next unit */
	unsigned long careful_to;	/* a piece was unreadable: one by one, up to this one */
	unsigned int round;
	unsigned int barren;		/* rounds in a row in which nothing was settled */
	bool settled;			/* something was, in this round */
	sector_t start;			/* the piece */
	sector_t end;
	bool claimed;			/* kept free from mirrored writes, until then at most */
	unsigned long claimed_until;	/* jiffies */
	struct bc_range range;
	struct bc_verify_leg legs[2];
	struct bc_throttle shared;	/* what the copier leaves of the job's limit */
	struct bc_throttle own;
	u64 copied_bytes;		/* of the copier, as last charged */

	/* What it found, until the next one. */
	unsigned int nr_ranges;		/* in memory.ranges; under job->lock */
	u64 found;			/* ranges; shown, as is what follows */
	u64 differing_bytes;
	u64 total_bytes;
	u64 compared_bytes;
	u64 unread_bytes;
};

void bc_verify_init(struct bc_job *job);

/* Stop it, wait for what is in flight, free. Context: process. */
void bc_verify_exit(struct bc_job *job);

/*
 * Messages: begin (the words after "verify"), stop, and the list of what differs. Context: process,
 * may sleep. Return: 0 or -errno.
 */
int bc_verify_begin(struct bc_job *job, unsigned int argc, char **argv);
int bc_verify_stop(struct bc_job *job);
void bc_verify_list(struct bc_job *job, char *result, unsigned int maxlen);

/* Nothing of it is in flight, nor will be. Context: any. */
bool bc_verify_is_quiet(struct bc_job *job);

/*
 * The copier is stopped, so that nothing is read from now on: wait up to @timeout jiffies for what
 * is in flight. Context: process. Return: whether nothing is.
 */
bool bc_verify_hold(struct bc_job *job, unsigned long timeout);

/* The state has changed, or one of job->writes has no holder any more: look again. Context: any. */
void bc_verify_kick(struct bc_job *job);

#endif /* BC_VERIFY_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write-blocking mode: guest writes that reach both legs before they are acknowledged.
 *
 * While bc_mirrors.mirroring is set a guest write enters the tree of ranges and goes one of three
 * ways:
 *
 *	wait	a copy has claimed the range, or an earlier mirrored write overlaps it (I12), or
 *		there is no memory. Tried again when something leaves the tree; after write_timeout
 *		it goes to the source as in background mode.
 *	source	all its regions are dirty and it covers none from end to end, or one has a late
 *		write, or the operation has no exact equal on the destination: to the source only.
 *		It marks when it ends.
 *	mirror	to both legs from one private copy of the data (I12). Dirty regions that it covers
 *		from end to end are clean from then on, the others stay as clean or dirty as they
 *		were; unless a leg fails.
 *
 * What it covers needs no copy (I2): as large writes converge the sooner, so does the job. Their
 * bits are cleared before either leg is sent. It is as with a copy: a write to the source that
 * overlaps marks when it ends, which is after the clear, or it had ended before, and is overwritten
 * on both legs. No copy is in flight there, as the write is in the tree, and no older job's (I4).
 *
 * A mirrored write may cover clean and dirty regions, which is less than I3 says: it then reaches
 * the destination's dirty regions as well, which does no harm, as a copy of them waits for it. Sent
 * to the source alone it would make the clean ones dirty, and large writes would keep the job from
 * converging.
 *
 * A destination that has not answered after write_timeout: the regions are marked, the guest is
 * acknowledged as soon as the source has ended, and the range stays in the tree, in whole regions,
 * until the answer comes. No copy and no mirrored write goes there meanwhile (I4). The job falls
 * back to background mode.
 *
 * Each write looks at "mirroring" once. Writes of both modes may overlap for a while: one of
 * background mode marks when it ends, so that whatever order the legs saw, the region is copied
 * again.
 */
#ifndef BC_MIRROR_H
#define BC_MIRROR_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "bc-range.h"

struct bc_io;
struct bc_job;
struct bc_mirror;

struct bc_mirrors {
	bool mirroring;			/* written under job->lock; see bc-mode.c */

	spinlock_t lock;		/* interrupts too; guards what follows */
	struct bc_ranges ranges;
	struct list_head young;		/* mirrored writes whose guests wait */
	struct list_head to_send;	/* those whose destination bio is to be submitted */
	struct bio_list waiting;	/* guest writes */
	struct bc_mirror *reserve;	/* keeps one write going without memory */
	bool reserve_used;
	unsigned int max_sectors;	/* of one mirrored write with data */
	unsigned int nr;		/* mirrored writes of which a leg has not ended; shown */
	unsigned int nr_late;		/* of them, whose guests do not wait; shown */
	unsigned int replacing;		/* whose regions look clean, and are not there yet */
	u64 bytes;			/* private copies */
	blk_status_t error;		/* of the destination, for the copier to see to */
	unsigned int errors;		/* how many there were */
	bool flush_failed;		/* likewise */
	u64 latency_ns;			/* of destination writes, sum and number, for bc-mode.c */
	u64 latency_nr;
	u64 mirrored_bytes;		/* shown */
	u64 timeouts;			/* shown */

	struct work_struct send;	/* on the copier's queue: may block in submit_bio() */
	struct work_struct retry;	/* of those that wait */
	struct delayed_work timer;
	wait_queue_head_t quiet;	/* woken when nr is 0 */
};

int bc_mirror_init(struct bc_job *job);

/* Wait until nothing is in flight, and free. Context: process. */
void bc_mirror_exit(struct bc_job *job);

/*
 * Send a guest write on its way; it holds a reference of job->writes, bc_io has its range.
 *
 * Context: process. Return: DM_MAPIO_REMAPPED when the bio is to be sent to the source, or
 * DM_MAPIO_SUBMITTED.
 */
int bc_mirror_map(struct bc_job *job, struct bio *bio);

/*
 * I7: not for longer than write_timeout since the guest sent it. One that was parked for that long
 * goes to the source, as in background mode. Context: any.
 */
bool bc_mirror_may_wait(struct bc_job *job, const struct bc_io *io);

/* An empty flush, to both legs. Return: as above. */
int bc_mirror_flush(struct bc_job *job, struct bio *bio);

/* A tracked write that went to the source has ended, and marked. Context: any. */
void bc_mirror_source_ended(struct bc_job *job, struct bc_io *io);

/* Do not let guests wait for the destination any longer. Context: process. */
void bc_mirror_expire_all(struct bc_job *job);

/* Try those that wait again. Context: any. */
void bc_mirror_retry(struct bc_job *job);

/*
 * I6: no mirrored write or flush is in flight, late ones included, and the copier has seen to the
 * errors of those that were. Context: process.
 */
bool bc_mirror_is_idle(struct bc_job *job);

/*
 * I5: nothing is dirty, and what a mirrored write has taken the place of a copy for is at the
 * destination. Context: process.
 */
bool bc_mirror_is_clean(struct bc_job *job);

bool bc_mirror_has_error(struct bc_job *job);

/* The destination failed a flush that was neither the guest's nor the copier's. Context: any. */
void bc_mirror_flush_failed(struct bc_job *job, blk_status_t status);

/*
 * A copy, or a comparison, claims its regions: no mirrored write enters any more. It may begin when
 * the claim is free. One that meets a late write is to be withdrawn.
 *
 * Context: the copier's work, or that of verify.
 */
enum bc_claim { BC_CLAIM_FREE, BC_CLAIM_BUSY, BC_CLAIM_LATE };
void bc_mirror_claim(struct bc_job *job, struct bc_range *range, enum bc_range_kind kind, u64 start,
		     u64 end);
enum bc_claim bc_mirror_claim_state(struct bc_job *job, struct bc_range *range);
void bc_mirror_unclaim(struct bc_job *job, struct bc_range *range);

/* A copy that has begun stands still, or goes on: writes do not wait for it meanwhile. */
void bc_mirror_set_idle(struct bc_job *job, struct bc_range *range, bool idle);

/* Is there a late write in @start up to @end? Return: its regions in *@ret_start, *@ret_end. */
bool bc_mirror_find_late(struct bc_job *job, u64 start, u64 end, u64 *ret_start, u64 *ret_end);

#endif /* BC_MIRROR_H */

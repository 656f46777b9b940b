/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When guest writes are mirrored: the copy mode, and what the destination allows.
 *
 * "auto" looks twice a second. It goes to mirroring when the guest makes a quarter of what is
 * copied dirty again, and back when the destination makes guest writes wait for long. Where little
 * is dirty and yet much is copied, as each small write has its whole region copied, it tries
 * mirroring to save that, and gives it up if the guest writes a quarter less than before.
 *
 * A time-out ends mirroring at once, in "write-blocking" as well; it is tried again after a
 * hold-off that doubles with each time, 5 to 60 s. Copying goes on all the time. When dirty regions
 * do not become fewer during a hold-off, bounded latency and convergence are not to be had
 * together: the guest wins, and the event "falling-behind" says so.
 */
#ifndef BC_MODE_H
#define BC_MODE_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct bc_job;

/* Under job->lock. */
struct bc_mode {
	bool wanted;			/* by "auto" */
	bool modest;			/* the copier is to keep the destination's queue short */
	const char *why;		/* of the next change, for the event; NULL for none */
	bool held_off;
	bool behind;			/* the event was sent in this hold-off */
	unsigned int stalled;		/* windows in a row without headway */
	unsigned int slow;		/* windows in a row with slow mirrored writes */
	unsigned int trial;		/* sectors written in the window before; 0: none */
	unsigned int poor;		/* windows on trial with less */
	bool dear;			/* it was tried, and cost the guest too much */
	unsigned int hold_off_s;
	unsigned long hold_off_until;	/* jiffies */
	unsigned long good_since;	/* jiffies */
	unsigned long window_ends;	/* jiffies */
	u64 dirty;			/* bytes, at the end of the last window */
	u64 copied;
	u64 copied_before;		/* the hold-off */
	u64 latency_ns;
	u64 latency_nr;
	unsigned int written;		/* by the guest, at the end of the last window */
	struct delayed_work tick;
};

void bc_mode_init(struct bc_job *job);
void bc_mode_exit(struct bc_job *job);

/* The job became live. Context: process. */
void bc_mode_start(struct bc_job *job);

/*
 * Something that it depends on has changed: mirror or do not.
 *
 * Context: process, job->lock held.
 */
void bc_mode_update(struct bc_job *job);

/* What was tried with another mode or destination is of no account. Context: job->lock held. */
void bc_mode_forget_trial(struct bc_job *job);

/* The destination is another one now. Context: job->lock held. */
void bc_mode_forget(struct bc_job *job);

/* A guest write waited for the destination for too long. Context: process. */
void bc_mode_fall_back(struct bc_job *job);

#endif /* BC_MODE_H */

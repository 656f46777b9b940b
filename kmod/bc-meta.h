/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A job's metadata: which regions may differ after a crash, kept on a device of its own. For the
 * format see bc-format.h; bc-meta.c has the device and its superblock, bc-intent.c the bitmap.
 *
 * I9, the two halves of it:
 *
 *  - A guest write is sent when the intent bits of its regions are durable. "gate" has a bit for
 *    each region of which that is known; a write that finds one missing waits while the metadata's
 *    work writes the block. Those that wait at one moment share that write.
 *
 *  - A bit is cleared when the legs are equal there, and durably so. The work closes the gate of
 *    regions that are clean and were not written to lately; from then on who writes there waits and
 *    is seen. It waits for all writes and copies that began before (they hold a reference of an
 *    "epoch"), flushes both legs, and clears the bits of the regions that are still clean, whose
 *    gate nobody had opened again, and of which no copy has begun since ("copied").
 *
 * So at every moment a region that differs, or whose equality is not durable, has its bit on disk:
 * "on_disk" has at least the bits of "gate", and those of all dirty regions that a write or the
 * beginning of the job made so.
 *
 * The metadata device can not hurt the guest: after an error, or when it does not answer within
 * write_timeout, the job goes on without it and says so. What is on it then is not to be believed,
 * and the work tries to write that down, again and again.
 */
#ifndef BC_META_H
#define BC_META_H

#include <linux/bio.h>
#include <linux/percpu-refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "bc-format.h"

struct bc_io;
struct bc_job;

/* Blocks of the bitmap that are written at a time. */
#define BC_META_SLOTS	16

enum bc_meta_state {
	BC_META_OFF,			/* not looked at yet */
	BC_META_OK,
	BC_META_FAILED,			/* without it, see above */
	BC_META_DETACHED,		/* likewise, and that is written down there */
	BC_META_STATE_MAX,
};

extern const char *const bc_meta_state_names[BC_META_STATE_MAX];

/* A pass that clears bits. */
/* The legs that are flushed before bits are cleared. */
enum { BC_FLUSH_SOURCE, BC_FLUSH_DESTINATION };

enum bc_clear_phase {
	BC_CLEAR_IDLE,
	BC_CLEAR_DRAIN,			/* what began before the gate was closed, ends */
	BC_CLEAR_FLUSH,			/* of both legs */
};

struct bc_meta {
	struct bc_job *job;
	struct dm_dev *dev;		/* the table's, NULL when that is gone */
	struct file *file;		/* open for as long as bios may be in flight */
	struct block_device *bdev;

	enum bc_meta_state state;	/* under lock; shown */
	bool told;			/* what may differ, and no older job knows more */
	bool open;			/* writes need their intent; under lock, read without */
	bool closed;			/* all of them wait, for a record; under lock, likewise */
	bool stopped;			/* no I/O any more (suspended); pairs with busy */
	bool busy;			/* the work has I/O in flight */
	wait_queue_head_t quiet;	/* woken when it has none, and no flush either */

	spinlock_t lock;		/* process context; guards also what follows */
	struct bio_list waiting;	/* guest writes, for their intent */
	struct bio_list batch;		/* those whose intent is being written */
	struct bio_list admitted;	/* those that may be sent */
	struct work_struct send;	/* on job->wq */
	enum bc_outcome wanted;		/* to be in the superblock */
	u64 record_hold;		/* number of the hold that waits for that, 0 for none */
	u64 recorded;			/* of the one that it was written for last; the work's */

	/* The bitmap: one bit for each region. The work alone changes it. */
	unsigned long nr_words;
	unsigned long *gate;		/* read by all */
	unsigned long *on_disk;
	unsigned long *hot;		/* one bit for each word: written to lately; set by all */
	unsigned long *copied;		/* likewise: a copy has begun since the pass did */
	unsigned long *blocks;		/* of the disk, that a set touched */
	unsigned long *clearing;	/* likewise, a pass that clears */
	unsigned long nr_blocks;
	bool asked;			/* under lock: see bc_intent_ask() */
	unsigned long asked_first;
	unsigned long asked_last;
	u64 nr_set;			/* of on_disk; shown */

	/* Who has one began when it was the current one. */
	struct percpu_ref epochs[2];
	unsigned int epoch;		/* the current one; written by the work */
	bool drained;			/* the other one has no user any more */

	enum bc_clear_phase phase;
	int flush_failures;		/* of the job, when the pass began */
	atomic_t flushes;		/* mask: in flight, or about to be */
	struct bio *flush_bios;		/* of BC_FLUSH_... each */
	blk_status_t flush_status[2];
	struct work_struct flush;	/* on the copier's queue: may block in submit_bio() */

	struct workqueue_struct *wq;
	struct work_struct work;
	struct delayed_work tick;	/* the next pass, or try to tell that it failed */
	struct delayed_work timer;	/* of those that wait; on job->wq */
	bool pass_due;			/* to cool what is hot by one step, too */
	bool copied_much;		/* since the last pass */
	u64 copied_bytes;		/* of the copier, at the last pass; the copier's */
	unsigned long last_pass;	/* jiffies */

	struct bc_format_super *super;	/* the one in force, as on disk; 0 before it is known */
	bool super_unread;		/* because of an I/O error */
	atomic_t pending;		/* slots in flight */
	blk_status_t status;		/* of them */
	struct completion written;
	struct bio *bios;		/* one for each slot */
	struct bio_vec vecs[BC_META_SLOTS];
	struct page *pages[BC_META_SLOTS];
};

/* bc-meta.c */

/* Open the device and make what is needed; nothing is read. Context: ctr. Return: 0 or -errno. */
int bc_meta_init(struct bc_job *job, const char *path);

/* Wait for what is in flight, free. Context: process. */
void bc_meta_exit(struct bc_job *job);
void bc_meta_close(struct bc_job *job);

/*
 * Read it, and take the job up where it says. It never fails: without metadata that can be
 * believed, everything is dirty.
 *
 * Context: preresume, when no older instance writes to it any more.
 */
void bc_meta_activate(struct bc_job *job);

/* No more I/O on it from here on. Context: postsuspend. */
void bc_meta_stop(struct bc_job *job);

/* Go on. Context: resume. */
void bc_meta_start(struct bc_job *job);

/* No bio of it is in flight anywhere. Context: any. */
bool bc_meta_is_quiet(struct bc_job *job);

/*
 * Record the outcome for the hold of that number; bc_complete_recorded() follows. All writes wait
 * from here on until it is known what came of it: a hold that was given up meanwhile must not let
 * the guest write to the source while the record says that it is stale.
 *
 * Context: process, writes are held. Return: false if there is no metadata to record it on.
 */
bool bc_meta_record(struct bc_job *job, enum bc_outcome outcome, u64 hold);

/*
 * It has taken no record: would what it says be wrong after a flip or a finish? That the source is
 * the truth, or that the destination may be copied to. Context: any.
 */
bool bc_meta_misleads(struct bc_job *job, bool pivot);

/* Is there one on its way? Context: process. */
bool bc_meta_recording(struct bc_job *job, u64 hold);

/* The job's table is about to go, and the guest to write without us. Context: process. */
int bc_meta_detach(struct bc_job *job);

/* Go on without it. Context: process. */
void bc_meta_fail(struct bc_meta *meta, const char *why);

/*
 * Slot @i is for that block of the bitmap. Return: the memory of the block, for the caller to fill
 * in.
 */
void *bc_meta_slot(struct bc_meta *meta, unsigned int i, u64 index);

/*
 * Write the first @nr slots, durably, or read blocks of the device into them; wait. Context: the
 * work, or preresume. Return: 0 or -errno.
 */
int bc_meta_submit_slots(struct bc_meta *meta, unsigned int nr);
int bc_meta_read_slots(struct bc_meta *meta, u64 block, unsigned int nr);

static inline void bc_meta_kick(struct bc_meta *meta)
{
	queue_work(meta->wq, &meta->work);
}

/* bc-intent.c */

/* The bitmap in memory, all set. Context: ctr. */
int bc_intent_init(struct bc_meta *meta, unsigned long regions);
void bc_intent_exit(struct bc_meta *meta);

/* Take every region for one that may differ, in memory. */
void bc_intent_set_all(struct bc_meta *meta);

/* Read it. Return: how many blocks were not to be believed, or -errno. Context: preresume. */
long bc_intent_read(struct bc_meta *meta);

/*
 * I9: may this guest write, which holds a reference of job->writes, be sent now? Otherwise
 * bc_io_admitted() is called for it later; one that may not wait has to be turned away.
 *
 * Context: process.
 */
enum bc_admission { BC_ADMITTED, BC_ADMITTED_LATER, BC_NOT_NOW };
enum bc_admission bc_intent_enter(struct bc_job *job, struct bio *bio);

/*
 * Whoever writes to a leg takes one, before a dirty bit is cleared or an intent looked at, and puts
 * it after all marks. Context: any. Return: what to put, 0 for nothing.
 */
unsigned int bc_intent_get(struct bc_job *job);
unsigned int bc_intent_get_copy(struct bc_job *job, unsigned long first, unsigned long last);
void bc_intent_put(struct bc_job *job, unsigned int epoch);

/*
 * These regions were found to differ, and are dirty already: set their bits as well, and those
 * between them and what was asked for by somebody else just now.
 * Context: process. And is that still to be done?
 */
void bc_intent_ask(struct bc_job *job, unsigned long first, unsigned long last);
bool bc_intent_asked(struct bc_job *job);

/* Is the destination being flushed to clear bits? The end of it kicks the copier. Context: any. */
bool bc_intent_flushes(struct bc_job *job);

/* Parts of the work. Return: 0 or -errno. */
int bc_intent_admit(struct bc_meta *meta);
int bc_intent_clear(struct bc_meta *meta);

/* The copier has copied so much, in all. Context: the copier's work. */
void bc_intent_copied(struct bc_job *job, u64 bytes);

#endif /* BC_META_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One job: what the files of the target share. The invariants I1 to I12 are those of the protocol:
 *
 *   I1  An acknowledged guest write is on both legs, or its region is dirty.
 *   I2  Only the copier clears a dirty bit, and before it reads the source; or a mirrored write
 *	 that covers all of the region, and before either leg is sent.
 *   I3  At most one copy of a region is in flight, and none while a mirrored write is; no mirrored
 *	 write starts on a region that is being copied.
 *   I4  While a destination write is in flight whose guest was acknowledged, nothing else writes to
 *	 its region there.
 *   I5  READY means: dirty = 0 was seen, and a destination flush that started afterwards succeeded.
 *   I6  Guest I/O moves to the destination only while writes are held, with none in flight, no copy
 *	 in flight, dirty = 0 and the destination flushed.
 *   I7  The destination can not fail a guest request, nor delay it past write_timeout. Reads come
 *	 from the truth and never wait.
 *   I8  Nothing waits for userspace: each hold has a timer.
 *   I9  An intent bit is durable before the write that it covers is sent, and cleared only after
 *	 flushes that followed the last write or copy there.
 *   I10 Nothing in map or end_io sleeps, or allocates without a reserve.
 *   I11 In doubt a region is dirty.
 *   I12 Both legs get the same bytes, and overlapping mirrored writes in the same order.
 *
 * Locks, outer first:
 *
 *   registry mutex	which jobs there are (bc-registry.c); process context
 *   job->lock		mutex: state, paused, error, limits, the completion; process context; never
 *			held over I/O
 *   groups_lock	spinlock: groups of jobs, who is where in them (bc-group.c); process context
 *   hold->lock		spinlock: the parked bios and whether to park; process context (map is)
 *   mirrors->lock	spinlock, interrupts: ranges at work, mirrored writes, those that wait
 *   meta->lock		spinlock: guest writes that wait for their intent; process context
 *   holes->lock	spinlock, interrupts: what could not be read
 *
 * Without a lock: the bitmap (bc-bitmap.h), job->writes (two percpu_refs), and everything of the
 * copier and of verify, which one work item each owns. Fields that one side writes and others only
 * show are read with READ_ONCE().
 */
#ifndef BC_JOB_H
#define BC_JOB_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "bc-args.h"
#include "bc-bitmap.h"
#include "bc-group.h"
#include "bc-holes.h"
#include "bc-meta.h"
#include "bc-mirror.h"
#include "bc-mode.h"
#include "bc-pool.h"
#include "bc-throttle.h"
#include "bc-verify.h"

#define DM_MSG_PREFIX BLOCKCOPY_TARGET_NAME

/* The largest piece of a copy: one read and one write. */
#define BC_PIECE_SECTORS	2048U
#define BC_PIECE_BYTES		(BC_PIECE_SECTORS << SECTOR_SHIFT)

/* Most pieces in flight; with small regions that are far apart this binds before buf_size does. */
#define BC_NR_PIECES		128

/*
 * Beside a guest that is at work the copier keeps the queues of both devices short, as whatever it
 * has there stands before the guest's next request: a share of buf_size, in small pieces. And it
 * yields: after as much as one such piece a request of the guest has to end, if there is one,
 * before more is read, but it waits no longer than this. Short queues alone would not do. The
 * copier has the next piece ready when one ends, and devices and block layer that serve who comes
 * first, or who is near, would serve it for ever; and as it yields the queues need not be so short
 * that a device that is far away is not kept busy.
 *
 * The guest is at work for so many jiffies after a request began or ended.
 */
#define BC_BUSY_SHARE		8
#define BC_BUSY_PIECE_SECTORS	256U
#define BC_BUSY_JIFFIES		(HZ / 10 + 1)
#define BC_YIELD_NS		(4 * NSEC_PER_MSEC)

/* Most copies that have claimed their regions and wait for guest writes to leave. */
#define BC_NR_CLAIMS		8

enum bc_state {
	BC_COPYING,
	BC_READY,
	BC_COMPLETING,
	BC_PIVOTED,
	BC_FINISHED,
	BC_FAILED,
	BC_STATE_MAX,
};

enum bc_error {
	BC_ERROR_NONE,
	BC_ERROR_SOURCE_READ,
	BC_ERROR_TARGET_WRITE,
	BC_ERROR_TARGET_FLUSH,
	BC_ERROR_GIVEN_UP,
	BC_ERROR_BLACKOUT,
	BC_ERROR_SUSPENDED,
	BC_ERROR_METADATA,
	BC_ERROR_SOURCE_ONLY,
	BC_ERROR_GROUP,
	BC_ERROR_MAX,
};

enum bc_event {
	BC_EVENT_NONE,
	BC_EVENT_READY,
	BC_EVENT_COMPLETING,
	BC_EVENT_NOT_COMPLETED,
	BC_EVENT_PIVOTED,
	BC_EVENT_FINISHED,
	BC_EVENT_PAUSED,
	BC_EVENT_RESUMED,
	BC_EVENT_ERROR,
	BC_EVENT_MODE_CHANGED,
	BC_EVENT_FALLING_BEHIND,
	BC_EVENT_METADATA_FAILED,
	BC_EVENT_VERIFIED,
	BC_EVENT_MAX,
};

enum bc_io_status {
	BC_IO_OK,
	BC_IO_FAILED,
	BC_IO_NOSPACE,
};

extern const char *const bc_state_names[BC_STATE_MAX];
extern const char *const bc_error_names[BC_ERROR_MAX];
extern const char *const bc_event_names[BC_EVENT_MAX];

/* One side of the job: a range of a device, as long as the target. */
struct bc_leg {
	struct dm_dev *dev;		/* the table's, NULL when that is gone */
	struct block_device *bdev;	/* the source's is gone with the table */
	unsigned int block;		/* logical, in sectors */
	sector_t start;
	struct file *file;		/* the destination's outlives the table, see bc-reap.c */
};

/* What the guest does on one processor; only the sums mean something. */
struct bc_guest {
	int waiting;			/* requests in flight */
	unsigned int written;		/* sectors of writes that began */
};

/* Per-bio data. end_io finds the bio consumed, so map keeps what it needs. */
struct bc_io {
	sector_t start;			/* in the target */
	unsigned int sectors;
	bool counted;			/* holds a reference of job->writes */
	u8 turn;			/* which of the two */
	bool marks;			/* went to the source: its completion makes regions dirty */
	bool tracked;			/* went to the source, and is in the tree of ranges */
	u8 epoch;			/* see bc_intent_get() */
	unsigned long since;		/* jiffies; of writes, and mirrored flushes */
	unsigned long intent_since;	/* jiffies; of those that wait for their intent */
	struct bc_range range;		/* mirroring */
};

struct bc_copier;

/*
 * A run of regions on their way. Cleared before the first piece is read, ended after the last is
 * written.
 */
struct bc_copy {
	struct list_head list;		/* copier->claimed, ->active or ->idle_copies */
	struct bc_range range;
	sector_t start;
	sector_t end;
	sector_t next;			/* of the next piece; == end when all are issued */
	bool source_only;		/* some of it was, when it began */
	unsigned int pending;		/* pieces in flight */
	unsigned int epoch;		/* see bc_intent_get() */
	int error;
	bool holes;			/* it has some, the rest is copied */
};

/* One read and, of the same buffer, the writes that it takes: one after the other. */
struct bc_piece {
	struct llist_node node;		/* copier->done */
	struct list_head list;		/* copier->idle_pieces */
	struct bc_copier *copier;
	struct bc_copy *copy;
	struct page *chunks;		/* stack, as in bc_pool */
	sector_t start;			/* of the part that is on its way: all, but for holes */
	unsigned int sectors;
	sector_t end;			/* of all */
	unsigned int whole;		/* sectors that it was issued with */
	struct page *there;		/* as "chunks": what the destination has, to compare */
	unsigned int from;		/* what is being written, in sectors of the part */
	unsigned int to;
	bool unread;			/* the destination was not, or could not be */
	bool zero;			/* all of it is */
	bool zero_there;		/* all of it is zero at the destination */
	enum { BC_PIECE_READ, BC_PIECE_COMPARE, BC_PIECE_WRITE, BC_PIECE_ZERO } stage;
	blk_status_t status;
};

/*
 * The copier. Its work item alone touches what is below, save the fields marked "shared".
 * Completions of its bios reach it through @done, everything else by bc_copier_kick().
 */
struct bc_copier {
	struct workqueue_struct *wq;	/* its own: a hung destination blocks submit_bio() */
	struct work_struct work;
	struct delayed_work timer;	/* kicks; for the throttle and for markers met half way */
	struct bio_set bios;
	struct bc_pool pool;
	struct bc_throttle throttle;

	struct llist_head done;		/* shared: pieces whose bio ended */
	bool idle;			/* shared: nothing will wake the copier but a mark */
	bool resting;			/* but a mark, or the timer, which is set for a hole */
	bool stopped;			/* shared: issue nothing (suspended) */
	wait_queue_head_t quiet;	/* woken when nothing is in flight */
	unsigned int in_flight;		/* shared for reading: pieces and flushes */
	atomic_t reads;			/* shared: of them, bios at the source */
	bool running;			/* shared for reading */
	u64 piece_bytes;		/* shared for reading: in flight */

	u64 yield_bytes;		/* may still be read before it yields to the guest */
	u64 yield_until;		/* ns; not longer; 0 when it does not */
	struct list_head claimed;	/* copies that wait for guest writes to leave */
	unsigned int nr_claimed;	/* shared for reading */
	struct list_head active;	/* copies in flight, few */
	struct list_head idle_copies;
	struct list_head idle_pieces;
	struct bc_copy *current_copy;	/* the active one whose pieces are not all issued */
	unsigned long cursor;		/* where the search for dirty regions goes on */
	unsigned long careful_from;	/* a run that failed: region by region, up to the other */
	unsigned long careful_to;
	u64 retry_at;			/* ns; after an error that is retried */
	unsigned int backoff_ms;
	bool erring;			/* io_status is to be reset when something is copied */
	struct bc_holes holes;
	bool zeroes_work;		/* shared: the destination takes WRITE_ZEROES */
	bool alone;			/* no older job of this device is left */

	bool flushing;
	bool flush_void;		/* an error came since the flush began */
	bool flush_done;		/* shared: set last, by the flush's end */
	blk_status_t flush_status;
	u64 flush_hold;			/* number of the hold that the flush serves, 0: for READY */

	u64 window_start;		/* of the rate shown, ns */
	u64 window_bytes;
	u64 rate;			/* bytes per second over the last window */
	u64 in_flight_bytes;
	u64 copied_bytes;
	u64 zeroed_bytes;
	u64 unwritten_bytes;		/* compared, and equal */

	struct bc_copy copies[BC_NR_PIECES + BC_NR_CLAIMS];
	struct bc_piece pieces[BC_NR_PIECES];
};

/* Where guest writes wait for the moment of a flip. */
struct bc_hold {
	spinlock_t lock;		/* guards all of it */
	bool parking;
	struct bio_list bios;
	unsigned int nr;
};

enum bc_phase {
	BC_PHASE_NONE,
	BC_PHASE_BEGIN,			/* job->writes goes to atomic mode */
	BC_PHASE_DRAIN,			/* guest running, dirty regions go down */
	BC_PHASE_HOLD,			/* guest writes parked */
};

/* What a completion is to bring about. */
struct bc_how {
	bool pivot;			/* "complete", else "finish" */
	bool unrecorded;		/* also where the metadata does not take a record */
	bool reverse;			/* then copy back, see bc-reverse.c */
	bool source_failed;		/* without the source, likewise */
	bool lossy;			/* and without what was acknowledged there alone */
	unsigned int ms;		/* to hold writes at most */
	u64 group;			/* number of the group, if "count" is not 0 */
	unsigned int count;		/* of its members */
};

/* "complete" or "finish" under way. Under job->lock. */
struct bc_completion {
	enum bc_phase phase;
	struct bc_how how;
	enum bc_state back;		/* the state when it is given up without an error */
	u64 hold;			/* number of the hold, counts up for ever */
	u64 drain_until;		/* ns; hold then, whatever is left */
	u64 held_at;			/* ns */
	u64 copied_bytes;		/* of the copier, when the destination was flushed */
	u64 blackout_us;		/* how long the last hold was */
	u64 flipped;			/* number of the hold that flipped, 0 for none */
	struct bc_member member;
	struct work_struct begin;
	struct delayed_work tick;	/* of the drain */
	struct delayed_work timer;	/* ends the hold */
};

struct bc_job {
	struct dm_target *ti;		/* lock; NULL when the table is gone, see bc-reap.c */
	struct mapped_device *md;	/* to compare only; NULL, likewise */
	char name[16];			/* of the device, as dm_device_name() */
	dev_t devt;
	sector_t len;
	struct list_head registered;	/* registry mutex */
	u64 generation;			/* registry mutex; order of construction */
	bool live;			/* was resumed at least once */

	struct bc_leg legs[2];
	struct bc_leg *source;		/* these two change places while writes are held */
	struct bc_leg *destination;
	struct bc_leg *truth;		/* where guest I/O goes; changes while writes are held */
	unsigned int region_shift;	/* of sectors */
	struct bc_args args;		/* as given; bandwidth and buf_size as in force (lock) */

	/*
	 * Guest writes in flight. The one of "turn" is live, but while writes are held; the other
	 * one is dead, and its last holders go: see bc-verify.h.
	 */
	struct percpu_ref writes[2];
	unsigned int turn;		/* written by completion_begin() alone */
	unsigned long guest_last;	/* jiffies; when the guest's last request began or ended */
	bool yielding;			/* the copier waits until one ends */
	struct bc_guest __percpu *guest;
	struct bc_bitmap dirty;
	bool listing;			/* more is to be marked before READY: see bc-list.c */
	unsigned long *zero;		/* target_is_zero: regions not written there; else NULL */
	bool zero_written;		/* some were */
	unsigned int reversals;		/* job->lock; changes while writes are held */
	struct bc_bitmap source_only;	/* after the first one: see bc-reverse.c */
	atomic64_t dirtied_bytes;
	atomic_t flush_failures;	/* of the destination, whoever had asked */
	struct bc_hold hold;
	struct bc_mirrors mirrors;
	struct bc_meta *meta;		/* NULL without; set by ctr */

	struct mutex lock;		/* guards what follows, as the lock table says */
	enum bc_state state;
	bool paused;
	enum bc_error error;
	enum bc_io_status io_status;
	enum bc_event event;
	unsigned int events;
	atomic_t untold;		/* of them, that nobody was woken for yet; not under lock */
	u64 source_errors;		/* copier only */
	u64 target_errors;		/* copier only */
	struct workqueue_struct *wq;	/* holds and their timers, apart from the copier's */
	struct bc_completion completion;
	struct bc_mode mode;
	struct bc_verify verify;

	unsigned int clone_pad;		/* front_pad of the pool that the core's clones are from */
	struct bio_set clones[2];	/* see bc_job_keep_slabs() */
	struct dm_table *table;		/* for as long as ti is there, and tell may run */
	struct work_struct tell;	/* wakes those who wait for events */
	struct work_struct reap;	/* see bc-reap.c */

	struct bc_copier copier;
};

/* bc-job.c */

/*
 * Make and free a job with both legs opened, its bitmap, work queues and pools; nothing runs yet,
 * nothing is registered. bc_job_destroy() waits for what is in flight, however long that takes.
 *
 * Context: process, may sleep (GFP_KERNEL). Return: the job, or ERR_PTR with ti->error set.
 */
struct bc_job *bc_job_create(struct dm_target *ti, unsigned int argc, char **argv);
void bc_job_destroy(struct bc_job *job);

/*
 * The one place where the state, the error and the event change. Logs, traces, wakes those who wait
 * for events.
 *
 * Context: process, job->lock held.
 */
void bc_job_set_state(struct bc_job *job, enum bc_state state, enum bc_event event,
		      enum bc_error error);

/* Tell those who wait for events, a moment later. Context: process, job->lock held. */
void bc_job_event(struct bc_job *job, enum bc_event event);

/* Likewise, of what status shows and that is no event. */
void bc_job_tell(struct bc_job *job);

/*
 * A leg had an error, what it covers is dirty: do what the policy says.
 *
 * Context: the copier's work.
 */
void bc_job_error(struct bc_job *job, enum bc_error error, blk_status_t status);

/* After an error that was retried, something was copied. Context: the copier's work. */
void bc_job_recovered(struct bc_job *job);

/* Take every region for dirty. Context: process. */
void bc_job_dirty_all(struct bc_job *job);

/*
 * A swap of tables frees the old one's two pools of clones while I/O is held. When one was the
 * last of its size its slab goes too, which takes grace periods: 30 ms. Keep those slabs until dtr,
 * which comes after the resume.
 *
 * Context: presuspend, the guest still runs. Without memory for it the swap takes longer.
 */
void bc_job_keep_slabs(struct bc_job *job);

/* Its metadata says that it has pivoted. Context: preresume, before it is live. */
void bc_job_set_pivoted(struct bc_job *job);

/* It goes on without metadata; a completion whose record it was does not. Context: process. */
void bc_job_metadata_failed(struct bc_job *job, u64 hold);

/* The last word of a job: its arguments as they are now, for the table line. Context: process. */
void bc_job_args(struct bc_job *job, struct bc_args *ret);

/* Messages. Context: process, may sleep shortly. Return: 0 or -errno. */
int bc_job_pause(struct bc_job *job);
int bc_job_resume(struct bc_job *job);
int bc_job_set(struct bc_job *job, const char *name, const char *value);
int bc_job_give_up(struct bc_job *job);

/* bc-list.c: messages "dirty" and "listed". Context: process. Return: 0 or -errno. */
int bc_list_dirty(struct bc_job *job, unsigned int argc, char **argv);
int bc_list_end(struct bc_job *job);

/* Open it once more, for when the table's own is closed. Return: or ERR_PTR(). Context: process. */
struct file *bc_leg_open(const struct bc_leg *leg);

/* The table goes: give its devices back. Context: dtr, or before ctr returns. */
void bc_job_close(struct bc_job *job);

/* bc-write.c: the guest's I/O. Context of the first two: as dm calls map and end_io. */
int bc_io_map(struct bc_job *job, struct bio *bio);
void bc_io_end(struct bc_job *job, struct bio *bio, blk_status_t status);

/* Sectors that either leg takes, at least; also when the devices themselves are gone. */
static inline unsigned int bc_job_block(const struct bc_job *job)
{
	return max(job->source->block, job->destination->block);
}

/* Has the guest requests in flight? Looks at each processor. Context: any. */
bool bc_guest_waits(const struct bc_job *job);

/* Sectors of the writes that it began, modulo 2^32. Looks at each processor. Context: any. */
unsigned int bc_guest_written(const struct bc_job *job);

/* Is the guest at work, or was it a moment ago? Context: any. */
static inline bool bc_guest_is_busy(const struct bc_job *job)
{
	return time_before(jiffies, READ_ONCE(job->guest_last) + BC_BUSY_JIFFIES);
}

/*
 * Make the regions of a guest write dirty. If it was @acknowledged, or may be, the destination
 * lacks what the guest relies on. Context: any.
 */
void bc_io_mark(struct bc_job *job, sector_t start, unsigned int sectors, bool acknowledged);

/*
 * Send a parked bio on its way; a reference of job->writes was taken for it.
 *
 * Context: process, may sleep in submit_bio(); writes are not held any more.
 */
void bc_io_release(struct bc_job *job, struct bio *bio);

/* Send one that waited for its intent on its way; as above, writes may be held by now. */
void bc_io_admitted(struct bc_job *job, struct bio *bio);

/* bc-piece.c */

/*
 * These sectors of the destination may not read as zeroes any more. Context: any; before a write
 * there is sent, and while nothing is copied there.
 */
void bc_zero_forget(struct bc_job *job, sector_t start, sector_t sectors);

/* bc-copier.c */
int bc_copier_init(struct bc_copier *c, struct bc_job *job);
void bc_copier_exit(struct bc_copier *c);

/* Let the copier look at everything again. Context: any. */
void bc_copier_kick(struct bc_copier *c);

/*
 * Issue nothing more, and wait up to @timeout jiffies. Context: process. Return: whether nothing is
 * in flight.
 */
bool bc_copier_stop(struct bc_copier *c, unsigned long timeout);
void bc_copier_start(struct bc_copier *c);

/* Nothing in flight, and its work is not running. Context: any. */
bool bc_copier_is_quiet(struct bc_copier *c);

/* The most that it has in flight beside a guest that is at work. Context: any. */
u64 bc_copier_busy_bytes(struct bc_job *job);

/*
 * Count a read of the source, to be uncounted when it ends, before it is known to be wanted:
 * bc_reap() sets "stopped", waits for the reads and then has the source closed. Context: process.
 * Return: false if nothing is to be read.
 */
bool bc_copier_begin_read(struct bc_copier *c);

/* Bytes per second copied lately. Context: any. */
u64 bc_copier_rate(const struct bc_copier *c);

/* bc-hold.c */
void bc_hold_init(struct bc_job *job);

/* Park @bio if writes are held. Context: map. Return: false if they are not, try again. */
bool bc_hold_park(struct bc_job *job, struct bio *bio);

/*
 * New writes are parked from here on; those that have their reference already are still in flight.
 * Context: process, job->lock held.
 */
void bc_hold_begin(struct bc_job *job);

/*
 * Nothing is parked from here on. The parked writes are the caller's to release, without locks.
 * Each has its reference already: the next hold waits for those that are still on the caller's list
 * (I6). Context: process, job->lock held.
 */
void bc_hold_end(struct bc_job *job, struct bio_list *bios);

/* Send them on their way. Context: process, no lock held. */
void bc_hold_release(struct bc_job *job, struct bio_list *bios);

/* bc-complete.c */
int bc_completion_init(struct bc_job *job);
void bc_completion_exit(struct bc_job *job);

/*
 * Messages "complete" and "finish". Context: process, may sleep. Return: 0 (it goes on in the
 * background) or -errno.
 */
int bc_complete(struct bc_job *job, const struct bc_how *how);

/*
 * Give a completion up, if one is under way: writes go on at the source, the state is @state again.
 *
 * Context: process, may sleep. Return: whether there was one.
 */
bool bc_complete_cancel(struct bc_job *job, enum bc_state state, enum bc_error error);

/*
 * The same for who looks at the state as well: no completion begins in between. Context: job->lock
 * held. *@bios is for bc_hold_release(), without the lock.
 */
bool bc_complete_give_up(struct bc_job *job, enum bc_state state, enum bc_error error,
			 struct bio_list *bios);

/*
 * The copier has nothing dirty and nothing in flight. Return: the hold to flush for, 0 for none
 * yet.
 */
u64 bc_complete_clean(struct bc_job *job);

/*
 * The destination was flushed for this hold: flip, or first record the outcome. Context: the
 * copier's work.
 */
void bc_complete_flushed(struct bc_job *job, u64 hold);

/* Is one under way that does without the source? Context: any. */
static inline bool bc_source_failed(const struct bc_job *job)
{
	return READ_ONCE(job->state) == BC_COMPLETING &&
	       READ_ONCE(job->completion.how.source_failed);
}

/* Is that hold still on? Context: process. */
bool bc_complete_holds(struct bc_job *job, u64 hold);

/*
 * The outcome is recorded: flip, or wait for the others of the group; then the metadata is kicked.
 * Return: whether it has flipped; NOT is for good, that hold is over or has to begin anew.
 */
enum bc_flip { BC_FLIP_NOT, BC_FLIP_WAITS, BC_FLIP_DONE };
enum bc_flip bc_complete_recorded(struct bc_job *job, u64 hold);

/*
 * Let job->writes take a turn, soon: job->verify.turn is false then. Context: job->lock held.
 */
void bc_complete_turn(struct bc_job *job);

/* Take a reference for a guest write. Return: false while writes are held, and for a moment. */
static inline bool bc_writes_get(struct bc_job *job, struct bc_io *io)
{
	io->turn = READ_ONCE(job->turn);
	return percpu_ref_tryget_live(&job->writes[io->turn]);
}

/* No guest write is in flight. Context: writes are held. */
static inline bool bc_writes_ended(struct bc_job *job)
{
	return percpu_ref_is_zero(&job->writes[0]) && percpu_ref_is_zero(&job->writes[1]);
}

/*
 * A guest write has begun, or ended, that may make a difference between the legs of these regions.
 *
 * Whoever marks calls this after the mark, which is a full barrier: it pairs with the one in
 * watch(). So either we see the watch, or it sees the mark.
 */
static inline void bc_verify_touch(struct bc_job *job, unsigned long first, unsigned long last)
{
	struct bc_verify *v = &job->verify;

	if (unlikely(READ_ONCE(v->watching)) && first <= READ_ONCE(v->watch_last) &&
	    last >= READ_ONCE(v->watch_first))
		WRITE_ONCE(v->touched, true);
}

/*
 * Make regions dirty. If what makes them so was @acknowledged, the destination lacks it. In this
 * order: who clears goes the other way, see bc_copy_begin(). Return: how many were clean.
 */
static inline unsigned long bc_job_mark(struct bc_job *job, unsigned long first, unsigned long last,
					bool acknowledged)
{
	if (acknowledged && READ_ONCE(job->reversals))
		bc_bitmap_mark(&job->source_only, first, last);
	return bc_bitmap_mark(&job->dirty, first, last);
}

/* These regions may differ in more than their holes. After they were marked. Context: any. */
static inline void bc_holes_spoil(struct bc_job *job, unsigned long first, unsigned long last)
{
	smp_rmb();	/* after the bit, which may be one that copy_end() has set */
	if (unlikely(READ_ONCE(job->copier.holes.nr)))
		bc_holes_make_stale(job, first, last);
}

/* bc-reverse.c */

/*
 * Can the job be reversed? Make what is needed for that. Context: message. Return: 0 or -errno.
 */
int bc_reverse_prepare(struct bc_job *job);

/*
 * Source and destination change places. Context: the copier's work, job->lock held, writes are
 * held; as for a flip.
 */
void bc_reverse(struct bc_job *job);

/* May it go on without the source? Context: job->lock held. Return: 0 or -errno. */
int bc_reverse_check_failed(struct bc_job *job, bool lossy);

/*
 * Does the destination have all that it needs for a flip? Without the source that is less. Context:
 * job->lock held, no write and no copy in flight.
 */
bool bc_reverse_has_all(struct bc_job *job);

/* Bytes of regions with acknowledged writes that the destination lacks. Context: any. */
u64 bc_source_only_bytes(const struct bc_job *job);

/* bc-reap.c */
int bc_reap_init(void);
void bc_reap_exit(void);

/*
 * The table goes. Free the job, now or, where the destination does not answer, in the background
 * when it has.
 *
 * Context: dtr.
 */
void bc_reap(struct bc_job *job);

/* bc-registry.c */

/*
 * Enter a job whose legs are open. Refused when another device's job uses them, or when the live
 * job of the same device is where a second one would be wrong.
 *
 * Context: process, ctr. Return: 0, or -EBUSY or -EINVAL with ti->error set.
 */
int bc_registry_add(struct bc_job *job);
void bc_registry_del(struct bc_job *job);

/* The job has no table any more, but still writes in flight. Context: dtr. */
void bc_registry_bury(struct bc_job *job);

/*
 * Is an older job of the same device with the same destination still being taken down? Its late
 * writes would overtake ours (I4).
 */
bool bc_registry_has_older(struct bc_job *job);

/* Has an older job I/O in flight on our metadata device? */
bool bc_registry_metadata_busy(struct bc_job *job);

/*
 * I11: is there an older job of this device, or with our destination, and does our metadata have
 * all that it knows? Return: 1 if so, 0 when there is none, -1 if not.
 */
int bc_registry_metadata_heir(struct bc_job *job);

/*
 * Lock the registry over the beginning of a completion, so that no table can be loaded meanwhile.
 *
 * Return: false, and nothing is locked, when another blockcopy table is loaded for the same device
 * already.
 */
bool bc_registry_lock_alone(struct bc_job *job);
void bc_registry_unlock(void);

/* bc-status.c */
void bc_status(struct bc_job *job, status_type_t type, char *result, unsigned int maxlen);

#endif /* BC_JOB_H */

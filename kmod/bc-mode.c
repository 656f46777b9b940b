// SPDX-License-Identifier: GPL-2.0-only
/*
 * When guest writes are mirrored. See bc-mode.h.
 */
#include <linux/jiffies.h>
#include <linux/sizes.h>

#include "bc-job.h"

#define WINDOW		(HZ / 2)
#define SOON		(HZ / 50 + 1)
#define WINDOWS		2		/* in a row, before "auto" believes them */
#define HOLD_OFF_MIN_S	5
#define HOLD_OFF_MAX_S	60

/* When READY, a pivot copies this much in a moment, ... */
#define LITTLE_DIRTY	SZ_1M
/* ... and so much in a window, where a small write has its whole region copied, is no matter. */
#define LITTLE_COPIED	SZ_16M

static u64 dirty_bytes(struct bc_job *job)
{
	return (bc_bitmap_count(&job->dirty) << (job->region_shift + SECTOR_SHIFT)) +
		READ_ONCE(job->copier.in_flight_bytes);
}

/* READY, and there would be little to copy at a pivot. What is on its way counts once. */
static bool is_little(struct bc_job *job)
{
	return job->state == BC_READY &&
	       bc_bitmap_count(&job->dirty) << (job->region_shift + SECTOR_SHIFT) <= LITTLE_DIRTY;
}

static bool wanted(struct bc_job *job)
{
	switch (READ_ONCE(job->args.copy_mode)) {
	case BC_COPY_MODE_WRITE_BLOCKING:
		return true;
	case BC_COPY_MODE_AUTO:
		return job->mode.wanted || job->state == BC_COMPLETING;
	default:
		/* A completion drains in this mode, whatever was chosen. */
		return job->state == BC_COMPLETING;
	}
}

static bool possible(struct bc_job *job)
{
	if (!job->live || READ_ONCE(job->copier.stopped) || job->paused || job->mode.held_off ||
	    job->truth != job->source)
		return false;
	return job->state == BC_COPYING || job->state == BC_READY || job->state == BC_COMPLETING;
}

/*
 * What the copier has in the destination's queue now, guest writes would wait for. It keeps to less
 * as soon as it is asked to.
 */
static bool queue_is_long(struct bc_job *job)
{
	return job->state != BC_COMPLETING &&
	       READ_ONCE(job->copier.piece_bytes) > 2 * bc_copier_busy_bytes(job);
}

void bc_mode_update(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;
	bool mirror = possible(job) && wanted(job);

	lockdep_assert_held(&job->lock);
	WRITE_ONCE(mode->modest, mirror);
	if (mirror == job->mirrors.mirroring)
		return;
	if (mirror && queue_is_long(job)) {
		mod_delayed_work(job->wq, &mode->tick, SOON);
		return;
	}
	WRITE_ONCE(job->mirrors.mirroring, mirror);
	mode->good_since = jiffies;
	/* Those that wait for a copy need not, any more. */
	if (!mirror)
		bc_mirror_retry(job);
	if (mode->why) {
		DMINFO("%s: copy mode is %s now: %s", job->name,
		       mirror ? "write-blocking" : "background", mode->why);
		mode->why = NULL;
		bc_job_event(job, BC_EVENT_MODE_CHANGED);
	}
}

static void change_mode(struct bc_job *job, const char *why)
{
	job->mode.why = why;
	bc_mode_update(job);
}

void bc_mode_fall_back(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;

	mutex_lock(&job->lock);
	if (job->mirrors.mirroring) {
		/* Long without trouble: it begins from the start. */
		if (time_after(jiffies, mode->good_since + HOLD_OFF_MAX_S * HZ))
			mode->hold_off_s = 0;
		mode->hold_off_s = clamp(mode->hold_off_s * 2, HOLD_OFF_MIN_S, HOLD_OFF_MAX_S);
		mode->hold_off_until = jiffies + mode->hold_off_s * HZ;
		mode->held_off = true;
		mode->copied_before = READ_ONCE(job->copier.copied_bytes);
		mode->behind = false;
		mode->stalled = 0;
		mode->slow = 0;
		change_mode(job, "the destination is too slow for the guest");
	}
	mutex_unlock(&job->lock);
}

/* Was the destination slow to answer guest writes, in this window? */
static bool slow_window(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;
	u64 limit = (u64)READ_ONCE(job->args.write_timeout) * NSEC_PER_MSEC / 2;
	u64 ns, nr;

	spin_lock_irq(&job->mirrors.lock);
	ns = job->mirrors.latency_ns - mode->latency_ns;
	nr = job->mirrors.latency_nr - mode->latency_nr;
	mode->latency_ns = job->mirrors.latency_ns;
	mode->latency_nr = job->mirrors.latency_nr;
	spin_unlock_irq(&job->mirrors.lock);
	return nr && div64_u64(ns, nr) > limit;
}

/*
 * Was a quarter or more of what was copied in this window made dirty again; or half, when that is
 * only to be told? Little headway because little was copied is no reason to mirror: the
 * destination is slow, or the bandwidth limited.
 */
static bool stalled_window(struct bc_job *job, u64 dirty, u64 copied)
{
	struct bc_mode *mode = &job->mode;
	u64 gained = mode->dirty > dirty ? mode->dirty - dirty : 0;
	bool much = !mode->held_off && !mode->dear && copied > LITTLE_COPIED;

	if ((!dirty || is_little(job)) && !much)
		return false;
	return gained <= (mode->held_off ? copied / 2 : copied - copied / 4);
}

static void give_trial_up(struct bc_job *job, const char *why)
{
	job->mode.trial = 0;
	job->mode.stalled = 0;
	job->mode.wanted = false;
	change_mode(job, why);
}

/*
 * READY already: mirroring is to save copies, and the guest is not to pay for that. Did it write as
 * much in this window as in the last one before?
 */
static void on_trial(struct bc_job *job, unsigned int written)
{
	struct bc_mode *mode = &job->mode;

	if (!job->mirrors.mirroring || time_before(jiffies, mode->good_since + WINDOW))
		return;
	if (!written) {
		give_trial_up(job, "the guest does not write");
	} else if (written >= mode->trial - mode->trial / 4) {
		mode->trial = 0;
	} else if (++mode->poor >= WINDOWS) {
		mode->dear = true;
		give_trial_up(job, "the guest writes less than before");
	}
}

/* Does the destination answer? Nothing is late, and the copier has got on or has nothing there. */
static bool answers(struct bc_job *job)
{
	return !READ_ONCE(job->mirrors.nr_late) &&
	       (!READ_ONCE(job->copier.in_flight) || job->mode.copied != job->mode.copied_before);
}

/* Nothing is looked at for a while: the next window begins here. */
static void rebase(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;

	mode->dirty = dirty_bytes(job);
	mode->copied = READ_ONCE(job->copier.copied_bytes);
	mode->written = bc_guest_written(job);
	mode->stalled = 0;
}

static void look(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;
	u64 dirty = dirty_bytes(job);
	u64 copied = READ_ONCE(job->copier.copied_bytes) - mode->copied;
	bool stalled = stalled_window(job, dirty, copied);
	unsigned int written = bc_guest_written(job) - mode->written;

	mode->written += written;
	mode->dirty = dirty;
	mode->copied += copied;
	if (stalled && !job->paused && !READ_ONCE(job->copier.stopped))
		mode->stalled++;
	else
		mode->stalled = 0;
	mode->slow = slow_window(job) ? mode->slow + 1 : 0;

	if (mode->held_off) {
		if (mode->stalled >= WINDOWS && !mode->behind) {
			mode->behind = true;
			DMWARN("%s: the destination is too slow: dirty data does not become less",
			       job->name);
			bc_job_event(job, BC_EVENT_FALLING_BEHIND);
		}
		if (time_before(jiffies, mode->hold_off_until) || !answers(job))
			return;
		mode->held_off = false;
		mode->stalled = 0;
		change_mode(job, "trying again");
	} else if (job->args.copy_mode == BC_COPY_MODE_AUTO && !mode->wanted &&
		   mode->stalled >= WINDOWS && copied) {
		mode->wanted = true;
		mode->stalled = 0;
		mode->trial = is_little(job) ? written : 0;
		mode->poor = 0;
		change_mode(job, "the guest writes as fast as is copied");
	} else if (mode->trial) {
		on_trial(job, written);
	}
}

static void mode_tick(struct work_struct *work)
{
	struct bc_job *job = container_of(to_delayed_work(work), struct bc_job, mode.tick);
	struct bc_mode *mode = &job->mode;
	bool slow = false;

	mutex_lock(&job->lock);
	if (!time_before(jiffies, mode->window_ends)) {
		mode->window_ends = jiffies + WINDOW;
		if (job->state == BC_COPYING || job->state == BC_READY) {
			look(job);
			slow = mode->slow >= WINDOWS;
		} else {
			rebase(job);
		}
	}
	/* A change may have been put off until the destination's queue is short. */
	bc_mode_update(job);
	if (job->state != BC_PIVOTED && job->state != BC_FINISHED)
		queue_delayed_work(job->wq, &mode->tick,
				   max_t(long, mode->window_ends - jiffies, 1));
	mutex_unlock(&job->lock);
	if (slow)
		bc_mode_fall_back(job);
}

void bc_mode_start(struct bc_job *job)
{
	mutex_lock(&job->lock);
	rebase(job);
	job->mode.window_ends = jiffies + WINDOW;
	bc_mode_update(job);
	mutex_unlock(&job->lock);
	queue_delayed_work(job->wq, &job->mode.tick, WINDOW);
}

void bc_mode_forget_trial(struct bc_job *job)
{
	lockdep_assert_held(&job->lock);
	job->mode.trial = 0;
	job->mode.dear = false;
}

void bc_mode_forget(struct bc_job *job)
{
	struct bc_mode *mode = &job->mode;

	lockdep_assert_held(&job->lock);
	mode->held_off = false;
	mode->hold_off_s = 0;
	mode->behind = false;
	mode->stalled = 0;
	mode->slow = 0;
	mode->good_since = jiffies;
	bc_mode_forget_trial(job);
}

void bc_mode_init(struct bc_job *job)
{
	INIT_DELAYED_WORK(&job->mode.tick, mode_tick);
}

void bc_mode_exit(struct bc_job *job)
{
	cancel_delayed_work_sync(&job->mode.tick);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a job: "complete" and "finish".
 *
 *	READY -> begin -> drain -> hold -> flip -> release	PIVOTED or FINISHED
 *		   |	    |	    |
 *		   +--------+-------+-> release to the source	READY, or FAILED
 *
 * begin	job->writes goes to atomic mode: killing it then takes effect at once; it would
 *		otherwise cost the guest a grace period. It stays there after a flip, see route()
 *		in bc-write.c.
 * drain	The guest runs, its writes are mirrored; the copier goes without limit until little
 *		is dirty, for as long as the hold may take at most.
 * hold		New guest writes are parked, the timer runs (I8). Those in flight end, dirty is
 *		copied, the destination is flushed.
 * flip		With nothing in flight, nothing dirty and the flush done (I6), and all that under
 *		job->lock, which the timer needs as well: the truth is the destination. "finish"
 *		leaves it where it is.
 * release	The parked writes go where the truth is now.
 *
 * A flip that reverses the job leaves it READY, and copying back; one that does without the source
 * begins when it can not be READY, and does not drain. See bc-reverse.c for both.
 *
 * A suspend that arrives gives the completion up first, as it would wait for the writes that are
 * parked.
 *
 * Jobs of a group wait for each other before they hold, and before they flip; see bc-group.c.
 */
#include <linux/sizes.h>

#include "bc-job.h"
#include "bc-trace.h"

/* Hold when no more than this is dirty. */
#define DRAINED_BYTES	SZ_1M
#define TICK_MS		4

static u64 since_us(u64 ns)
{
	return div_u64(ktime_get_ns() - ns, NSEC_PER_USEC);
}

/*
 * The ways out. All go through here, with job->lock held; what is parked is then to be released.
 */
static void end_completion(struct bc_job *job, enum bc_state state, enum bc_event event,
			   enum bc_error error, struct bio_list *bios)
{
	struct bc_completion *m = &job->completion;
	bool held = m->phase == BC_PHASE_HOLD;

	lockdep_assert_held(&job->lock);
	WRITE_ONCE(m->phase, BC_PHASE_NONE);
	/*
	 * I6: who takes the reference sees a flip; pairs with the full barrier of
	 * percpu_ref_tryget_live(), see route(). Resurrecting it orders nothing. The copier that
	 * finds what such a write has marked sees that it is over; pairs with issue(). And a flip
	 * comes before the state; pairs with check_successor().
	 */
	smp_wmb();
	/* A record that waited for the others is confirmed, or taken back. */
	if (m->member.group && job->meta)
		bc_meta_kick(job->meta);
	bc_group_leave(job);
	if (held) {
		m->blackout_us = since_us(m->held_at);
		bc_hold_end(job, bios);
	}
	bc_job_set_state(job, state, event, error);
	cancel_delayed_work(&m->timer);
	/* It may have found it over, and not yet ready. */
	bc_copier_kick(&job->copier);
}

/* I6: all is as it has to be, and all others of the group would flip as well. */
static void flip(struct bc_job *job, struct bio_list *bios)
{
	struct bc_completion *m = &job->completion;

	lockdep_assert_held(&job->lock);
	m->flipped = m->hold;
	if (m->how.reverse) {
		bc_reverse(job);
		end_completion(job, BC_READY, BC_EVENT_PIVOTED, BC_ERROR_NONE, bios);
		queue_work(job->wq, &m->begin);
		return;
	}
	/* A finished copy gets no write that comes after its instant. Nothing waits in the tree. */
	WRITE_ONCE(job->mirrors.mirroring, false);
	if (m->how.pivot) {
		WRITE_ONCE(job->truth, job->destination);
		/* With metadata that has failed: where the truth is may still be said there. */
		if (job->meta)
			bc_meta_kick(job->meta);
		end_completion(job, BC_PIVOTED, BC_EVENT_PIVOTED, BC_ERROR_NONE, bios);
	} else {
		end_completion(job, BC_FINISHED, BC_EVENT_FINISHED, BC_ERROR_NONE, bios);
		queue_work(job->wq, &m->begin);
	}
}

/*
 * What comes after the group's decision to flip comes after the flip, though it may not have got
 * that far here. Return: whether it was given up, and not flipped.
 */
static bool give_up(struct bc_job *job, enum bc_state state, enum bc_error error,
		    struct bio_list *bios)
{
	if (job->completion.member.group && !bc_group_abort(job)) {
		flip(job, bios);
		return false;
	}
	/* Without its source it may not have been ready. */
	if (state == BC_READY)
		state = job->completion.back;
	end_completion(job, state, BC_EVENT_NOT_COMPLETED, error, bios);
	queue_work(job->wq, &job->completion.begin);
	return true;
}

/*
 * The way there
 */

/* The timer wheel may be late by an eighth of a long delay: go there in steps. */
static unsigned long timer_delay(const struct bc_completion *m)
{
	u64 budget = (u64)m->how.ms * USEC_PER_MSEC;
	u64 gone = since_us(m->held_at);
	unsigned long left = gone < budget ? usecs_to_jiffies(budget - gone) : 0;

	return left >= 64 ? left - left / 8 : max(left, 2UL) - 1;
}

static void begin_hold(struct bc_job *job)
{
	struct bc_completion *m = &job->completion;

	lockdep_assert_held(&job->lock);
	WRITE_ONCE(m->phase, BC_PHASE_HOLD);
	m->hold++;
	m->held_at = ktime_get_ns();
	trace_blockcopy_hold(job->devt, true, 0, 0);
	bc_hold_begin(job);
	mod_delayed_work(job->wq, &m->timer, timer_delay(m));
	bc_copier_kick(&job->copier);
}

static bool is_drained(struct bc_job *job)
{
	u64 left = (bc_bitmap_count(&job->dirty) << (job->region_shift + SECTOR_SHIFT)) +
		   READ_ONCE(job->copier.in_flight_bytes);

	return left <= DRAINED_BYTES || ktime_get_ns() >= job->completion.drain_until;
}

static void completion_tick(struct work_struct *work)
{
	struct bc_job *job = container_of(to_delayed_work(work), struct bc_job, completion.tick);
	struct bc_completion *m = &job->completion;
	struct bio_list bios = BIO_EMPTY_LIST;

	mutex_lock(&job->lock);
	if (m->phase == BC_PHASE_DRAIN) {
		if (bc_group_gather(job, is_drained(job)))
			begin_hold(job);
		else if (bc_group_is_late(job))
			give_up(job, BC_READY, BC_ERROR_GROUP, &bios);
		else
			queue_delayed_work(job->wq, &m->tick, msecs_to_jiffies(TICK_MS));
	}
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
}

/* Those who come from now on hold the other reference. */
static void take_turn(struct bc_job *job)
{
	unsigned int old = job->turn;

	lockdep_assert_held(&job->lock);
	percpu_ref_reinit(&job->writes[!old]);
	/* Who finds the old one dead tries again, see bc_io_map(). */
	smp_store_release(&job->turn, !old);
	percpu_ref_kill(&job->writes[old]);
	WRITE_ONCE(job->verify.turn, false);
}

/*
 * The one place that switches the mode of job->writes: to atomic for a completion, back after it;
 * and that lets it take a turn, which needs that no switch is under way.
 */
static void completion_begin(struct work_struct *work)
{
	struct bc_job *job = container_of(work, struct bc_job, completion.begin);
	struct percpu_ref *writes = &job->writes[job->turn];
	bool begin = READ_ONCE(job->completion.phase) == BC_PHASE_BEGIN;

	if (begin)
		percpu_ref_switch_to_atomic_sync(writes);

	mutex_lock(&job->lock);
	if (begin && job->completion.phase == BC_PHASE_BEGIN) {
		WRITE_ONCE(job->completion.phase, BC_PHASE_DRAIN);
		mod_delayed_work(job->wq, &job->completion.tick, 0);
		/* It may sleep for a limit that does not hold any more. */
		bc_copier_kick(&job->copier);
	} else if (job->completion.phase == BC_PHASE_NONE && job->truth == job->source) {
		/* Over, and not by a flip; or by one that has reversed the job, see route(). */
		percpu_ref_switch_to_percpu(writes);
		if (job->verify.turn && percpu_ref_is_zero(&job->writes[!job->turn]))
			take_turn(job);
	}
	mutex_unlock(&job->lock);
}

void bc_complete_turn(struct bc_job *job)
{
	lockdep_assert_held(&job->lock);
	WRITE_ONCE(job->verify.turn, true);
	queue_work(job->wq, &job->completion.begin);
}

/* Context: job->lock held. Return: 0 or -errno. */
static int check_state(struct bc_job *job, const struct bc_how *how)
{
	bool stopped = READ_ONCE(job->copier.stopped);

	if (how->source_failed && !stopped &&
	    (job->state == BC_COPYING || job->state == BC_READY || job->state == BC_FAILED))
		return bc_reverse_check_failed(job, how->lossy);
	if (job->state == BC_READY && !job->paused && !stopped) {
		/* What it has read it would compare with the wrong leg. */
		if (!how->reverse || bc_verify_is_quiet(job))
			return 0;
		DMWARN("%s: cannot reverse while verify runs, stop it first", job->name);
		return -EBUSY;
	}
	DMWARN("%s: cannot %s: job is %s, need ready and running", job->name,
	       how->pivot ? "complete" : "finish",
	       stopped ? "suspended" : job->paused ? "paused" : bc_state_names[job->state]);
	return -EBUSY;
}

static int start_completion(struct bc_job *job, const struct bc_how *how, struct bc_group *group)
{
	struct bc_completion *m = &job->completion;
	u64 now;
	int r;

	/*
	 * A second table that was loaded before would take the device back to the source, one day.
	 */
	if (!bc_registry_lock_alone(job)) {
		DMWARN("%s: another blockcopy table is loaded, clear it first",
		       job->name);
		return -EBUSY;
	}
	mutex_lock(&job->lock);
	r = check_state(job, how);
	if (!r && group) {
		r = bc_group_join(group, how->count, job);
		if (r)
			DMWARN("%s: group %llu is over, full, or not one of %u", job->name,
			       (unsigned long long)how->group, how->count);
	}
	if (!r) {
		now = ktime_get_ns();
		m->how = *how;
		m->back = how->source_failed && job->state != BC_READY ? job->state : BC_READY;
		WRITE_ONCE(m->phase, BC_PHASE_BEGIN);
		/* Without the source there is nothing to drain that could be read. */
		m->drain_until = how->source_failed ? now : now + (u64)how->ms * NSEC_PER_MSEC;
		m->member.gather_until = now + BLOCKCOPY_GROUP_JOIN_MS * NSEC_PER_MSEC;
		bc_job_set_state(job, BC_COMPLETING, BC_EVENT_COMPLETING, BC_ERROR_NONE);
		queue_work(job->wq, &m->begin);
	}
	mutex_unlock(&job->lock);
	bc_registry_unlock();
	return r;
}

int bc_complete(struct bc_job *job, const struct bc_how *how)
{
	struct bc_group *group;
	int r = how->reverse ? bc_reverse_prepare(job) : 0;

	if (r || !how->count)
		return r ?: start_completion(job, how, NULL);
	group = bc_group_get(how->group, how->count);
	if (!group)
		return -ENOMEM;
	r = start_completion(job, how, group);
	if (r)
		bc_group_spoil(group);
	bc_group_put(group);
	return r;
}

/* It has done all that it can. What it flushed needs no other flush, which might fail. */
static bool waits_for_group(struct bc_job *job)
{
	return job->completion.member.group && job->completion.member.arrived;
}

u64 bc_complete_clean(struct bc_job *job)
{
	struct bc_completion *m = &job->completion;
	struct bio_list bios = BIO_EMPTY_LIST;
	u64 hold = 0;

	mutex_lock(&job->lock);
	if (m->phase == BC_PHASE_DRAIN) {
		mod_delayed_work(job->wq, &m->tick, 0);
	} else if (m->phase == BC_PHASE_HOLD && bc_writes_ended(job) &&
		   !bc_intent_flushes(job) && bc_mirror_is_idle(job) &&
		   !bc_meta_recording(job, m->hold) && !waits_for_group(job)) {
		/*
		 * I6: first no write in flight, late ones of the destination included, then nothing
		 * dirty. The last write marks before it goes.
		 */
		smp_mb();	/* pairs with the full barrier of the last percpu_ref_put() */
		if (bc_reverse_has_all(job))
			hold = m->hold;
		else if (m->how.source_failed)
			/* Acknowledged since the message came, and nobody can copy it. */
			give_up(job, m->back, BC_ERROR_SOURCE_ONLY, &bios);
		else
			bc_copier_kick(&job->copier);
	}
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
	return hold;
}

/*
 * Is this the hold that the flush, or the record, was for, and still all as it has to be?
 *
 * A flush for a hold that was given up says nothing about the next one, and copies may have begun
 * since.
 */
static bool may_flip(struct bc_job *job, u64 hold)
{
	struct bc_completion *m = &job->completion;

	lockdep_assert_held(&job->lock);
	if (m->phase != BC_PHASE_HOLD || m->hold != hold)
		return false;
	if (WARN_ON_ONCE(!bc_writes_ended(job)))
		return false;
	/*
	 * What a mirrored write or flush that failed left behind may show only now. So may that of
	 * a flush beside ours, as a device may tell only one of us.
	 */
	if (bc_intent_flushes(job))
		return false;
	if (!bc_reverse_has_all(job) || !bc_mirror_is_idle(job))
		return false;
	/*
	 * I6: no copy is in flight, and none has ended since the flush: while the outcome was
	 * recorded the copier went on with what such a failure made dirty.
	 */
	smp_rmb();	/* after dirty; pairs with bc_copy_begin(), which raises the other first */
	return !READ_ONCE(job->copier.in_flight_bytes) &&
	       READ_ONCE(job->copier.copied_bytes) == m->copied_bytes;
}

void bc_complete_flushed(struct bc_job *job, u64 hold)
{
	struct bc_completion *m = &job->completion;
	struct bio_list bios = BIO_EMPTY_LIST;
	bool unneeded = false;

	mutex_lock(&job->lock);
	m->copied_bytes = job->copier.copied_bytes;
	/*
	 * If it may not flip now, the copier sees to it, and flushes again: a flip that became
	 * possible only after this look would have no record. The work that records goes on by
	 * itself.
	 */
	if (may_flip(job, hold) &&
	    !bc_meta_record(job, m->how.pivot ? BC_OUTCOME_PIVOTED : BC_OUTCOME_FINISHED, hold)) {
		unneeded = m->how.unrecorded || !bc_meta_misleads(job, m->how.pivot);
		/* After a crash the metadata would say what is not true any more. */
		if (!unneeded)
			give_up(job, BC_READY, BC_ERROR_METADATA, &bios);
	}
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
	if (unneeded)
		bc_complete_recorded(job, hold);
}

bool bc_complete_holds(struct bc_job *job, u64 hold)
{
	struct bc_completion *m = &job->completion;
	bool holds;

	mutex_lock(&job->lock);
	holds = m->phase == BC_PHASE_HOLD && m->hold == hold;
	mutex_unlock(&job->lock);
	return holds;
}

enum bc_flip bc_complete_recorded(struct bc_job *job, u64 hold)
{
	struct bc_completion *m = &job->completion;
	struct bio_list bios = BIO_EMPTY_LIST;
	enum bc_flip r = BC_FLIP_NOT;

	mutex_lock(&job->lock);
	if (m->phase == BC_PHASE_HOLD && m->hold == hold && waits_for_group(job)) {
		r = BC_FLIP_WAITS;
	} else if (may_flip(job, hold)) {
		r = BC_FLIP_WAITS;
		if (!m->member.group || bc_group_arrive(job))
			flip(job, &bios);
	}
	if (m->flipped == hold)
		r = BC_FLIP_DONE;
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
	return r;
}

bool bc_complete_give_up(struct bc_job *job, enum bc_state state, enum bc_error error,
			 struct bio_list *bios)
{
	lockdep_assert_held(&job->lock);
	return job->completion.phase != BC_PHASE_NONE && give_up(job, state, error, bios);
}

bool bc_complete_cancel(struct bc_job *job, enum bc_state state, enum bc_error error)
{
	struct bio_list bios = BIO_EMPTY_LIST;
	bool was;

	mutex_lock(&job->lock);
	was = bc_complete_give_up(job, state, error, &bios);
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
	return was;
}

/* The others have decided, one way or the other. */
static void completion_decided(struct work_struct *work)
{
	struct bc_job *job = container_of(work, struct bc_job, completion.member.decided);
	struct bio_list bios = BIO_EMPTY_LIST;

	mutex_lock(&job->lock);
	/* The group of this time may be another one. */
	if (job->completion.member.group && bc_group_is_decided(job))
		give_up(job, BC_READY, BC_ERROR_GROUP, &bios);
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
}

static void completion_timer(struct work_struct *work)
{
	struct bc_job *job = container_of(to_delayed_work(work), struct bc_job, completion.timer);
	struct bc_completion *m = &job->completion;
	struct bio_list bios = BIO_EMPTY_LIST;
	u64 slack = 2 * jiffies_to_usecs(1);

	mutex_lock(&job->lock);
	if (m->phase == BC_PHASE_HOLD) {
		/* Not there yet, or a timer that was late and met the next hold. */
		if (since_us(m->held_at) + slack < (u64)m->how.ms * USEC_PER_MSEC)
			queue_delayed_work(job->wq, &m->timer, timer_delay(m));
		else
			give_up(job, BC_READY, BC_ERROR_BLACKOUT, &bios);
	}
	mutex_unlock(&job->lock);
	bc_hold_release(job, &bios);
}

static void writes_drained(struct bc_job *job)
{
	bc_copier_kick(&job->copier);
	bc_verify_kick(job);
}

static void writes_0_drained(struct percpu_ref *ref)
{
	writes_drained(container_of(ref, struct bc_job, writes[0]));
}

static void writes_1_drained(struct percpu_ref *ref)
{
	writes_drained(container_of(ref, struct bc_job, writes[1]));
}

int bc_completion_init(struct bc_job *job)
{
	struct bc_completion *m = &job->completion;
	int r;

	bc_hold_init(job);
	INIT_WORK(&m->begin, completion_begin);
	INIT_WORK(&m->member.decided, completion_decided);
	INIT_DELAYED_WORK(&m->tick, completion_tick);
	INIT_DELAYED_WORK(&m->timer, completion_timer);
	r = percpu_ref_init(&job->writes[0], writes_0_drained, PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	if (!r)
		r = percpu_ref_init(&job->writes[1], writes_1_drained, PERCPU_REF_INIT_DEAD,
				    GFP_KERNEL);
	return r;
}

void bc_completion_exit(struct bc_job *job)
{
	bc_complete_cancel(job, BC_READY, BC_ERROR_SUSPENDED);
	cancel_work_sync(&job->completion.begin);
	cancel_work_sync(&job->completion.member.decided);
	cancel_delayed_work_sync(&job->completion.tick);
	cancel_delayed_work_sync(&job->completion.timer);
}

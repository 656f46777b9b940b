// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing the legs while the guest writes. See bc-verify.h for why what it says is true.
 *
 * One work item goes from step to step. It never waits, but in submit_bio(). What was read is
 * compared in bc-compare.c.
 */
#include "bc-verifying.h"

/* Between rounds, and between looks at what will not wake us. */
#define ROUND_PAUSE	(HZ / 5)
#define LOOK_AGAIN	(HZ / 10)

/* What is mirrored to all the time is claimed from that round on, for so long at most. */
#define CLAIM_ROUND	2
#define CLAIM_TIME	(HZ / 20 + 1)

/* So many rounds in a row in which nothing was settled are enough. */
#define BARREN_ROUNDS	16

const char *const bc_verify_state_names[BC_VERIFY_STATE_MAX] = {
	[BC_VERIFY_NONE]	= BLOCKCOPY_VERIFY_NONE,
	[BC_VERIFY_RUNNING]	= BLOCKCOPY_VERIFY_RUNNING,
	[BC_VERIFY_DONE]	= BLOCKCOPY_VERIFY_DONE,
	[BC_VERIFY_STOPPED]	= BLOCKCOPY_VERIFY_STOPPED,
};

static void kick(struct bc_verify *v)
{
	queue_work(bc_verify_job(v)->copier.wq, &v->work);
}

static void kick_later(struct bc_verify *v, unsigned long delay)
{
	mod_delayed_work(bc_verify_job(v)->copier.wq, &v->timer, delay);
}

/* The legs differ for good, or nobody wants to know any more. */
static bool is_over(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	return READ_ONCE(v->stop) ||
	       (!bc_verify_possible(job) && READ_ONCE(job->state) != BC_COMPLETING);
}

/*
 * The watch
 */

static unsigned long first_region(struct bc_verify *v)
{
	return v->start >> bc_verify_job(v)->region_shift;
}

static unsigned long last_region(struct bc_verify *v)
{
	return (v->end - 1) >> bc_verify_job(v)->region_shift;
}

/* Is a region of the piece dirty, or does somebody work on one? In this order, see watch(). */
static bool is_busy(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	unsigned long first = first_region(v), last = last_region(v), region;
	struct bc_mirrors *m = &job->mirrors;
	bool busy;

	for (region = first; region <= last; region++)
		if (bc_bitmap_run(&job->dirty, region, 1))
			return true;
	smp_rmb();	/* dirty before the tree: a copy is in there before its bits are cleared */
	spin_lock_irq(&m->lock);
	busy = bc_range_find(&m->ranges, (u32)~BIT(BC_RANGE_COMPARE),
			     (u64)first << job->region_shift,
			     (u64)(last + 1) << job->region_shift);
	spin_unlock_irq(&m->lock);
	return busy;
}

bool bc_verify_touched(struct bc_verify *v)
{
	return READ_ONCE(v->touched) || is_busy(v);
}

static void watch(struct bc_verify *v)
{
	WRITE_ONCE(v->touched, false);
	WRITE_ONCE(v->watch_first, first_region(v));
	WRITE_ONCE(v->watch_last, last_region(v));
	WRITE_ONCE(v->watching, true);
	/* Before the look at what is dirty. Pairs with the full barrier of bc_bitmap_mark(). */
	smp_mb();
	if (is_busy(v))
		WRITE_ONCE(v->touched, true);
}

/*
 * Claims
 */

static void claim(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	v->claimed = true;
	v->claimed_until = jiffies +
		min(CLAIM_TIME, msecs_to_jiffies(READ_ONCE(job->args.write_timeout) / 4));
	bc_mirror_claim(job, &v->range, BC_RANGE_COMPARE, (u64)first_region(v) << job->region_shift,
			(u64)(last_region(v) + 1) << job->region_shift);
}

static void unclaim(struct bc_verify *v)
{
	if (v->claimed)
		bc_mirror_unclaim(bc_verify_job(v), &v->range);
	v->claimed = false;
}

static bool claim_expired(struct bc_verify *v)
{
	return !time_before(jiffies, v->claimed_until);
}

/*
 * The end
 */

static void put_chunks(struct bc_verify *v)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v->legs); i++) {
		bc_pool_put(&v->memory.pools[i], v->legs[i].chunks, BC_PIECE_BYTES);
		v->legs[i].chunks = NULL;
	}
}

void bc_verify_free(struct bc_verify_memory *memory)
{
	bc_bitmap_exit(&memory->todo);
	bc_pool_exit(&memory->pools[0]);
	bc_pool_exit(&memory->pools[1]);
}

static void end(struct bc_verify *v, enum bc_verify_state state)
{
	struct bc_job *job = bc_verify_job(v);

	WRITE_ONCE(v->watching, false);
	put_chunks(v);
	bc_verify_free(&v->memory);
	DMINFO("%s: verify %s: %llu of %llu bytes compared, %llu differ", job->name,
	       bc_verify_state_names[state], v->compared_bytes, v->total_bytes,
	       v->differing_bytes);
	mutex_lock(&job->lock);
	v->turn = false;
	WRITE_ONCE(v->state, state);
	/* The end of a job is an event of its own, and stays the last one. */
	if (bc_verify_possible(job))
		bc_job_event(job, BC_EVENT_VERIFIED);
	else
		bc_job_tell(job);
	mutex_unlock(&job->lock);
}

/*
 * Choosing and reading
 */

/* Whether the limits let a piece go; otherwise the timer is set. */
static bool throttles_allow(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	u64 rate = READ_ONCE(job->args.bandwidth);
	u64 copied = READ_ONCE(job->copier.copied_bytes);
	u64 now = ktime_get_ns();
	u64 wait;

	if (rate != v->shared.rate)
		bc_throttle_set_rate(&v->shared, rate, now);
	/* The copier does not wait for us. */
	bc_throttle_charge(&v->shared, copied - v->copied_bytes);
	v->copied_bytes = copied;
	wait = max(bc_throttle_wait(&v->shared, now), bc_throttle_wait(&v->own, now));
	if (wait)
		kick_later(v, nsecs_to_jiffies(wait) + 1);
	return !wait;
}

/* Find units to look at that are not dirty, up to one piece of them. */
static bool find_piece(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	unsigned int shift = job->region_shift - v->unit_shift;
	unsigned long most, unit, nr, region, dirty;

	while (bc_bitmap_next(&v->memory.todo, v->cursor, &unit)) {
		region = unit >> shift;
		nr = bc_bitmap_run(&job->dirty, region, 1UL << 16);
		if (nr) {
			v->cursor = (region + nr) << shift;
			cond_resched();
			continue;
		}
		/* What was not settled by the first look is looked at by itself. */
		most = v->round || unit < v->careful_to ? 1 : BC_PIECE_SECTORS >> v->unit_shift;
		nr = bc_bitmap_run(&v->memory.todo, unit, most);
		if (bc_bitmap_next(&job->dirty, region + 1, &dirty))
			nr = min(nr, (dirty << shift) - unit);
		v->start = bc_unit_start(v, unit);
		v->end = bc_unit_end(v, unit + nr - 1);
		v->cursor = unit + nr;
		return true;
	}
	return false;
}

static void read_end(struct bio *bio)
{
	struct bc_verify_leg *leg = bio->bi_private;
	struct bc_verify *v = leg->verify;
	struct bc_copier *c = &bc_verify_job(v)->copier;

	leg->status = bio->bi_status;
	bio_put(bio);
	if (leg == &v->legs[0] && atomic_dec_and_test(&c->reads))
		wake_up_all(&c->quiet);
	rcu_read_lock();	/* bc_verify_exit() waits for this */
	if (atomic_dec_and_test(&v->reads))
		kick(v);
	rcu_read_unlock();
}

static void read_leg(struct bc_verify_leg *leg, const struct bc_leg *from)
{
	struct bc_verify *v = leg->verify;
	const struct bc_pool *pool = &v->memory.pools[leg - v->legs];
	unsigned int bytes = (v->end - v->start) << SECTOR_SHIFT;
	struct bio *bio;

	bio = bio_alloc_bioset(from->bdev, bc_pool_chunks(pool, bytes), REQ_OP_READ, GFP_NOIO,
			       &bc_verify_job(v)->copier.bios);
	bio->bi_iter.bi_sector = from->start + v->start;
	bio->bi_private = leg;
	bio->bi_end_io = read_end;
	bc_pool_add(pool, leg->chunks, 0, bytes, bio);
	submit_bio_noacct(bio);
}

/* All that is left is dirty, or written to: give it time. */
static void next_round(struct bc_verify *v)
{
	v->barren = v->settled ? 0 : v->barren + 1;
	if (!bc_bitmap_count(&v->memory.todo) || v->barren >= BARREN_ROUNDS) {
		end(v, BC_VERIFY_DONE);
		return;
	}
	v->settled = false;
	v->cursor = 0;
	v->round++;
	kick_later(v, ROUND_PAUSE);
}

/* On to the next piece. */
static bool piece_over(struct bc_verify *v)
{
	unclaim(v);
	WRITE_ONCE(v->watching, false);
	put_chunks(v);
	v->step = BC_VERIFY_CHOOSE;
	return true;
}

static bool read_piece(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);
	unsigned int bytes = (v->end - v->start) << SECTOR_SHIFT, i;

	if (!bc_copier_begin_read(&job->copier)) {
		v->cursor = bc_first_unit(v);
		return piece_over(v);
	}
	bc_throttle_charge(&v->shared, bytes);
	bc_throttle_charge(&v->own, bytes);
	for (i = 0; i < ARRAY_SIZE(v->legs); i++)
		v->legs[i].chunks = bc_pool_get(&v->memory.pools[i], bytes, BC_PIECE_BYTES);
	watch(v);
	v->step = BC_VERIFY_READ;
	atomic_set(&v->reads, 2);
	read_leg(&v->legs[0], job->source);
	read_leg(&v->legs[1], job->destination);
	return true;
}

/* Those that were there before leave. If one does not, the piece is left for another round. */
static bool claimed(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	switch (bc_mirror_claim_state(job, &v->range)) {
	case BC_CLAIM_FREE:
		if (bc_verify_possible(job))
			return read_piece(v);
		break;
	case BC_CLAIM_BUSY:
		if (claim_expired(v) || !bc_verify_possible(job))
			break;
		kick_later(v, 1);
		return false;
	case BC_CLAIM_LATE:
		break;
	}
	return piece_over(v);
}

static bool choose(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	if (is_over(v)) {
		end(v, BC_VERIFY_STOPPED);
		return false;
	}
	if (!throttles_allow(v))
		return false;
	/* A guest whose writes are held waits for nothing of ours. */
	if (!bc_verify_possible(job) || READ_ONCE(job->copier.stopped)) {
		kick_later(v, LOOK_AGAIN);
		return false;
	}
	if (!find_piece(v)) {
		next_round(v);
		return false;
	}
	if (v->round < CLAIM_ROUND || !READ_ONCE(job->mirrors.mirroring))
		return read_piece(v);
	claim(v);
	v->step = BC_VERIFY_CLAIM;
	return true;
}

static bool compare(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	unclaim(v);
	if (bc_compare_unread(v) || !bc_compare(v) || bc_verify_touched(v) || is_over(v))
		return piece_over(v);
	v->step = BC_VERIFY_TURN;
	mutex_lock(&job->lock);
	bc_complete_turn(job);
	mutex_unlock(&job->lock);
	return true;
}

static bool turned(struct bc_verify *v)
{
	struct bc_job *job = bc_verify_job(v);

	if (is_over(v))
		return piece_over(v);
	if (READ_ONCE(v->turn)) {
		/* A completion may be under way, or an earlier turn not over. */
		queue_work(job->wq, &job->completion.begin);
		kick_later(v, LOOK_AGAIN);
		return false;
	}
	if (!percpu_ref_is_zero(&job->writes[!READ_ONCE(job->turn)]))
		return false;	/* bc_verify_kick() comes */
	smp_mb();	/* pairs with the full barrier of the last percpu_ref_put() */
	bc_compare_report(v);
	return v->step == BC_VERIFY_INTENT || piece_over(v);
}

static bool intended(struct bc_verify *v)
{
	if (bc_intent_asked(bc_verify_job(v)) && !is_over(v)) {
		kick_later(v, 1);
		return false;
	}
	return piece_over(v);
}

/* Slow legs are not waited for by the guest. */
static bool reading(struct bc_verify *v)
{
	if (v->claimed && claim_expired(v))
		unclaim(v);
	if (v->claimed)
		kick_later(v, v->claimed_until - jiffies);
	return false;
}

/*
 * The work
 */

/* Return: whether to go on at once. */
static bool step(struct bc_verify *v)
{
	switch (v->step) {
	case BC_VERIFY_CHOOSE:
		return choose(v);
	case BC_VERIFY_CLAIM:
		return claimed(v);
	case BC_VERIFY_READ:
		/* Pairs with the atomic_dec_and_test() in read_end(). */
		return atomic_read_acquire(&v->reads) ? reading(v) : compare(v);
	case BC_VERIFY_TURN:
		return turned(v);
	case BC_VERIFY_INTENT:
		return intended(v);
	}
	return false;
}

static void verify_work(struct work_struct *work)
{
	struct bc_verify *v = container_of(work, struct bc_verify, work);

	WRITE_ONCE(v->running, true);
	/* Pairs with bc_verify_begin(). */
	if (smp_load_acquire(&v->state) == BC_VERIFY_RUNNING)
		while (step(v))
			cond_resched();
	/* What was done before the end of this run shows to who sees that. */
	smp_store_release(&v->running, false);
	wake_up_all(&v->quiet);
}

static void verify_timer(struct work_struct *work)
{
	kick(container_of(to_delayed_work(work), struct bc_verify, timer));
}

bool bc_verify_is_quiet(struct bc_job *job)
{
	struct bc_verify *v = &job->verify;

	/* In this order, and pairs with the end of verify_work(). */
	return READ_ONCE(v->state) != BC_VERIFY_RUNNING && !smp_load_acquire(&v->running);
}

static bool nothing_in_flight(struct bc_verify *v)
{
	/* Pairs with the end of verify_work(): what that has begun to read shows. */
	return !smp_load_acquire(&v->running) && !atomic_read(&v->reads);
}

bool bc_verify_hold(struct bc_job *job, unsigned long timeout)
{
	struct bc_verify *v = &job->verify;

	return wait_event_timeout(v->quiet, nothing_in_flight(v), timeout);
}

void bc_verify_kick(struct bc_job *job)
{
	if (READ_ONCE(job->verify.state) == BC_VERIFY_RUNNING)
		kick(&job->verify);
	wake_up_all(&job->verify.quiet);
}

void bc_verify_init(struct bc_job *job)
{
	struct bc_verify *v = &job->verify;

	init_waitqueue_head(&v->quiet);
	INIT_WORK(&v->work, verify_work);
	INIT_DELAYED_WORK(&v->timer, verify_timer);
	v->legs[0].verify = v;
	v->legs[1].verify = v;
}

void bc_verify_exit(struct bc_job *job)
{
	struct bc_verify *v = &job->verify;

	if (job->copier.wq) {
		bc_verify_stop(job);
		wait_event(v->quiet, bc_verify_is_quiet(job));
		/* No write is in flight; that a turn is over may still have to be told. */
		wait_event(v->quiet, percpu_ref_is_zero(&job->writes[!job->turn]));
		synchronize_rcu();	/* read_end(), bc_verify_kick() */
		cancel_delayed_work_sync(&v->timer);
		cancel_work_sync(&v->work);
	}
	kvfree(v->memory.ranges);
}


// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copier: takes dirty regions from the source to the destination.
 *
 * One work item does everything, so nothing here needs a lock. It takes a run of dirty regions
 * (bc-copy.c) and sends pieces of up to 1 MiB on their way (bc-piece.c). Bios that end put their
 * piece on a list and queue the work.
 * Pieces that came back go first, before anything new is read: on fast devices one buffer then
 * makes the round, warm in the cache.
 *
 * When nothing is dirty and nothing in flight, the destination is flushed (bc-flush.c), for READY
 * (I5) or for a flip (I6).
 */
#include "bc-copier.h"

#define RATE_WINDOW_NS	(NSEC_PER_SEC / 2)

/* Between tries after an error that is to be ignored. */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	10000

void bc_copier_kick(struct bc_copier *c)
{
	queue_work(c->wq, &c->work);
}

static void kick_later(struct bc_copier *c, u64 ns)
{
	queue_delayed_work(c->wq, &c->timer, nsecs_to_jiffies(ns) + 1);
}

static u64 per_second(u64 bytes, u64 ns)
{
	return div64_u64(bytes * MSEC_PER_SEC, div_u64(ns, NSEC_PER_MSEC) + 1);
}

u64 bc_copier_rate(const struct bc_copier *c)
{
	u64 start = READ_ONCE(c->window_start);
	u64 age = ktime_get_ns() - start;

	/* A window that nobody closed: nothing was copied for long. */
	if (age > 2 * RATE_WINDOW_NS)
		return per_second(READ_ONCE(c->window_bytes), age);
	return READ_ONCE(c->rate);
}

void bc_copier_copied(struct bc_copier *c, u64 bytes)
{
	u64 now = ktime_get_ns();
	u64 age = now - c->window_start;

	bc_account(&c->copied_bytes, c->copied_bytes + bytes);
	bc_intent_copied(bc_copier_job(c), c->copied_bytes);
	bc_account(&c->window_bytes, c->window_bytes + bytes);
	if (age < RATE_WINDOW_NS)
		return;
	bc_account(&c->rate, per_second(c->window_bytes, age));
	bc_account(&c->window_bytes, 0);
	bc_account(&c->window_start, now);
}

bool bc_copier_may_issue(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);

	if (READ_ONCE(c->stopped))
		return false;
	switch (READ_ONCE(job->state)) {
	case BC_COMPLETING:
		return !READ_ONCE(job->completion.how.source_failed) &&
		       READ_ONCE(job->completion.phase) != BC_PHASE_NONE;
	case BC_COPYING:
	case BC_READY:
		return !READ_ONCE(job->paused);
	default:
		return false;
	}
}

/*
 * Errors
 */

void bc_copier_back_off(struct bc_copier *c, bool slower)
{
	u64 now = ktime_get_ns();

	c->erring = true;
	if (now < c->retry_at)
		return;		/* of one moment with an earlier one */
	c->backoff_ms = clamp(slower ? c->backoff_ms * 2 : 0, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	c->retry_at = now + (u64)c->backoff_ms * NSEC_PER_MSEC;
}

void bc_copier_recovered(struct bc_copier *c)
{
	if (c->retry_at) {
		c->retry_at = 0;
		c->backoff_ms = 0;
		/* Nobody waits for that time any more, and it may be seconds away. */
		cancel_delayed_work(&c->timer);
	}
	if (!c->erring || READ_ONCE(c->holes.nr))
		return;
	c->erring = false;
	bc_job_recovered(bc_copier_job(c));
}

/*
 * What may be issued now
 */

/* Whether the bandwidth limit lets a piece go; otherwise the timer is set. */
static bool throttle_allows(struct bc_copier *c)
{
	u64 rate = READ_ONCE(bc_copier_job(c)->args.bandwidth);
	u64 now = ktime_get_ns();
	u64 wait;

	if (rate != c->throttle.rate)
		bc_throttle_set_rate(&c->throttle, rate, now);
	wait = bc_throttle_wait(&c->throttle, now);
	if (wait)
		mod_delayed_work(c->wq, &c->timer, nsecs_to_jiffies(wait) + 1);
	return !wait;
}

u64 bc_copier_busy_bytes(struct bc_job *job)
{
	return max_t(u64, READ_ONCE(job->args.buf_size) / BC_BUSY_SHARE, BC_PIECE_BYTES / 2);
}

/* Are short queues wanted: for the guest, or so that its writes may be mirrored? */
static bool is_modest(struct bc_job *job)
{
	return bc_guest_is_busy(job) ||
	       (READ_ONCE(job->mode.modest) && !READ_ONCE(job->mirrors.mirroring));
}

/* Whether the guest is to go first; then its request that ends, or the timer, kicks. */
static bool yields(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	u64 now;

	if (c->yield_bytes)
		return false;
	now = ktime_get_ns();
	if (!c->yield_until) {
		c->yield_until = now + BC_YIELD_NS;
		WRITE_ONCE(job->yielding, true);
	}
	/* One that ends unseen in between costs no more than that time. */
	if (READ_ONCE(job->yielding) && now < c->yield_until && bc_guest_waits(job)) {
		/* Not kick_later(): for a hole it may be set for much later. */
		mod_delayed_work(c->wq, &c->timer, nsecs_to_jiffies(c->yield_until - now) + 1);
		return true;
	}
	WRITE_ONCE(job->yielding, false);
	c->yield_until = 0;
	c->yield_bytes = BC_BUSY_PIECE_SECTORS << SECTOR_SHIFT;
	return false;
}

/* Guest writes are not to wait for a time that nobody works in. */
static void rest(struct bc_copier *c)
{
	bc_copy_withdraw(c);
	if (c->current_copy)
		bc_mirror_set_idle(bc_copier_job(c), &c->current_copy->range, true);
}

/* After an error that is retried: not yet. */
static bool backing_off(struct bc_copier *c)
{
	u64 now;

	if (!c->retry_at)
		return false;
	now = ktime_get_ns();
	if (now >= c->retry_at)
		return false;
	kick_later(c, c->retry_at - now);
	return true;
}

bool bc_copier_begin_read(struct bc_copier *c)
{
	atomic_inc(&c->reads);
	smp_mb__after_atomic();	/* pairs with bc_copier_stop(): one of us sees the other */
	if (!READ_ONCE(c->stopped))
		return true;
	if (atomic_dec_and_test(&c->reads))
		wake_up_all(&c->quiet);
	return false;
}

static void put_buffers(struct bc_copier *c, struct page *chunks, struct page *there)
{
	u64 limit = READ_ONCE(bc_copier_job(c)->args.buf_size);

	bc_pool_put(&c->pool, chunks, limit);
	bc_pool_put(&c->pool, there, limit);
}

/* For the source's data, and for the destination's if they are compared. */
static bool get_buffers(struct bc_copier *c, unsigned int bytes, struct page **ret_chunks,
			struct page **ret_there)
{
	u64 limit = READ_ONCE(bc_copier_job(c)->args.buf_size);

	*ret_chunks = bc_pool_get(&c->pool, bytes, limit);
	if (!*ret_chunks || !bc_copier_job(c)->args.compare)
		return *ret_chunks;
	*ret_there = bc_pool_get(&c->pool, bytes, limit);
	if (!*ret_there)
		bc_pool_put(&c->pool, *ret_chunks, limit);
	return *ret_there;
}

/* Whether nothing may be issued; then nobody is to wait for it. */
static bool gives_way(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);

	if (bc_copier_may_issue(c))
		return false;
	bc_copy_withdraw(c);
	if (READ_ONCE(c->stopped) || READ_ONCE(job->state) == BC_FAILED || bc_source_failed(job))
		bc_copy_cut(c);
	return true;
}

/* Issue one more piece. Return: false when that has to wait for something that will kick. */
static bool issue(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	struct bc_copy *copy;
	unsigned int sectors, most;
	struct page *chunks, *there = NULL;
	bool limited, modest;

	if (gives_way(c) || list_empty(&c->idle_pieces))
		return false;
	/* A guest whose writes are held waits for nothing but the devices. */
	limited = READ_ONCE(job->state) != BC_COMPLETING;
	modest = limited && is_modest(job);
	if (modest && c->piece_bytes >= bc_copier_busy_bytes(job))
		return false;
	if (backing_off(c) || (limited && !throttle_allows(c)) || (modest && yields(c))) {
		rest(c);
		return false;
	}
	copy = c->current_copy ?: bc_copy_choose(c);
	if (!copy)
		return false;
	/*
	 * I6: when others flip, this may be dirty by a write that came after it, and that a
	 * finished copy must not have. Found, and then looked at; pairs with end_completion().
	 */
	smp_rmb();
	if (gives_way(c))
		return false;
	/* Both buffers of a piece that is compared fit into what the pool always has. */
	most = job->args.compare ? BC_PIECE_SECTORS / 2 : BC_PIECE_SECTORS;
	sectors = min_t(sector_t, copy->end - (c->current_copy ? copy->next : copy->start),
			modest ? BC_BUSY_PIECE_SECTORS : most);

	if (!get_buffers(c, sectors << SECTOR_SHIFT, &chunks, &there))
		return false;
	if (!bc_copier_begin_read(c)) {
		put_buffers(c, chunks, there);
		bc_copy_withdraw(c);
		bc_copy_cut(c);
		return false;
	}
	if (c->current_copy)
		bc_mirror_set_idle(job, &copy->range, false);
	else
		bc_copy_begin(c, copy);
	if (limited)
		bc_throttle_charge(&c->throttle, (u64)sectors << SECTOR_SHIFT);
	if (modest)
		c->yield_bytes -= min_t(u64, c->yield_bytes, (u64)sectors << SECTOR_SHIFT);
	bc_piece_issue(c, copy, sectors, chunks, there);
	return true;
}

/*
 * The work
 */

/* What mirrored writes and flushes met at the destination. Their regions are dirty already. */
static void mirror_errors(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	struct bc_mirrors *m = &job->mirrors;
	unsigned int seen;
	blk_status_t status;
	bool flush;

	if (!READ_ONCE(m->error))
		return;
	spin_lock_irq(&m->lock);
	status = m->error;
	flush = m->flush_failed;
	seen = m->errors;
	m->flush_failed = false;
	spin_unlock_irq(&m->lock);

	c->flush_void = true;
	/* I6: who looks for an error, to flip, finds it until what it left behind is dirty. */
	if (flush)
		bc_flush_failed(c, status);
	spin_lock_irq(&m->lock);
	if (m->errors == seen)
		m->error = BLK_STS_OK;
	spin_unlock_irq(&m->lock);
	if (flush)
		return;
	DMERR_LIMIT("%s: mirrored write to destination: error %d", job->name,
		    blk_status_to_errno(status));
	bc_account(&job->target_errors, job->target_errors + 1);
	bc_copier_back_off(c, true);
	bc_job_error(job, BC_ERROR_TARGET_WRITE, status);
}

/* Nothing dirty, nothing in flight: is there anything to flush for? */
static void clean(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	u64 hold;

	switch (READ_ONCE(job->state)) {
	case BC_COPYING:
		bc_flush(c, 0);
		break;
	case BC_COMPLETING:
		hold = bc_complete_clean(job);
		if (hold)
			bc_flush(c, hold);
		break;
	default:
		break;
	}
}

/* Nothing could be issued: what will wake us? */
static void settle(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	bool listing;
	u64 due, now;

	if (c->in_flight)
		return;
	wake_up_all(&c->quiet);
	if (bc_source_failed(job) && !READ_ONCE(c->stopped) && list_empty(&c->active))
		clean(c);
	if (!bc_copier_may_issue(c))
		return;
	/* I5: first, and then the count. Pairs with bc_list_end(): what was listed shows. */
	listing = smp_load_acquire(&job->listing);
	/* A copy that is half issued is neither dirty nor in flight, and yet not there. */
	if (list_empty(&c->active) && !listing && bc_mirror_is_clean(job)) {
		clean(c);
		if (c->in_flight)
			return;
	}

	WRITE_ONCE(c->idle, true);
	/*
	 * From here on whoever marks has to kick. Pairs with the full barrier of bc_bitmap_mark().
	 */
	smp_mb();
	/*
	 * Dirty after all, but nothing could be issued: the throttle's timer is running (and
	 * stays), an older job is not gone yet, or the one who marks has raised the count and not
	 * yet the bit. Look again soon. Not for holes: who marks something else kicks.
	 */
	if (!bc_bitmap_count(&job->dirty))
		return;
	if (bc_copy_rests(c, &due)) {
		now = ktime_get_ns();
		c->resting = true;
		mod_delayed_work(c->wq, &c->timer,
				 due > now ? nsecs_to_jiffies(due - now) + 1 : 1);
	} else {
		WRITE_ONCE(c->idle, false);
		kick_later(c, NSEC_PER_MSEC);
	}
}

static void copier_work(struct work_struct *work)
{
	struct bc_copier *c = container_of(work, struct bc_copier, work);
	struct bc_piece *piece, *tmp;
	struct llist_node *done;

	WRITE_ONCE(c->running, true);
	smp_mb();	/* "running" before "stopped" is read; pairs with bc_copier_stop() */
	WRITE_ONCE(c->idle, false);
	/* For something sooner kick_later() leaves a timer alone that runs already. */
	if (c->resting) {
		c->resting = false;
		cancel_delayed_work(&c->timer);
	}
	do {
		mirror_errors(c);
		bc_flush_ended(c);
		while ((done = llist_del_all(&c->done)))
			llist_for_each_entry_safe(piece, tmp, done, node)
				bc_piece_advance(c, piece);
		cond_resched();
	} while (issue(c) || !llist_empty(&c->done));
	settle(c);
	/* What was done before the end of this run shows to who sees that. */
	smp_store_release(&c->running, false);
	wake_up_all(&c->quiet);
}

static void copier_timer(struct work_struct *work)
{
	bc_copier_kick(container_of(to_delayed_work(work), struct bc_copier, timer));
}

bool bc_copier_is_quiet(struct bc_copier *c)
{
	/*
	 * A run that began before it saw "stopped" may issue one piece more, so in this order. It
	 * pairs with the end of copier_work().
	 */
	return !smp_load_acquire(&c->running) && !READ_ONCE(c->in_flight);
}

bool bc_copier_stop(struct bc_copier *c, unsigned long timeout)
{
	WRITE_ONCE(c->stopped, true);
	smp_mb();	/* pairs with copier_work(): one of us sees the other */
	bc_copier_kick(c);
	if (!wait_event_timeout(c->quiet, bc_copier_is_quiet(c), timeout))
		return false;
	/* Nothing arms it again. What it queued last finds nothing to do. */
	cancel_delayed_work_sync(&c->timer);
	return true;
}

void bc_copier_start(struct bc_copier *c)
{
	WRITE_ONCE(c->stopped, false);
	bc_copier_kick(c);
}

int bc_copier_init(struct bc_copier *c, struct bc_job *job)
{
	unsigned int i;
	int r;

	INIT_WORK(&c->work, copier_work);
	INIT_DELAYED_WORK(&c->timer, copier_timer);
	init_llist_head(&c->done);
	init_waitqueue_head(&c->quiet);
	INIT_LIST_HEAD(&c->claimed);
	INIT_LIST_HEAD(&c->active);
	INIT_LIST_HEAD(&c->idle_copies);
	INIT_LIST_HEAD(&c->idle_pieces);
	for (i = 0; i < BC_NR_PIECES; i++) {
		c->pieces[i].copier = c;
		list_add_tail(&c->pieces[i].list, &c->idle_pieces);
	}
	for (i = 0; i < ARRAY_SIZE(c->copies); i++)
		list_add_tail(&c->copies[i].list, &c->idle_copies);
	c->stopped = true;
	bc_holes_init(&c->holes);
	c->zeroes_work = bdev_write_zeroes_sectors(job->destination->bdev);
	c->window_start = ktime_get_ns();
	bc_throttle_init(&c->throttle, job->args.bandwidth, c->window_start);

	r = bc_pool_init(&c->pool);
	if (r)
		return r;
	r = bioset_init(&c->bios, 16, 0, BIOSET_NEED_BVECS);
	if (r)
		goto err_pool;
	c->wq = alloc_workqueue("bc_copy_%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				job->name);
	if (!c->wq) {
		r = -ENOMEM;
		goto err_bios;
	}
	return 0;

err_bios:
	bioset_exit(&c->bios);
err_pool:
	bc_pool_exit(&c->pool);
	return r;
}

void bc_copier_exit(struct bc_copier *c)
{
	if (!c->wq)
		return;
	/* A last run that may still be to come withdraws the claims, and no one else. */
	bc_copier_stop(c, MAX_SCHEDULE_TIMEOUT);
	synchronize_rcu();	/* piece_bio_end() */
	destroy_workqueue(c->wq);
	bioset_exit(&c->bios);
	bc_pool_exit(&c->pool);
	bc_holes_exit(&c->holes);
}

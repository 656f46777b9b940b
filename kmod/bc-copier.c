// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copier: takes dirty regions from the source to the destination.
 *
 * One work item does everything, so nothing here needs a lock. It takes a run of dirty regions that
 * no copy has in flight, claims it, which keeps mirrored guest writes out (I3), clears the bits
 * when those inside have left (I2), and sends pieces of up to 1 MiB on their way: read, look at the
 * buffer, write. Bios that end put their piece on a list and queue the work.
 * Pieces that came back go first, before anything new is read: on fast devices one buffer then
 * makes the round, warm in the cache.
 *
 * When nothing is dirty and nothing in flight, the destination is flushed, for READY (I5) or for a
 * flip (I6).
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "bc-job.h"
#include "bc-trace.h"

#define RATE_WINDOW_NS	(NSEC_PER_SEC / 2)

/* Between tries after an error that is to be ignored. */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	10000

static struct bc_job *job_of(struct bc_copier *c)
{
	return container_of(c, struct bc_job, copier);
}

void bc_copier_kick(struct bc_copier *c)
{
	queue_work(c->wq, &c->work);
}

static void kick_later(struct bc_copier *c, u64 ns)
{
	queue_delayed_work(c->wq, &c->timer, nsecs_to_jiffies(ns) + 1);
}

/* Shown by status while the work writes them. */
static void account(u64 *counter, u64 value)
{
	WRITE_ONCE(*counter, value);
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

static void account_copied(struct bc_copier *c, u64 bytes)
{
	u64 now = ktime_get_ns();
	u64 age = now - c->window_start;

	account(&c->copied_bytes, c->copied_bytes + bytes);
	account(&c->window_bytes, c->window_bytes + bytes);
	if (age < RATE_WINDOW_NS)
		return;
	account(&c->rate, per_second(c->window_bytes, age));
	account(&c->window_bytes, 0);
	account(&c->window_start, now);
}

/* Whether anything may be read from the source now. */
static bool may_issue(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);

	if (READ_ONCE(c->stopped))
		return false;
	switch (READ_ONCE(job->state)) {
	case BC_COMPLETING:
		return true;
	case BC_COPYING:
	case BC_READY:
		return !READ_ONCE(job->paused);
	default:
		return false;
	}
}

/*
 * Copies: runs of regions
 */

static u64 copy_bytes(const struct bc_copy *copy)
{
	return (copy->end - copy->start) << SECTOR_SHIFT;
}

static unsigned long first_region(struct bc_job *job, const struct bc_copy *copy)
{
	return copy->start >> job->region_shift;
}

static unsigned long last_region(struct bc_job *job, const struct bc_copy *copy)
{
	return (copy->end - 1) >> job->region_shift;
}

/* Keep mirrored writes out of a run of regions. Those inside may still have to leave. */
static struct bc_copy *claim(struct bc_copier *c, unsigned long region, unsigned long nr)
{
	struct bc_job *job = job_of(c);
	struct bc_copy *copy = list_first_entry(&c->idle_copies, struct bc_copy, list);

	copy->start = (sector_t)region << job->region_shift;
	copy->end = min_t(sector_t, (sector_t)(region + nr) << job->region_shift, job->len);
	list_move_tail(&copy->list, &c->claimed);
	c->cursor = region + nr;
	/* Before the look at who is inside: those who leave look at it under the same lock. */
	WRITE_ONCE(c->nr_claimed, c->nr_claimed + 1);
	bc_mirror_claim(job, &copy->range, copy->start, copy->end);
	return copy;
}

static void unclaim(struct bc_copier *c, struct bc_copy *copy)
{
	WRITE_ONCE(c->nr_claimed, c->nr_claimed - 1);
	bc_mirror_unclaim(job_of(c), &copy->range);
	list_move(&copy->list, &c->idle_copies);
	c->cursor = first_region(job_of(c), copy);
}

/*
 * One that may begin now, or NULL. Those that met a late write are withdrawn: it may take for ever.
 */
static struct bc_copy *free_claim(struct bc_copier *c)
{
	struct bc_copy *copy, *tmp;

	list_for_each_entry_safe(copy, tmp, &c->claimed, list) {
		switch (bc_mirror_claim_state(job_of(c), &copy->range)) {
		case BC_CLAIM_FREE:
			return copy;
		case BC_CLAIM_LATE:
			unclaim(c, copy);
			break;
		case BC_CLAIM_BUSY:
			break;
		}
	}
	return NULL;
}

static void withdraw_claims(struct bc_copier *c)
{
	struct bc_copy *copy, *tmp;

	list_for_each_entry_safe(copy, tmp, &c->claimed, list)
		unclaim(c, copy);
}

static void copy_begin(struct bc_copier *c, struct bc_copy *copy)
{
	struct bc_job *job = job_of(c);

	WRITE_ONCE(c->nr_claimed, c->nr_claimed - 1);
	list_move_tail(&copy->list, &c->active);
	copy->next = copy->start;
	copy->pending = 0;
	copy->error = 0;
	c->current_copy = copy;

	/* I2: before the source is read. The other way round a write in between would be lost. */
	account(&c->in_flight_bytes, c->in_flight_bytes + copy_bytes(copy));
	bc_bitmap_clear(&job->dirty, first_region(job, copy), last_region(job, copy));
	trace_blockcopy_copy_begin(job->devt, copy->start, copy->end - copy->start, 0);
}

/* An error may be retried: not at once, ever more slowly, and of a run the good regions first. */
static void back_off(struct bc_copier *c)
{
	u64 now = ktime_get_ns();

	if (now < c->retry_at)
		return;		/* of one moment with an earlier one */
	c->backoff_ms = clamp(c->backoff_ms * 2, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	c->retry_at = now + (u64)c->backoff_ms * NSEC_PER_MSEC;
}

static void recovered(struct bc_copier *c)
{
	if (!c->retry_at)
		return;
	c->retry_at = 0;
	c->backoff_ms = 0;
	bc_job_recovered(job_of(c));
}

/* A run failed: look at its regions one by one, and first at them. */
static void be_careful(struct bc_copier *c, unsigned long first, unsigned long last)
{
	if (first == last)
		return;
	c->careful_from = first;
	c->careful_to = last + 1;
	c->cursor = first;
}

static void copy_end(struct bc_copier *c, struct bc_copy *copy)
{
	struct bc_job *job = job_of(c);

	if (copy->error) {
		bc_bitmap_mark(&job->dirty, first_region(job, copy), last_region(job, copy));
		if (copy->error != -EINTR)
			be_careful(c, first_region(job, copy), last_region(job, copy));
	} else {
		account_copied(c, copy_bytes(copy));
		recovered(c);
	}
	account(&c->in_flight_bytes, c->in_flight_bytes - copy_bytes(copy));
	trace_blockcopy_copy_end(job->devt, copy->start, copy->end - copy->start,
				 copy->error);
	/* After the marks: who enters must see what the copy left dirty. */
	bc_mirror_unclaim(job, &copy->range);
	list_move(&copy->list, &c->idle_copies);
}

static void copy_end_if_over(struct bc_copier *c, struct bc_copy *copy)
{
	if (!copy->pending && copy->next == copy->end)
		copy_end(c, copy);
}

/* Issue no more pieces of the copy that is half issued; what it did not reach stays dirty. */
static void cut_current_copy(struct bc_copier *c)
{
	struct bc_copy *copy = c->current_copy;

	if (!copy)
		return;
	c->current_copy = NULL;
	copy->error = copy->error ?: -EINTR;
	copy->next = copy->end;
	copy_end_if_over(c, copy);
}

/*
 * I3: the first active or claimed copy that overlaps the regions, or NULL. They are few, at most
 * BC_NR_PIECES + BC_NR_CLAIMS.
 */
static struct bc_copy *find_active(struct bc_copier *c, sector_t start, sector_t end)
{
	struct bc_copy *copy;

	list_for_each_entry(copy, &c->active, list)
		if (copy->start < end && start < copy->end)
			return copy;
	list_for_each_entry(copy, &c->claimed, list)
		if (copy->start < end && start < copy->end)
			return copy;
	return NULL;
}

/*
 * I3, I4: where in @region up to @end may nothing be copied now? Return: whether there is such a
 * run of regions, the first of them in *@ret_from and the one after in *@ret_to.
 */
static bool find_taken(struct bc_copier *c, unsigned long region, unsigned long end,
		       unsigned long *ret_from, unsigned long *ret_to)
{
	struct bc_job *job = job_of(c);
	sector_t start = (sector_t)region << job->region_shift;
	sector_t stop = (sector_t)end << job->region_shift;
	struct bc_copy *copy = find_active(c, start, stop);
	u64 from, to;

	if (copy) {
		*ret_from = first_region(job, copy);
		*ret_to = last_region(job, copy) + 1;
		return true;
	}
	if (!bc_mirror_find_late(job, start, stop, &from, &to))
		return false;
	*ret_from = from >> job->region_shift;
	*ret_to = to >> job->region_shift;	/* whole regions, even past the end */
	return true;
}

/* Find a run of dirty regions, up to one piece long, of which none is being copied. */
static bool find_run(struct bc_copier *c, unsigned long *ret_region, unsigned long *ret_nr)
{
	struct bc_job *job = job_of(c);
	unsigned long most = max(BC_PIECE_SECTORS >> job->region_shift, 1U);
	unsigned long from = c->cursor, region, nr, taken, to;
	bool wrapped = false;

	for (;;) {
		if (!bc_bitmap_next(&job->dirty, from, &region)) {
			if (wrapped)
				return false;
			wrapped = true;
			from = 0;
			continue;
		}
		if (wrapped && region >= c->cursor)
			return false;
		if (!find_taken(c, region, region + 1, &taken, &from))
			break;
	}

	if (region >= c->careful_from && region < c->careful_to)
		most = 1;
	nr = bc_bitmap_run(&job->dirty, region, most);
	/* A write that became late just now may begin before us; the claim will meet it. */
	while (nr > 1 && find_taken(c, region + 1, region + nr, &taken, &to))
		nr = taken > region ? taken - region : 1;
	*ret_region = region;
	*ret_nr = max(nr, 1UL);
	return true;
}

/*
 * Pieces: one read and one write
 */

static void piece_bio_end(struct bio *bio)
{
	struct bc_piece *piece = bio->bi_private;
	struct bc_copier *c = piece->copier;

	piece->status = bio->bi_status;
	bio_put(bio);
	if (piece->stage == BC_PIECE_READ && atomic_dec_and_test(&c->reads))
		wake_up_all(&c->quiet);
	/*
	 * Once the piece is on the list the work may find it, and be the last one before the copier
	 * is freed: bc_copier_exit() waits for a grace period, so that there still is a work queue
	 * to kick.
	 */
	rcu_read_lock();
	if (llist_add(&piece->node, &c->done))
		bc_copier_kick(c);
	rcu_read_unlock();
}

static void piece_submit(struct bc_piece *piece, const struct bc_leg *leg, blk_opf_t opf)
{
	struct bc_copier *c = piece->copier;
	unsigned int left = piece->sectors << SECTOR_SHIFT;
	unsigned int chunk_bytes = PAGE_SIZE << c->pool.order;
	bool data = (opf & REQ_OP_MASK) != REQ_OP_WRITE_ZEROES;
	struct page *chunk;
	struct bio *bio;

	if (READ_ONCE(job_of(c)->state) == BC_COMPLETING)
		opf |= REQ_SYNC;
	bio = bio_alloc_bioset(leg->bdev, data ? DIV_ROUND_UP(left, chunk_bytes) : 0, opf,
			       GFP_NOIO, &c->bios);
	bio->bi_iter.bi_sector = leg->start + piece->start;
	bio->bi_private = piece;
	bio->bi_end_io = piece_bio_end;
	if (data) {
		for (chunk = piece->chunks; left; chunk = bc_chunk_next(chunk)) {
			unsigned int n = min(left, chunk_bytes);

			__bio_add_page(bio, chunk, n, 0);
			left -= n;
		}
	} else {
		bio->bi_iter.bi_size = left;
	}
	submit_bio_noacct(bio);
}

static void piece_issue(struct bc_copier *c, struct bc_copy *copy, unsigned int sectors,
			struct page *chunks)
{
	struct bc_piece *piece = list_first_entry(&c->idle_pieces, struct bc_piece, list);

	list_del(&piece->list);
	piece->copy = copy;
	piece->chunks = chunks;
	piece->start = copy->next;
	piece->sectors = sectors;
	piece->stage = BC_PIECE_READ;
	copy->pending++;
	copy->next += sectors;
	if (copy->next == copy->end)
		c->current_copy = NULL;
	WRITE_ONCE(c->in_flight, c->in_flight + 1);
	account(&c->piece_bytes, c->piece_bytes + ((u64)sectors << SECTOR_SHIFT));
	piece_submit(piece, &job_of(c)->source, REQ_OP_READ);
}

static void piece_end(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_copy *copy = piece->copy;

	bc_pool_put(&c->pool, piece->chunks, READ_ONCE(job_of(c)->args.buf_size));
	piece->chunks = NULL;
	list_add(&piece->list, &c->idle_pieces);
	WRITE_ONCE(c->in_flight, c->in_flight - 1);
	account(&c->piece_bytes, c->piece_bytes - ((u64)piece->sectors << SECTOR_SHIFT));
	copy->pending--;
	copy_end_if_over(c, copy);
}

static bool piece_is_zero(struct bc_piece *piece)
{
	unsigned int left = piece->sectors << SECTOR_SHIFT;
	unsigned int chunk_bytes = PAGE_SIZE << piece->copier->pool.order;
	struct page *chunk;

	for (chunk = piece->chunks; left; chunk = bc_chunk_next(chunk)) {
		unsigned int n = min(left, chunk_bytes);

		if (memchr_inv(page_address(chunk), 0, n))
			return false;
		left -= n;
	}
	return true;
}

static void piece_write(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = job_of(c);
	enum bc_detect_zeroes detect = job->args.detect_zeroes;

	if (READ_ONCE(c->stopped)) {
		piece->copy->error = -EINTR;
		piece_end(c, piece);
		return;
	}
	if (detect != BC_DETECT_ZEROES_OFF && READ_ONCE(c->zeroes_work) && piece_is_zero(piece)) {
		piece->stage = BC_PIECE_ZERO;
		piece_submit(piece, &job->destination, REQ_OP_WRITE_ZEROES |
			     (detect == BC_DETECT_ZEROES_ON ? REQ_NOUNMAP : 0));
		return;
	}
	piece->stage = BC_PIECE_WRITE;
	piece_submit(piece, &job->destination, REQ_OP_WRITE);
}

static void piece_failed(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = job_of(c);
	bool source = piece->stage == BC_PIECE_READ;
	u64 *errors = source ? &job->source_errors : &job->target_errors;

	DMERR_LIMIT("%s: %s %llu+%u: error %d", job->name,
		    source ? "copier reads source" : "copier writes destination",
		    (unsigned long long)piece->start, piece->sectors,
		    blk_status_to_errno(piece->status));
	account(errors, *errors + 1);
	piece->copy->error = blk_status_to_errno(piece->status);
	c->flush_void = true;
	back_off(c);
	bc_job_error(job, source ? BC_ERROR_SOURCE_READ : BC_ERROR_TARGET_WRITE, piece->status);
	piece_end(c, piece);
}

/* A piece came back from one of its bios. */
static void piece_advance(struct bc_copier *c, struct bc_piece *piece)
{
	if (piece->stage == BC_PIECE_ZERO &&
	    (piece->status == BLK_STS_NOTSUPP || piece->status == BLK_STS_TARGET)) {
		/*
		 * The device promised and refuses: it gets the zeroes as data, now and from now on.
		 */
		WRITE_ONCE(c->zeroes_work, false);
		piece_write(c, piece);
	} else if (piece->status) {
		piece_failed(c, piece);
	} else if (piece->stage == BC_PIECE_READ) {
		piece_write(c, piece);
	} else {
		if (piece->stage == BC_PIECE_ZERO)
			account(&c->zeroed_bytes,
				c->zeroed_bytes + ((u64)piece->sectors << SECTOR_SHIFT));
		piece_end(c, piece);
	}
}

/* Whether the bandwidth limit lets a piece go; otherwise the timer is set. */
static bool throttle_allows(struct bc_copier *c)
{
	u64 rate = READ_ONCE(job_of(c)->args.bandwidth);
	u64 now = ktime_get_ns();
	u64 wait;

	if (rate != c->throttle.rate)
		bc_throttle_set_rate(&c->throttle, rate, now);
	wait = bc_throttle_wait(&c->throttle, now);
	if (wait)
		mod_delayed_work(c->wq, &c->timer, nsecs_to_jiffies(wait) + 1);
	return !wait;
}

/* I4: whether an older job of this device may still have writes to the destination in flight. */
static bool alone(struct bc_copier *c)
{
	if (!c->alone)
		c->alone = !bc_registry_has_older(job_of(c));
	return c->alone;
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

/* The next copy, not begun yet. Return: NULL if there is none now. */
static struct bc_copy *choose_copy(struct bc_copier *c)
{
	struct bc_copy *copy = free_claim(c);
	unsigned long region, nr;

	while (!copy) {
		if (c->nr_claimed >= BC_NR_CLAIMS || !bc_bitmap_count(&job_of(c)->dirty) ||
		    !alone(c) || !find_run(c, &region, &nr))
			return NULL;
		claim(c, region, nr);
		copy = free_claim(c);
	}
	return copy;
}

/*
 * Count a read before it is known to be wanted: bc_reap() sets "stopped", waits for the reads and
 * then has the source closed.
 */
static bool begin_read(struct bc_copier *c)
{
	atomic_inc(&c->reads);
	smp_mb__after_atomic();	/* pairs with bc_copier_stop(): one of us sees the other */
	if (!READ_ONCE(c->stopped))
		return true;
	if (atomic_dec_and_test(&c->reads))
		wake_up_all(&c->quiet);
	return false;
}

/* Issue one more piece. Return: false when that has to wait for something that will kick. */
static bool issue(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);
	struct bc_copy *copy;
	unsigned int sectors;
	struct page *chunks;
	bool limited;

	if (!may_issue(c)) {
		withdraw_claims(c);
		if (READ_ONCE(c->stopped) || READ_ONCE(job->state) == BC_FAILED)
			cut_current_copy(c);
		return false;
	}
	if (list_empty(&c->idle_pieces))
		return false;
	/* A guest whose writes are held waits for nothing but the devices. */
	limited = READ_ONCE(job->state) != BC_COMPLETING;
	if (backing_off(c) || (limited && !throttle_allows(c))) {
		/* Guest writes are not to wait for a time that nobody works in. */
		withdraw_claims(c);
		if (c->current_copy)
			bc_mirror_set_idle(job, &c->current_copy->range, true);
		return false;
	}
	if (limited && c->piece_bytes >= BC_BUSY_BYTES && READ_ONCE(job->mode.modest) &&
	    (!READ_ONCE(job->mirrors.mirroring) || bc_mirror_busy(job)))
		return false;
	copy = c->current_copy ?: choose_copy(c);
	if (!copy)
		return false;
	sectors = min_t(sector_t, copy->end - (c->current_copy ? copy->next : copy->start),
			BC_PIECE_SECTORS);

	chunks = bc_pool_get(&c->pool, sectors << SECTOR_SHIFT, READ_ONCE(job->args.buf_size));
	if (!chunks)
		return false;
	if (!begin_read(c)) {
		bc_pool_put(&c->pool, chunks, READ_ONCE(job->args.buf_size));
		withdraw_claims(c);
		cut_current_copy(c);
		return false;
	}
	if (c->current_copy)
		bc_mirror_set_idle(job, &copy->range, false);
	else
		copy_begin(c, copy);
	if (limited)
		bc_throttle_charge(&c->throttle, (u64)sectors << SECTOR_SHIFT);
	piece_issue(c, copy, sectors, chunks);
	return true;
}

/*
 * Flushes of the destination
 */

static void flush_bio_end(struct bio *bio)
{
	struct bc_copier *c = bio->bi_private;

	c->flush_status = bio->bi_status;
	bio_put(bio);
	rcu_read_lock();	/* as in piece_bio_end() */
	/* Pairs with the smp_load_acquire() in flush_ended(). */
	smp_store_release(&c->flush_done, true);
	bc_copier_kick(c);
	rcu_read_unlock();
}

static void flush(struct bc_copier *c, u64 hold)
{
	struct bio *bio = bio_alloc_bioset(job_of(c)->destination.bdev, 0,
					   REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC, GFP_NOIO,
					   &c->bios);

	bio->bi_private = c;
	bio->bi_end_io = flush_bio_end;
	c->flushing = true;
	c->flush_void = false;
	c->flush_hold = hold;
	WRITE_ONCE(c->in_flight, c->in_flight + 1);
	submit_bio_noacct(bio);
}

static void flush_failed(struct bc_copier *c, blk_status_t status)
{
	struct bc_job *job = job_of(c);

	DMERR_LIMIT("%s: destination flush: error %d", job->name,
		    blk_status_to_errno(status));
	account(&job->target_errors, job->target_errors + 1);
	/*
	 * What the destination acknowledged since its last good flush may be lost, who knows what.
	 */
	bc_job_dirty_all(job);
	back_off(c);
	bc_job_error(job, BC_ERROR_TARGET_FLUSH, status);
}

/* I5: the flush that ended was begun when nothing was dirty and nothing in flight. */
static void flush_succeeded(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);

	if (c->flush_hold) {
		if (!WARN_ON_ONCE(!list_empty(&c->active)))
			bc_complete_flushed(job, c->flush_hold);
		return;
	}
	mutex_lock(&job->lock);
	if (job->state == BC_COPYING && !c->flush_void && !bc_mirror_has_error(job))
		bc_job_set_state(job, BC_READY, BC_EVENT_READY, BC_ERROR_NONE);
	mutex_unlock(&job->lock);
}

static void flush_ended(struct bc_copier *c)
{
	/* Pairs with the smp_store_release() in flush_bio_end(). */
	if (!c->flushing || !smp_load_acquire(&c->flush_done))
		return;
	c->flush_done = false;
	c->flushing = false;
	WRITE_ONCE(c->in_flight, c->in_flight - 1);
	if (c->flush_status)
		flush_failed(c, c->flush_status);
	else
		flush_succeeded(c);
}

/*
 * The work
 */

/* What mirrored writes and flushes met at the destination. Their regions are dirty already. */
static void mirror_errors(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);
	struct bc_mirrors *m = &job->mirrors;
	blk_status_t status;
	bool flush;

	if (!READ_ONCE(m->error))
		return;
	spin_lock_irq(&m->lock);
	status = m->error;
	flush = m->flush_failed;
	m->error = BLK_STS_OK;
	m->flush_failed = false;
	spin_unlock_irq(&m->lock);

	c->flush_void = true;
	if (flush) {
		flush_failed(c, status);
		return;
	}
	DMERR_LIMIT("%s: mirrored write to destination: error %d", job->name,
		    blk_status_to_errno(status));
	account(&job->target_errors, job->target_errors + 1);
	back_off(c);
	bc_job_error(job, BC_ERROR_TARGET_WRITE, status);
}

/* Nothing dirty, nothing in flight: is there anything to flush for? */
static void clean(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);
	u64 hold;

	switch (READ_ONCE(job->state)) {
	case BC_COPYING:
		flush(c, 0);
		break;
	case BC_COMPLETING:
		hold = bc_complete_clean(job);
		if (hold)
			flush(c, hold);
		break;
	default:
		break;
	}
}

/* Nothing could be issued: what will wake us? */
static void settle(struct bc_copier *c)
{
	struct bc_job *job = job_of(c);

	if (c->in_flight)
		return;
	wake_up_all(&c->quiet);
	if (!may_issue(c))
		return;
	/* A copy that is half issued is neither dirty nor in flight, and yet not there. */
	if (list_empty(&c->active) && !bc_bitmap_count(&job->dirty)) {
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
	 * yet the bit. Look again soon.
	 */
	if (bc_bitmap_count(&job->dirty)) {
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
	do {
		mirror_errors(c);
		flush_ended(c);
		while ((done = llist_del_all(&c->done)))
			llist_for_each_entry_safe(piece, tmp, done, node)
				piece_advance(c, piece);
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
	c->zeroes_work = bdev_write_zeroes_sectors(job->destination.bdev);
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
}

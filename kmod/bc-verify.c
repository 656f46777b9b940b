// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing the legs while the guest writes. See bc-verify.h for why what it says is true.
 *
 * One work item goes from step to step. It never waits, but in submit_bio().
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "bc-job.h"

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

static struct bc_job *verify_job(struct bc_verify *v)
{
	return container_of(v, struct bc_job, verify);
}

static void kick(struct bc_verify *v)
{
	queue_work(verify_job(v)->copier.wq, &v->work);
}

static void kick_later(struct bc_verify *v, unsigned long delay)
{
	mod_delayed_work(verify_job(v)->copier.wq, &v->timer, delay);
}

static bool equal_state(struct bc_job *job)
{
	enum bc_state state = READ_ONCE(job->state);

	return state == BC_COPYING || state == BC_READY;
}

/* The legs differ for good, or nobody wants to know any more. */
static bool is_over(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);

	return READ_ONCE(v->stop) ||
	       (!equal_state(job) && READ_ONCE(job->state) != BC_COMPLETING);
}

/*
 * The watch
 */

static unsigned long first_region(struct bc_verify *v)
{
	return v->start >> verify_job(v)->region_shift;
}

static unsigned long last_region(struct bc_verify *v)
{
	return (v->end - 1) >> verify_job(v)->region_shift;
}

/* Is a region of the piece dirty, or does somebody work on one? In this order, see watch(). */
static bool is_busy(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);
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

static bool was_touched(struct bc_verify *v)
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
	struct bc_job *job = verify_job(v);

	v->claimed = true;
	v->claimed_until = jiffies + min(CLAIM_TIME, msecs_to_jiffies(READ_ONCE(job->args.write_timeout) / 4));
	bc_mirror_claim(job, &v->range, BC_RANGE_COMPARE, (u64)first_region(v) << job->region_shift,
			(u64)(last_region(v) + 1) << job->region_shift);
}

static void unclaim(struct bc_verify *v)
{
	if (v->claimed)
		bc_mirror_unclaim(verify_job(v), &v->range);
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

/* But for the list, which is there until the next one. */
static void free_memory(struct bc_verify_memory *memory)
{
	bc_bitmap_exit(&memory->todo);
	bc_pool_exit(&memory->pools[0]);
	bc_pool_exit(&memory->pools[1]);
}

static void end(struct bc_verify *v, enum bc_verify_state state)
{
	struct bc_job *job = verify_job(v);

	WRITE_ONCE(v->watching, false);
	put_chunks(v);
	free_memory(&v->memory);
	DMINFO("%s: verify %s: %llu of %llu bytes compared, %llu differ", job->name,
	       bc_verify_state_names[state], v->compared_bytes, v->total_bytes,
	       v->differing_bytes);
	mutex_lock(&job->lock);
	v->turn = false;
	WRITE_ONCE(v->state, state);
	/* The end of a job is an event of its own, and stays the last one. */
	if (equal_state(job))
		bc_job_event(job, BC_EVENT_VERIFIED);
	else
		bc_job_tell(job);
	mutex_unlock(&job->lock);
}

/*
 * Units
 */

static sector_t unit_start(struct bc_verify *v, unsigned long unit)
{
	return max_t(sector_t, (sector_t)unit << v->unit_shift, v->from);
}

static sector_t unit_end(struct bc_verify *v, unsigned long unit)
{
	return min_t(sector_t, (sector_t)(unit + 1) << v->unit_shift, v->to);
}

static unsigned long first_unit(struct bc_verify *v)
{
	return v->start >> v->unit_shift;
}

static unsigned long last_unit(struct bc_verify *v)
{
	return (v->end - 1) >> v->unit_shift;
}

static bool is_todo(struct bc_verify *v, unsigned long unit)
{
	return bc_bitmap_run(&v->memory.todo, unit, 1);
}

/* Done with it; its bytes count there. */
static void settle(struct bc_verify *v, unsigned long unit, u64 *counter)
{
	u64 bytes = (unit_end(v, unit) - unit_start(v, unit)) << SECTOR_SHIFT;

	bc_bitmap_clear(&v->memory.todo, unit, unit);
	WRITE_ONCE(*counter, *counter + bytes);
	v->settled = true;
}

/*
 * Choosing and reading
 */

/* Whether the limits let a piece go; otherwise the timer is set. */
static bool throttles_allow(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);
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
	struct bc_job *job = verify_job(v);
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
		v->start = unit_start(v, unit);
		v->end = unit_end(v, unit + nr - 1);
		v->cursor = unit + nr;
		return true;
	}
	return false;
}

static void read_end(struct bio *bio)
{
	struct bc_verify_leg *leg = bio->bi_private;
	struct bc_verify *v = leg->verify;
	struct bc_copier *c = &verify_job(v)->copier;

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
	unsigned int left = (v->end - v->start) << SECTOR_SHIFT;
	unsigned int chunk_bytes = PAGE_SIZE << v->memory.pools[leg - v->legs].order;
	struct page *chunk;
	struct bio *bio;

	bio = bio_alloc_bioset(from->bdev, DIV_ROUND_UP(left, chunk_bytes), REQ_OP_READ, GFP_NOIO,
			       &verify_job(v)->copier.bios);
	bio->bi_iter.bi_sector = from->start + v->start;
	bio->bi_private = leg;
	bio->bi_end_io = read_end;
	for (chunk = leg->chunks; left; chunk = bc_chunk_next(chunk)) {
		unsigned int n = min(left, chunk_bytes);

		__bio_add_page(bio, chunk, n, 0);
		left -= n;
	}
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
	struct bc_job *job = verify_job(v);
	unsigned int bytes = (v->end - v->start) << SECTOR_SHIFT, i;

	if (!bc_copier_begin_read(&job->copier)) {
		v->cursor = first_unit(v);
		return piece_over(v);
	}
	bc_throttle_charge(&v->shared, bytes);
	bc_throttle_charge(&v->own, bytes);
	for (i = 0; i < ARRAY_SIZE(v->legs); i++)
		v->legs[i].chunks = bc_pool_get(&v->memory.pools[i], bytes, BC_PIECE_BYTES);
	watch(v);
	v->step = BC_VERIFY_READ;
	atomic_set(&v->reads, 2);
	read_leg(&v->legs[0], &job->source);
	read_leg(&v->legs[1], &job->destination);
	return true;
}

/* Those that were there before leave. If one does not, the piece is left for another round. */
static bool claimed(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);

	switch (bc_mirror_claim_state(job, &v->range)) {
	case BC_CLAIM_FREE:
		if (equal_state(job))
			return read_piece(v);
		break;
	case BC_CLAIM_BUSY:
		if (claim_expired(v) || !equal_state(job))
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
	struct bc_job *job = verify_job(v);

	if (is_over(v)) {
		end(v, BC_VERIFY_STOPPED);
		return false;
	}
	if (!throttles_allow(v))
		return false;
	/* A guest whose writes are held waits for nothing of ours. */
	if (!equal_state(job) || READ_ONCE(job->copier.stopped)) {
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

/*
 * Comparing
 */

/* A place in what was read of a leg. */
struct place {
	struct page *chunk;
	unsigned int offset;
	unsigned int chunk_bytes;
};

static struct place place_of(struct bc_verify *v, unsigned int leg, sector_t sector)
{
	struct place p = {
		.chunk = v->legs[leg].chunks,
		.offset = (sector - v->start) << SECTOR_SHIFT,
		.chunk_bytes = PAGE_SIZE << v->memory.pools[leg].order,
	};

	for (; p.offset >= p.chunk_bytes; p.offset -= p.chunk_bytes)
		p.chunk = bc_chunk_next(p.chunk);
	return p;
}

static void advance(struct place *p, unsigned int bytes)
{
	p->offset += bytes;
	if (p->offset == p->chunk_bytes) {
		p->chunk = bc_chunk_next(p->chunk);
		p->offset = 0;
	}
}

/* The first sector from @start up to @end that differs, or that does not; or @end. */
static sector_t find_sector(struct bc_verify *v, sector_t start, sector_t end, bool differs)
{
	struct place a = place_of(v, 0, start), b = place_of(v, 1, start);
	unsigned int n = SECTOR_SIZE;

	for (; start < end; start += n >> SECTOR_SHIFT) {
		/* As much as lies in one chunk of both, first; then sector by sector. */
		n = min3(a.chunk_bytes - a.offset, b.chunk_bytes - b.offset,
			 (unsigned int)((end - start) << SECTOR_SHIFT));
		if (!differs || memcmp(page_address(a.chunk) + a.offset,
				       page_address(b.chunk) + b.offset, n)) {
			n = SECTOR_SIZE;
			if (differs == !!memcmp(page_address(a.chunk) + a.offset,
						page_address(b.chunk) + b.offset, n))
				return start;
		}
		advance(&a, n);
		advance(&b, n);
	}
	return end;
}

static bool unit_differs(struct bc_verify *v, unsigned long unit)
{
	return find_sector(v, unit_start(v, unit), unit_end(v, unit), true) < unit_end(v, unit);
}

static bool unreadable(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v->legs); i++)
		if (v->legs[i].status)
			break;
	if (i == ARRAY_SIZE(v->legs))
		return false;
	if (first_unit(v) != last_unit(v)) {
		v->careful_to = last_unit(v) + 1;
		v->cursor = first_unit(v);
		return true;
	}
	DMERR_LIMIT("%s: verify reads %s %llu+%llu: error %d", job->name,
		    i ? "destination" : "source", (unsigned long long)v->start,
		    (unsigned long long)(v->end - v->start),
		    blk_status_to_errno(v->legs[i].status));
	settle(v, first_unit(v), &v->unread_bytes);
	return true;
}

static bool compare(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);
	unsigned long unit;
	bool differs = false;

	unclaim(v);
	if (unreadable(v))
		return piece_over(v);
	for (unit = first_unit(v); unit <= last_unit(v); unit++) {
		if (unit_differs(v, unit))
			differs = true;
		else
			settle(v, unit, &v->compared_bytes);
	}
	if (!differs || was_touched(v) || is_over(v))
		return piece_over(v);
	v->step = BC_VERIFY_TURN;
	mutex_lock(&job->lock);
	bc_complete_turn(job);
	mutex_unlock(&job->lock);
	return true;
}

/*
 * What differs
 */

static void note_range(struct bc_verify *v, sector_t start, sector_t sectors)
{
	struct bc_verify_range *last = v->nr_ranges ? &v->memory.ranges[v->nr_ranges - 1] : NULL;

	WRITE_ONCE(v->differing_bytes, v->differing_bytes + (sectors << SECTOR_SHIFT));
	if (last && v->found == v->nr_ranges && last->start + last->sectors == start) {
		last->sectors += sectors;
		return;
	}
	WRITE_ONCE(v->found, v->found + 1);
	if (v->nr_ranges < BC_VERIFY_RANGES)
		v->memory.ranges[v->nr_ranges++] = (struct bc_verify_range) { start, sectors };
}

static void report_unit(struct bc_verify *v, unsigned long unit)
{
	struct bc_job *job = verify_job(v);
	sector_t end = unit_end(v, unit), start, next;

	lockdep_assert_held(&job->lock);
	for (start = unit_start(v, unit); start < end; start = next) {
		start = find_sector(v, start, end, true);
		if (start == end)
			break;
		next = find_sector(v, start, end, false);
		DMWARN_LIMIT("%s: verify: the legs differ at %llu+%llu", job->name,
			     (unsigned long long)start, (unsigned long long)(next - start));
		note_range(v, start, next - start);
		if (v->repair)
			bc_io_mark(job, start, next - start);
	}
	settle(v, unit, &v->compared_bytes);
}

/* I6: a completion that is under way has looked at what is dirty; it is not for us to change it. */
static void report(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);
	unsigned int shift = job->region_shift - v->unit_shift;
	unsigned long unit, first = ULONG_MAX, last = 0;

	mutex_lock(&job->lock);
	if (!was_touched(v) && equal_state(job)) {
		WRITE_ONCE(v->watching, false);
		for (unit = first_unit(v); unit <= last_unit(v); unit++) {
			if (!is_todo(v, unit))
				continue;
			report_unit(v, unit);
			first = min(first, unit);
			last = unit;
		}
		if (v->repair) {
			bc_intent_ask(job, first >> shift, last >> shift);
			v->step = BC_VERIFY_INTENT;
		}
	}
	mutex_unlock(&job->lock);
}

static bool turned(struct bc_verify *v)
{
	struct bc_job *job = verify_job(v);

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
	report(v);
	return v->step == BC_VERIFY_INTENT || piece_over(v);
}

static bool intended(struct bc_verify *v)
{
	if (bc_intent_asked(verify_job(v)) && !is_over(v)) {
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

	return READ_ONCE(v->state) != BC_VERIFY_RUNNING && !smp_load_acquire(&v->running);
}

bool bc_verify_hold(struct bc_job *job, unsigned long timeout)
{
	struct bc_verify *v = &job->verify;

	return wait_event_timeout(v->quiet,
				  !smp_load_acquire(&v->running) && !atomic_read(&v->reads),
				  timeout);
}

void bc_verify_kick(struct bc_job *job)
{
	if (READ_ONCE(job->verify.state) == BC_VERIFY_RUNNING)
		kick(&job->verify);
	wake_up_all(&job->verify.quiet);
}

/*
 * Messages
 */

struct request {
	bool repair;
	u64 bandwidth;
	u64 start;
	u64 len;
};

/* [repair] [bandwidth <bytes/s>] [<start> <len>] */
static int parse(struct bc_job *job, unsigned int argc, char **argv, struct request *ret)
{
	*ret = (struct request) { .len = job->len };
	if (argc && !strcmp(argv[0], "repair")) {
		ret->repair = true;
		argc--;
		argv++;
	}
	if (argc >= 2 && !strcmp(argv[0], "bandwidth")) {
		if (kstrtou64(argv[1], 10, &ret->bandwidth))
			return -EINVAL;
		argc -= 2;
		argv += 2;
	}
	if (argc != 0 && argc != 2)
		return -EINVAL;
	if (argc && (kstrtou64(argv[0], 10, &ret->start) || kstrtou64(argv[1], 10, &ret->len)))
		return -EINVAL;
	if (!ret->len || ret->start >= job->len || ret->len > job->len - ret->start)
		return -EINVAL;
	return 0;
}

static unsigned int unit_shift(struct bc_job *job)
{
	return min_t(unsigned int, job->region_shift, ilog2(BC_PIECE_SECTORS));
}

static int allocate(struct bc_job *job, const struct request *req, struct bc_verify_memory *memory)
{
	unsigned int noio, shift = unit_shift(job);
	int r;

	*memory = (struct bc_verify_memory) {};
	/* What is swapped out for it may go to this device. */
	noio = memalloc_noio_save();
	r = bc_bitmap_init(&memory->todo, ((job->len - 1) >> shift) + 1, false);
	if (!r)
		r = bc_pool_init(&memory->pools[0]);
	if (!r)
		r = bc_pool_init(&memory->pools[1]);
	if (!r) {
		memory->ranges = kvcalloc(BC_VERIFY_RANGES, sizeof(*memory->ranges), GFP_KERNEL);
		r = memory->ranges ? 0 : -ENOMEM;
	}
	memalloc_noio_restore(noio);
	if (r)
		free_memory(memory);
	else
		bc_bitmap_mark(&memory->todo, req->start >> shift,
			       (req->start + req->len - 1) >> shift);
	return r;
}

/* None is running. */
static void set_up(struct bc_verify *v, const struct request *req, struct bc_verify_memory *memory)
{
	struct bc_job *job = verify_job(v);
	u64 now = ktime_get_ns();

	swap(v->memory, *memory);
	v->unit_shift = unit_shift(job);
	v->from = req->start;
	v->to = req->start + req->len;
	v->repair = req->repair;
	v->step = BC_VERIFY_CHOOSE;
	v->cursor = 0;
	v->careful_to = 0;
	v->round = 0;
	v->barren = 0;
	v->settled = false;
	v->copied_bytes = READ_ONCE(job->copier.copied_bytes);
	bc_throttle_init(&v->shared, job->args.bandwidth, now);
	bc_throttle_init(&v->own, req->bandwidth, now);
	v->nr_ranges = 0;
	WRITE_ONCE(v->found, 0);
	WRITE_ONCE(v->differing_bytes, 0);
	WRITE_ONCE(v->compared_bytes, 0);
	WRITE_ONCE(v->unread_bytes, 0);
	WRITE_ONCE(v->total_bytes, req->len << SECTOR_SHIFT);
	WRITE_ONCE(v->stop, false);
}

/* Context: job->lock held. Return: NULL if it may begin, or why not. */
static const char *refusal(struct bc_job *job)
{
	if (job->verify.state == BC_VERIFY_RUNNING)
		return "one is running";
	if (READ_ONCE(job->copier.stopped))
		return "job is suspended";
	if (!equal_state(job))
		return "job is neither copying nor ready";
	return NULL;
}

int bc_verify_begin(struct bc_job *job, unsigned int argc, char **argv)
{
	struct bc_verify *v = &job->verify;
	struct bc_verify_memory memory;
	struct request req;
	const char *why;
	int r;

	r = parse(job, argc, argv, &req);
	if (r) {
		DMWARN("%s: verify: need [repair] [bandwidth <bytes/s>] [<start> <len>] within %llu sectors",
		       job->name, (unsigned long long)job->len);
		return r;
	}
	/* Without the lock, which writes may wait for. */
	r = allocate(job, &req, &memory);
	if (r)
		return r;
	mutex_lock(&job->lock);
	why = refusal(job);
	if (!why) {
		set_up(v, &req, &memory);
		/* Pairs with verify_work(). */
		smp_store_release(&v->state, BC_VERIFY_RUNNING);
		kick(v);
	}
	mutex_unlock(&job->lock);

	/* That of the last one, of which the list is left; or it was in vain. */
	free_memory(&memory);
	kvfree(memory.ranges);
	if (why)
		DMWARN("%s: cannot verify: %s", job->name, why);
	return why ? -EBUSY : 0;
}

int bc_verify_stop(struct bc_job *job)
{
	struct bc_verify *v = &job->verify;
	int r = -EBUSY;

	mutex_lock(&job->lock);
	if (v->state == BC_VERIFY_RUNNING) {
		WRITE_ONCE(v->stop, true);
		kick(v);
		r = 0;
	}
	mutex_unlock(&job->lock);
	return r;
}

void bc_verify_list(struct bc_job *job, char *result, unsigned int maxlen)
{
	struct bc_verify *v = &job->verify;
	unsigned int i, sz = 0;

	if (maxlen)
		*result = '\0';
	mutex_lock(&job->lock);
	for (i = 0; i < v->nr_ranges; i++)
		DMEMIT("%s%llu %llu", i ? "\n" : "", v->memory.ranges[i].start, v->memory.ranges[i].sectors);
	mutex_unlock(&job->lock);
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

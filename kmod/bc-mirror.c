// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mirrored writes. See bc-mirror.h for what they do.
 *
 * The source's bio is sent by the guest's own context, the destination's by a work item: a hung
 * destination may block in submit_bio(), and must not keep the guest there.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bc-job.h"

/* Private copies are in at most so many chunks, whose order depends on the size. */
#define NR_VECS		16

/* More private copies than this wait for those before them. */
#define MAX_BYTES	SZ_64M

/* "Lately", for bc_mirror_busy(). */
#define BUSY		(HZ / 10 + 1)

enum leg { SOURCE, DESTINATION };

#define BOTH_LEGS	(BIT(SOURCE) | BIT(DESTINATION))

struct bc_mirror {
	struct list_head young;		/* bc_mirrors.young */
	struct list_head to_send;	/* bc_mirrors.to_send */
	struct bc_job *job;
	struct bio *guest;		/* NULL when acknowledged */
	struct bc_range range;		/* when late; before, the guest's bc_io has it */
	sector_t start;
	unsigned int sectors;		/* 0 for a flush */
	unsigned int ended;		/* mask of legs */
	bool late;
	blk_status_t source_status;
	unsigned long since;		/* jiffies */
	u64 sent_ns;
	unsigned int bytes;		/* of the private copy */
	unsigned int order;		/* of a chunk */
	unsigned int nr_chunks;
	struct bio *source_bio;		/* both are in the memory behind this */
	struct bio *destination_bio;
	struct bio_vec vecs[NR_VECS];	/* shared by both bios */
	struct page *chunks[NR_VECS];
};

static struct bc_job *job_of(struct bc_mirrors *m)
{
	return container_of(m, struct bc_job, mirrors);
}

/*
 * Memory
 */

static void mirror_free(struct bc_mirror *mirror)
{
	while (mirror->nr_chunks)
		__free_pages(mirror->chunks[--mirror->nr_chunks], mirror->order);
	kfree(mirror);
}

static struct bc_mirror *mirror_alloc(unsigned int bytes, gfp_t gfp)
{
	struct bc_mirror *mirror;
	unsigned int left = bytes;

	mirror = kzalloc(sizeof(*mirror) + 2 * sizeof(struct bio), gfp | __GFP_NOWARN);
	if (!mirror)
		return NULL;
	mirror->source_bio = (struct bio *)(mirror + 1);
	mirror->destination_bio = mirror->source_bio + 1;
	mirror->order = bytes ? get_order(DIV_ROUND_UP(bytes, NR_VECS)) : 0;
	while (left) {
		struct page *page = alloc_pages(gfp | __GFP_NOWARN | __GFP_COMP, mirror->order);

		if (!page) {
			mirror_free(mirror);
			return NULL;
		}
		mirror->chunks[mirror->nr_chunks++] = page;
		left -= min_t(unsigned int, left, PAGE_SIZE << mirror->order);
	}
	return mirror;
}

/* I10: from the reserve, if nobody else has memory. Return: NULL if that is in use. */
static struct bc_mirror *mirror_get(struct bc_mirrors *m, unsigned int bytes)
{
	struct bc_mirror *mirror = NULL;
	unsigned long flags;

	/* Who swaps out may take the last page there is, elsewhere; not for this. */
	if (READ_ONCE(m->bytes) <= MAX_BYTES)
		mirror = mirror_alloc(bytes, GFP_NOWAIT | __GFP_NOMEMALLOC);

	spin_lock_irqsave(&m->lock, flags);
	if (!mirror && !m->reserve_used) {
		mirror = m->reserve;
		m->reserve_used = true;
	}
	if (mirror) {
		WRITE_ONCE(m->bytes, m->bytes + bytes);
		WRITE_ONCE(m->nr, m->nr + 1);
		WRITE_ONCE(m->last, jiffies);
	}
	spin_unlock_irqrestore(&m->lock, flags);
	return mirror;
}

/*
 * The tree
 */

/*
 * Something left the tree, or memory came back: wake those who may wait for it. Context: m->lock
 * held. It orders us after a copier that counted its claim and then found it busy.
 */
static void left(struct bc_mirrors *m)
{
	struct bc_job *job = job_of(m);

	if (!bio_list_empty(&m->waiting))
		queue_work(job->wq, &m->retry);
	if (READ_ONCE(job->copier.nr_claimed) ||
	    (!m->nr && READ_ONCE(job->state) == BC_COMPLETING))
		bc_copier_kick(&job->copier);
}

/*
 * Give it back; what is returned is to be freed by the caller, without the lock. Context: m->lock
 * held.
 */
static struct bc_mirror *mirror_put(struct bc_mirrors *m, struct bc_mirror *mirror,
				    unsigned int bytes)
{
	WRITE_ONCE(m->bytes, m->bytes - bytes);
	WRITE_ONCE(m->nr, m->nr - 1);
	if (mirror == m->reserve) {
		m->reserve_used = false;
		mirror = NULL;
	}
	left(m);
	if (!m->nr)
		wake_up_all(&m->quiet);
	return mirror;
}

static void mark(struct bc_mirror *mirror)
{
	bc_io_mark(mirror->job, mirror->start, mirror->sectors);
}

/* Into regions, outwards. */
static u64 round_down_region(struct bc_job *job, u64 sector)
{
	return sector >> job->region_shift << job->region_shift;
}

static u64 round_up_region(struct bc_job *job, u64 sector)
{
	return round_down_region(job, sector + job->args.region_sectors - 1);
}

enum way { WAIT, TO_SOURCE, MIRROR };

static bool all_dirty(struct bc_job *job, const struct bc_io *io)
{
	unsigned long first = io->start >> job->region_shift;
	unsigned long nr = ((io->start + io->sectors - 1) >> job->region_shift) - first + 1;

	return bc_bitmap_run(&job->dirty, first, nr) == nr;
}

static bool has_equal(struct bc_job *job, struct bio *bio)
{
	if (bio_op(bio) == REQ_OP_WRITE)
		return bio_sectors(bio) <= job->mirrors.max_sectors;
	/* What discards leave behind is for the source to know: it is copied. */
	return bio_op(bio) == REQ_OP_WRITE_ZEROES && READ_ONCE(job->copier.zeroes_work);
}

static enum way choose_way(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_ranges *ranges = &job->mirrors.ranges;
	u64 end = io->start + io->sectors;

	lockdep_assert_held(&job->mirrors.lock);
	/* I3 */
	if (ranges->nr[BC_RANGE_COPY] &&
	    bc_range_find(ranges, BIT(BC_RANGE_COPY), io->start, end))
		return WAIT;
	/* It marks when it ends, and the copy is repeated. */
	if (ranges->nr[BC_RANGE_IDLE] &&
	    bc_range_find(ranges, BIT(BC_RANGE_IDLE), io->start, end))
		return TO_SOURCE;
	/*
	 * The bits can not be cleared while this write is in the tree, as a copy would wait. That
	 * others set them does no harm.
	 */
	if (!has_equal(job, bio) || all_dirty(job, io))
		return TO_SOURCE;
	/* I4 */
	if (ranges->nr[BC_RANGE_LATE] &&
	    bc_range_find(ranges, BIT(BC_RANGE_LATE), io->start, end))
		return TO_SOURCE;
	/* I12 */
	if (bc_range_find(ranges, BIT(BC_RANGE_MIRROR), io->start, end))
		return WAIT;
	return MIRROR;
}

void bc_mirror_claim(struct bc_job *job, struct bc_range *range, u64 start, u64 end)
{
	struct bc_mirrors *m = &job->mirrors;

	spin_lock_irq(&m->lock);
	bc_range_enter(&m->ranges, range, BC_RANGE_COPY, start, end);
	spin_unlock_irq(&m->lock);
}

enum bc_claim bc_mirror_claim_state(struct bc_job *job, struct bc_range *range)
{
	struct bc_mirrors *m = &job->mirrors;
	u64 end = range->last + 1;
	enum bc_claim state;

	spin_lock_irq(&m->lock);
	if (bc_range_find(&m->ranges, BIT(BC_RANGE_LATE), range->start, end))
		state = BC_CLAIM_LATE;
	else if (bc_range_find(&m->ranges, BIT(BC_RANGE_SOURCE) | BIT(BC_RANGE_MIRROR),
			       range->start, end))
		state = BC_CLAIM_BUSY;
	else
		state = BC_CLAIM_FREE;
	spin_unlock_irq(&m->lock);
	return state;
}

void bc_mirror_unclaim(struct bc_job *job, struct bc_range *range)
{
	struct bc_mirrors *m = &job->mirrors;

	spin_lock_irq(&m->lock);
	bc_range_leave(&m->ranges, range);
	left(m);
	spin_unlock_irq(&m->lock);
}

void bc_mirror_set_idle(struct bc_job *job, struct bc_range *range, bool idle)
{
	enum bc_range_kind kind = idle ? BC_RANGE_IDLE : BC_RANGE_COPY;
	struct bc_mirrors *m = &job->mirrors;

	if (range->kind == kind)	/* the copier alone changes it */
		return;
	spin_lock_irq(&m->lock);
	bc_range_turn(&m->ranges, range, kind);
	if (idle)
		left(m);
	spin_unlock_irq(&m->lock);
}

bool bc_mirror_find_late(struct bc_job *job, u64 start, u64 end, u64 *ret_start, u64 *ret_end)
{
	struct bc_mirrors *m = &job->mirrors;
	struct bc_range *range;

	if (!READ_ONCE(m->ranges.nr[BC_RANGE_LATE]))
		return false;
	spin_lock_irq(&m->lock);
	range = bc_range_find(&m->ranges, BIT(BC_RANGE_LATE), start, end);
	if (range) {
		*ret_start = range->start;
		*ret_end = range->last + 1;
	}
	spin_unlock_irq(&m->lock);
	return range;
}

bool bc_mirror_is_idle(struct bc_job *job)
{
	struct bc_mirrors *m = &job->mirrors;
	bool idle;

	spin_lock_irq(&m->lock);
	idle = !m->nr && !m->error;
	spin_unlock_irq(&m->lock);
	return idle;
}

bool bc_mirror_has_error(struct bc_job *job)
{
	struct bc_mirrors *m = &job->mirrors;
	bool error;

	spin_lock_irq(&m->lock);
	error = m->error;
	spin_unlock_irq(&m->lock);
	return error;
}

bool bc_mirror_busy(struct bc_job *job)
{
	return READ_ONCE(job->mirrors.nr) ||
	       time_before(jiffies, READ_ONCE(job->mirrors.last) + BUSY);
}

void bc_mirror_source_ended(struct bc_job *job, struct bc_io *io)
{
	struct bc_mirrors *m = &job->mirrors;
	unsigned long flags;

	spin_lock_irqsave(&m->lock, flags);
	bc_range_leave(&m->ranges, &io->range);
	left(m);
	spin_unlock_irqrestore(&m->lock, flags);
}

/*
 * The end
 */

/*
 * Take the guest's bio off, to be acknowledged by the caller without the lock; all marks are made.
 * Context: m->lock held.
 */
static struct bio *take_guest(struct bc_mirror *mirror)
{
	struct bio *guest = mirror->guest;

	mirror->guest = NULL;
	list_del(&mirror->young);
	guest->bi_status = mirror->source_status;
	return guest;
}

static void destination_ended(struct bc_mirror *mirror, blk_status_t status)
{
	struct bc_job *job = mirror->job;
	struct bc_mirrors *m = &job->mirrors;

	m->latency_ns += ktime_get_ns() - mirror->sent_ns;
	m->latency_nr++;
	if (!status) {
		WRITE_ONCE(m->mirrored_bytes,
			   m->mirrored_bytes + ((u64)mirror->sectors << SECTOR_SHIFT));
		return;
	}
	if (bio_op(mirror->destination_bio) == REQ_OP_WRITE_ZEROES &&
	    (status == BLK_STS_NOTSUPP || status == BLK_STS_TARGET)) {
		WRITE_ONCE(job->copier.zeroes_work, false);
		return;
	}
	m->error = m->error ?: status;
	/* One that is durable may be a write and a flush, of everything. */
	m->flush_failed |= !mirror->sectors || (mirror->destination_bio->bi_opf & REQ_FUA);
	bc_copier_kick(&job->copier);
}

static void leg_ended(struct bc_mirror *mirror, enum leg leg, blk_status_t status, bool sent)
{
	struct bc_job *job = mirror->job;
	struct bc_mirrors *m = &job->mirrors;
	struct bio *guest = NULL;
	unsigned long flags;
	bool over;

	/* As for piece_bio_end(): bc_mirror_exit() waits for a grace period. */
	rcu_read_lock();
	spin_lock_irqsave(&m->lock, flags);
	mirror->ended |= BIT(leg);
	over = mirror->ended == BOTH_LEGS;
	/* I1: before the range leaves, and before the guest hears of it. */
	if (status && mirror->sectors)
		mark(mirror);
	if (leg == SOURCE)
		mirror->source_status = status;
	else if (sent)
		destination_ended(mirror, status);

	if (mirror->guest && (mirror->ended & BIT(SOURCE)) && (over || mirror->late)) {
		struct bc_io *io = dm_per_bio_data(mirror->guest, sizeof(*io));

		if (!mirror->late && mirror->sectors)
			bc_range_leave(&m->ranges, &io->range);
		guest = take_guest(mirror);
	}
	if (over) {
		if (mirror->late) {
			WRITE_ONCE(m->nr_late, m->nr_late - 1);
			if (mirror->sectors)
				bc_range_leave(&m->ranges, &mirror->range);
			bc_copier_kick(&job->copier);
		}
		bio_uninit(mirror->source_bio);
		bio_uninit(mirror->destination_bio);
		mirror = mirror_put(m, mirror, mirror->bytes);
	}
	spin_unlock_irqrestore(&m->lock, flags);

	if (over && mirror)
		mirror_free(mirror);
	if (guest)
		bio_endio(guest);
	rcu_read_unlock();
}

static void source_bio_end(struct bio *bio)
{
	leg_ended(bio->bi_private, SOURCE, bio->bi_status, true);
}

static void destination_bio_end(struct bio *bio)
{
	leg_ended(bio->bi_private, DESTINATION, bio->bi_status, true);
}

/*
 * The beginning
 */

static void add_data(struct bc_mirror *mirror, struct bio *guest)
{
	struct bio *source = mirror->source_bio, *destination = mirror->destination_bio;
	unsigned int left = mirror->sectors << SECTOR_SHIFT, n, i;

	if (bio_op(guest) != REQ_OP_WRITE || !left) {
		source->bi_iter.bi_size = left;
		destination->bi_iter.bi_size = left;
		return;
	}
	for (i = 0; left; i++) {
		n = min_t(unsigned int, left, PAGE_SIZE << mirror->order);
		__bio_add_page(source, mirror->chunks[i], n, 0);
		left -= n;
	}
	/* I12: the guest may change its memory at any time. It is looked at once, here. */
	bio_copy_data(source, guest);
	destination->bi_vcnt = source->bi_vcnt;
	destination->bi_iter.bi_size = source->bi_iter.bi_size;
}

static void prepare(struct bc_mirror *mirror, struct bc_job *job, struct bio *guest)
{
	const blk_opf_t kept = REQ_OP_MASK | REQ_SYNC | REQ_META | REQ_PRIO | REQ_IDLE | REQ_FUA |
			       REQ_PREFLUSH | REQ_NOUNMAP;
	struct bc_io *io = dm_per_bio_data(guest, sizeof(*io));
	struct bio *source = mirror->source_bio, *destination = mirror->destination_bio;

	mirror->job = job;
	mirror->guest = guest;
	mirror->start = io->start;
	mirror->sectors = bio_sectors(guest);
	mirror->bytes = bio_op(guest) == REQ_OP_WRITE ? guest->bi_iter.bi_size : 0;
	mirror->ended = 0;
	mirror->late = false;
	mirror->source_status = BLK_STS_OK;
	mirror->since = io->since;
	mirror->sent_ns = ktime_get_ns();

	/*
	 * Nobody polls these. And one that may not wait has been let in: refused by the source
	 * alone it would make its region dirty.
	 */
	bio_init(source, job->source.bdev, mirror->vecs, NR_VECS,
		 guest->bi_opf & ~(REQ_POLLED | REQ_NOWAIT));
	bio_clone_blkg_association(source, guest);
	source->bi_ioprio = guest->bi_ioprio;
	source->bi_iter.bi_sector = job->source.start + io->start;
	source->bi_private = mirror;
	source->bi_end_io = source_bio_end;

	bio_init(destination, job->destination.bdev, mirror->vecs, NR_VECS,
		 guest->bi_opf & kept);
	destination->bi_ioprio = guest->bi_ioprio;
	destination->bi_iter.bi_sector = job->destination.start + io->start;
	destination->bi_private = mirror;
	destination->bi_end_io = destination_bio_end;
	add_data(mirror, guest);
}

static unsigned long write_timeout(struct bc_job *job)
{
	return msecs_to_jiffies(READ_ONCE(job->args.write_timeout));
}

static void arm_timer(struct bc_job *job, unsigned long left)
{
	struct delayed_work *timer = &job->mirrors.timer;

	/* The timer wheel may be late by an eighth of a long delay: go there in steps. */
	if (left >= 64)
		left -= left / 8;
	if (!queue_delayed_work(job->wq, timer, left) &&
	    time_before(jiffies + left, READ_ONCE(timer->timer.expires)))
		mod_delayed_work(job->wq, timer, left);
}

/* For one that began to wait then. */
static void arm_timer_since(struct bc_job *job, unsigned long since)
{
	unsigned long timeout = write_timeout(job), age = jiffies - since;

	arm_timer(job, timeout - min(age, timeout));
}

static void start(struct bc_mirror *mirror, struct bc_job *job, struct bio *guest)
{
	struct bc_mirrors *m = &job->mirrors;

	prepare(mirror, job, guest);
	spin_lock_irq(&m->lock);
	list_add_tail(&mirror->young, &m->young);
	list_add_tail(&mirror->to_send, &m->to_send);
	spin_unlock_irq(&m->lock);
	arm_timer_since(job, mirror->since);
	queue_work(job->copier.wq, &m->send);
	dm_submit_bio_remap(guest, mirror->source_bio);
}

static void send_work(struct work_struct *work)
{
	struct bc_mirrors *m = container_of(work, struct bc_mirrors, send);
	struct bc_mirror *mirror;
	bool late;

	for (;;) {
		spin_lock_irq(&m->lock);
		mirror = list_first_entry_or_null(&m->to_send, struct bc_mirror, to_send);
		if (mirror) {
			list_del(&mirror->to_send);
			late = mirror->late;
		}
		spin_unlock_irq(&m->lock);
		if (!mirror)
			return;
		if (late)
			leg_ended(mirror, DESTINATION, BLK_STS_TIMEOUT, false);
		else
			submit_bio_noacct(mirror->destination_bio);
	}
}

/* Context: m->lock held. */
static void wait(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	bio_list_add(&job->mirrors.waiting, bio);
	arm_timer_since(job, io->since);
}

/*
 * Decide about @bio, and enter it if it may go. With MIRROR it needs a @mirror for that.
 *
 * Context: m->lock held.
 */
static enum way enter(struct bc_job *job, struct bio *bio, bool nowait, struct bc_mirror *mirror)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	enum way way = choose_way(job, bio);

	if (way == WAIT && !nowait)
		wait(job, bio);
	else if (way == TO_SOURCE || (way == MIRROR && mirror))
		bc_range_enter(&job->mirrors.ranges, &io->range,
			       way == MIRROR ? BC_RANGE_MIRROR : BC_RANGE_SOURCE, io->start,
			       io->start + io->sectors);
	return way;
}

int bc_mirror_map(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	unsigned int bytes = bio_op(bio) == REQ_OP_WRITE ? bio->bi_iter.bi_size : 0;
	bool nowait = bio->bi_opf & REQ_NOWAIT;	/* one that waits may be gone any moment */
	struct bc_mirrors *m = &job->mirrors;
	struct bc_mirror *mirror = NULL, *unused;
	enum way way;

	io->marks = false;
	io->tracked = false;
	spin_lock_irq(&m->lock);
	way = enter(job, bio, nowait, NULL);
	spin_unlock_irq(&m->lock);

	/* Memory before the range: one that has to wait for memory keeps nobody out meanwhile. */
	while (way == MIRROR && !mirror) {
		mirror = mirror_get(m, bytes);
		spin_lock_irq(&m->lock);
		unused = mirror;
		if (mirror) {
			way = enter(job, bio, nowait, mirror);
			unused = way == MIRROR ? NULL : mirror_put(m, mirror, bytes);
		} else if (m->reserve_used) {
			/* Who has the reserve wakes us. */
			way = WAIT;
			if (!nowait)
				wait(job, bio);
		}
		spin_unlock_irq(&m->lock);
		if (unused)
			mirror_free(unused);
	}

	switch (way) {
	case MIRROR:
		start(mirror, job, bio);
		break;
	case TO_SOURCE:
		io->marks = true;
		io->tracked = true;
		return DM_MAPIO_REMAPPED;
	case WAIT:
		if (nowait)
			bio_wouldblock_error(bio);
		break;
	}
	return DM_MAPIO_SUBMITTED;
}

int bc_mirror_flush(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_mirror *mirror = mirror_get(&job->mirrors, 0);

	/* The source's durability is what the guest asks for; the destination's may come later. */
	if (!mirror)
		return DM_MAPIO_REMAPPED;
	io->start = 0;
	io->since = jiffies;
	start(mirror, job, bio);
	return DM_MAPIO_SUBMITTED;
}

void bc_mirror_retry(struct bc_job *job)
{
	queue_work(job->wq, &job->mirrors.retry);
}

/* As in background mode. */
static void send_to_source(struct bc_job *job, struct bio_list *bios)
{
	struct bc_io *io;
	struct bio *bio;

	while ((bio = bio_list_pop(bios))) {
		io = dm_per_bio_data(bio, sizeof(*io));
		io->marks = true;
		dm_submit_bio_remap(bio, NULL);
	}
}

static void retry_work(struct work_struct *work)
{
	struct bc_mirrors *m = container_of(work, struct bc_mirrors, retry);
	struct bc_job *job = job_of(m);
	struct bio_list bios = BIO_EMPTY_LIST;
	unsigned int nr;
	struct bio *bio;

	spin_lock_irq(&m->lock);
	nr = bio_list_size(&m->waiting);
	if (!READ_ONCE(m->mirroring)) {
		bio_list_merge(&bios, &m->waiting);
		bio_list_init(&m->waiting);
	}
	spin_unlock_irq(&m->lock);
	send_to_source(job, &bios);

	/* One at a time: those that wait have to be where the timer finds them. */
	while (nr--) {
		spin_lock_irq(&m->lock);
		bio = bio_list_pop(&m->waiting);
		spin_unlock_irq(&m->lock);
		if (!bio)
			return;
		if (bc_mirror_map(job, bio) == DM_MAPIO_REMAPPED)
			dm_submit_bio_remap(bio, NULL);
	}
}

/*
 * Time-outs
 */

/*
 * The guest does not wait for the destination any longer. Context: m->lock held. Return: its bio if
 * the source has ended.
 */
static struct bio *make_late(struct bc_mirror *mirror)
{
	struct bc_job *job = mirror->job;
	struct bc_mirrors *m = &job->mirrors;
	struct bc_io *io = dm_per_bio_data(mirror->guest, sizeof(*io));

	mirror->late = true;
	WRITE_ONCE(m->nr_late, m->nr_late + 1);
	WRITE_ONCE(m->timeouts, m->timeouts + 1);
	if (mirror->sectors) {
		mark(mirror);	/* I1: before the guest is acknowledged */
		bc_range_leave(&m->ranges, &io->range);
		bc_range_enter(&m->ranges, &mirror->range, BC_RANGE_LATE,
			       round_down_region(job, mirror->start),
			       round_up_region(job, mirror->start + mirror->sectors));
		left(m);
	}
	return mirror->ended & BIT(SOURCE) ? take_guest(mirror) : NULL;
}

/* Those older than @timeout go on. Return: how many the destination held up. */
static unsigned int expire(struct bc_job *job, unsigned long timeout)
{
	struct bio_list late = BIO_EMPTY_LIST, waited = BIO_EMPTY_LIST, waiting;
	struct bc_mirrors *m = &job->mirrors;
	unsigned long age, oldest = 0, now;
	struct bc_mirror *mirror, *tmp;
	unsigned int nr = 0;
	struct bc_io *io;
	struct bio *bio;

	spin_lock_irq(&m->lock);
	now = jiffies;
	list_for_each_entry_safe(mirror, tmp, &m->young, young) {
		age = now - mirror->since;
		/* What waits for the source only is not ours to end. */
		if (mirror->late || (mirror->ended & BIT(DESTINATION)))
			continue;
		if (age < timeout) {
			oldest = max(oldest, age + 1);
			continue;
		}
		nr++;
		bio = make_late(mirror);
		if (bio)
			bio_list_add(&late, bio);
	}
	waiting = m->waiting;
	bio_list_init(&m->waiting);
	while ((bio = bio_list_pop(&waiting))) {
		io = dm_per_bio_data(bio, sizeof(*io));
		age = now - io->since;
		if (age >= timeout) {
			nr++;
			WRITE_ONCE(m->timeouts, m->timeouts + 1);
			bio_list_add(&waited, bio);
		} else {
			oldest = max(oldest, age + 1);
			bio_list_add(&m->waiting, bio);
		}
	}
	if (oldest)
		arm_timer(job, timeout - (oldest - 1));
	spin_unlock_irq(&m->lock);

	while ((bio = bio_list_pop(&late)))
		bio_endio(bio);
	send_to_source(job, &waited);
	return nr;
}

static void timer_work(struct work_struct *work)
{
	struct bc_job *job = container_of(to_delayed_work(work), struct bc_job, mirrors.timer);

	if (expire(job, write_timeout(job)))
		bc_mode_fall_back(job);
}

void bc_mirror_expire_all(struct bc_job *job)
{
	expire(job, 0);
}

int bc_mirror_init(struct bc_job *job)
{
	struct bc_mirrors *m = &job->mirrors;
	int order;

	spin_lock_init(&m->lock);
	bc_ranges_init(&m->ranges);
	INIT_LIST_HEAD(&m->young);
	INIT_LIST_HEAD(&m->to_send);
	bio_list_init(&m->waiting);
	INIT_WORK(&m->send, send_work);
	INIT_WORK(&m->retry, retry_work);
	INIT_DELAYED_WORK(&m->timer, timer_work);
	init_waitqueue_head(&m->quiet);
	m->last = jiffies - 2 * BUSY;

	/* Where memory is in pieces the reserve is smaller, and so are mirrored writes. */
	for (order = get_order(SZ_1M / NR_VECS); order >= 0 && !m->reserve; order--) {
		unsigned int bytes = NR_VECS * PAGE_SIZE << order;

		m->reserve = mirror_alloc(bytes, GFP_KERNEL | __GFP_NORETRY);
		m->max_sectors = bytes >> SECTOR_SHIFT;
	}
	return m->reserve ? 0 : -ENOMEM;
}

void bc_mirror_exit(struct bc_job *job)
{
	struct bc_mirrors *m = &job->mirrors;

	if (!m->reserve)
		return;
	wait_event(m->quiet, !READ_ONCE(m->nr));
	synchronize_rcu();	/* leg_ended() */
	cancel_delayed_work_sync(&m->timer);
	cancel_work_sync(&m->retry);
	cancel_work_sync(&m->send);
	mirror_free(m->reserve);
}

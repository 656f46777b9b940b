// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mirrored writes: their memory, their beginning and their end. See bc-mirror.h for what they do.
 *
 * The source's bio is sent by the guest's own context, the destination's by a work item: a hung
 * destination may block in submit_bio(), and must not keep the guest there.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bc-mirrored.h"

/* More private copies than this wait for those before them. */
#define MAX_BYTES	SZ_64M

/*
 * Memory
 */

void bc_mirror_free(struct bc_mirror *mirror)
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
	mirror->order = bytes ? get_order(DIV_ROUND_UP(bytes, BC_MIRROR_VECS)) : 0;
	while (left) {
		struct page *page = alloc_pages(gfp | __GFP_NOWARN | __GFP_COMP, mirror->order);

		if (!page) {
			bc_mirror_free(mirror);
			return NULL;
		}
		mirror->chunks[mirror->nr_chunks++] = page;
		left -= min_t(unsigned int, left, PAGE_SIZE << mirror->order);
	}
	return mirror;
}

struct bc_mirror *bc_mirror_get(struct bc_mirrors *m, unsigned int bytes)
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
	}
	spin_unlock_irqrestore(&m->lock, flags);
	return mirror;
}

struct bc_mirror *bc_mirror_put(struct bc_mirrors *m, struct bc_mirror *mirror,
				unsigned int bytes)
{
	WRITE_ONCE(m->bytes, m->bytes - bytes);
	WRITE_ONCE(m->nr, m->nr - 1);
	if (mirror == m->reserve) {
		m->reserve_used = false;
		mirror = NULL;
	}
	bc_mirror_left(m);
	if (!m->nr)
		wake_up_all(&m->quiet);
	return mirror;
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

void bc_mirror_flush_failed(struct bc_job *job, blk_status_t status)
{
	struct bc_mirrors *m = &job->mirrors;
	unsigned long flags;

	spin_lock_irqsave(&m->lock, flags);
	m->error = status;	/* the last one tells */
	m->errors++;
	m->flush_failed = true;
	spin_unlock_irqrestore(&m->lock, flags);
	bc_copier_kick(&job->copier);
}

/*
 * The end
 */

struct bio *bc_mirror_take_guest(struct bc_mirror *mirror)
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
	atomic_inc(&job->flush_failures);	/* perhaps one */
	m->error = status;
	m->errors++;
	/* One that is durable may be a write and a flush, of everything. */
	m->flush_failed |= !mirror->sectors || (mirror->destination_bio->bi_opf & REQ_FUA);
	bc_copier_kick(&job->copier);
}

static void leg_ended(struct bc_mirror *mirror, enum bc_leg_of leg, blk_status_t status, bool sent)
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
	over = mirror->ended == BC_BOTH_LEGS;
	/* I1: before the range leaves, and before the guest hears of it. */
	if (status && mirror->sectors)
		bc_mirror_mark(mirror, leg == BC_DESTINATION);
	if (leg == BC_SOURCE)
		mirror->source_status = status;
	else if (sent)
		destination_ended(mirror, status);

	if (mirror->guest && (mirror->ended & BIT(BC_SOURCE)) && (over || mirror->late)) {
		struct bc_io *io = dm_per_bio_data(mirror->guest, sizeof(*io));

		if (!mirror->late && mirror->sectors)
			bc_range_leave(&m->ranges, &io->range);
		guest = bc_mirror_take_guest(mirror);
	}
	/* What the source could not read may have healed. */
	if (over && mirror->sectors)
		bc_holes_spoil(job, mirror->start >> job->region_shift,
			       (mirror->start + mirror->sectors - 1) >> job->region_shift);
	if (over) {
		bc_mirror_replaced(mirror);
		if (mirror->late) {
			WRITE_ONCE(m->nr_late, m->nr_late - 1);
			if (mirror->sectors)
				bc_range_leave(&m->ranges, &mirror->range);
			bc_copier_kick(&job->copier);
		}
		bio_uninit(mirror->source_bio);
		bio_uninit(mirror->destination_bio);
		mirror = bc_mirror_put(m, mirror, mirror->bytes);
	}
	spin_unlock_irqrestore(&m->lock, flags);

	if (over && mirror)
		bc_mirror_free(mirror);
	if (guest)
		bio_endio(guest);
	rcu_read_unlock();
}

static void source_bio_end(struct bio *bio)
{
	leg_ended(bio->bi_private, BC_SOURCE, bio->bi_status, true);
}

static void destination_bio_end(struct bio *bio)
{
	leg_ended(bio->bi_private, BC_DESTINATION, bio->bi_status, true);
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
	bio_init(source, job->source->bdev, mirror->vecs, BC_MIRROR_VECS,
		 guest->bi_opf & ~(REQ_POLLED | REQ_NOWAIT));
	bio_clone_blkg_association(source, guest);
	source->bi_ioprio = guest->bi_ioprio;
	source->bi_iter.bi_sector = job->source->start + io->start;
	source->bi_private = mirror;
	source->bi_end_io = source_bio_end;

	bio_init(destination, job->destination->bdev, mirror->vecs, BC_MIRROR_VECS,
		 guest->bi_opf & kept);
	destination->bi_ioprio = guest->bi_ioprio;
	destination->bi_iter.bi_sector = job->destination->start + io->start;
	destination->bi_private = mirror;
	destination->bi_end_io = destination_bio_end;
	add_data(mirror, guest);
}

void bc_mirror_start(struct bc_mirror *mirror, struct bc_job *job, struct bio *guest)
{
	struct bc_mirrors *m = &job->mirrors;

	prepare(mirror, job, guest);
	bc_zero_forget(job, mirror->start, mirror->sectors);
	spin_lock_irq(&m->lock);
	list_add_tail(&mirror->young, &m->young);
	list_add_tail(&mirror->to_send, &m->to_send);
	spin_unlock_irq(&m->lock);
	bc_mirror_arm_timer(job, mirror->since);
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
			leg_ended(mirror, BC_DESTINATION, BLK_STS_TIMEOUT, false);
		else
			submit_bio_noacct(mirror->destination_bio);
	}
}

int bc_mirror_flush(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_mirror *mirror = bc_mirror_get(&job->mirrors, 0);

	/* The source's durability is what the guest asks for; the destination's may come later. */
	if (!mirror)
		return DM_MAPIO_REMAPPED;
	io->start = 0;
	io->since = jiffies;
	bc_mirror_start(mirror, job, bio);
	return DM_MAPIO_SUBMITTED;
}

int bc_mirror_init(struct bc_job *job)
{
	struct bc_mirrors *m = &job->mirrors;
	int order;

	spin_lock_init(&m->lock);
	bc_ranges_init(&m->ranges);
	INIT_LIST_HEAD(&m->young);
	INIT_LIST_HEAD(&m->to_send);
	INIT_WORK(&m->send, send_work);
	bc_wait_init(m);
	init_waitqueue_head(&m->quiet);

	/* Where memory is in pieces the reserve is smaller, and so are mirrored writes. */
	for (order = get_order(SZ_1M / BC_MIRROR_VECS); order >= 0 && !m->reserve; order--) {
		unsigned int bytes = BC_MIRROR_VECS * PAGE_SIZE << order;

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
	bc_mirror_free(m->reserve);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flushes of the destination: for READY (I5), and for a flip (I6).
 */
#include "bc-copier.h"

static void flush_bio_end(struct bio *bio)
{
	struct bc_copier *c = bio->bi_private;

	c->flush_status = bio->bi_status;
	if (bio->bi_status)
		atomic_inc(&bc_copier_job(c)->flush_failures);
	bio_put(bio);
	rcu_read_lock();	/* as in piece_bio_end() */
	/* Pairs with the smp_load_acquire() in bc_flush_ended(). */
	smp_store_release(&c->flush_done, true);
	bc_copier_kick(c);
	rcu_read_unlock();
}

void bc_flush(struct bc_copier *c, u64 hold)
{
	struct bio *bio = bio_alloc_bioset(bc_copier_job(c)->destination->bdev, 0,
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

void bc_flush_failed(struct bc_copier *c, blk_status_t status)
{
	struct bc_job *job = bc_copier_job(c);

	DMERR_LIMIT("%s: destination flush: error %d", job->name,
		    blk_status_to_errno(status));
	bc_account(&job->target_errors, job->target_errors + 1);
	/*
	 * What the destination acknowledged since its last good flush may be lost, who knows what.
	 */
	bc_job_dirty_all(job);
	bc_copier_back_off(c, true);
	bc_job_error(job, BC_ERROR_TARGET_FLUSH, status);
}

/* I5: the flush that ended was begun when nothing was dirty and nothing in flight. */
static void flush_succeeded(struct bc_copier *c)
{
	struct bc_job *job = bc_copier_job(c);
	bool ready;

	if (c->flush_hold) {
		bc_complete_flushed(job, c->flush_hold);
		return;
	}
	mutex_lock(&job->lock);
	ready = job->state == BC_COPYING && !c->flush_void && !bc_mirror_has_error(job);
	if (ready)
		bc_job_set_state(job, BC_READY, BC_EVENT_READY, BC_ERROR_NONE);
	mutex_unlock(&job->lock);
	/* What failed may have been written since, and no copy was needed. */
	if (ready)
		bc_copier_recovered(c);
}

void bc_flush_ended(struct bc_copier *c)
{
	blk_status_t status;

	/* Pairs with the smp_store_release() in flush_bio_end(). */
	if (!c->flushing || !smp_load_acquire(&c->flush_done))
		return;
	c->flush_done = false;
	c->flushing = false;
	WRITE_ONCE(c->in_flight, c->in_flight - 1);
	status = c->flush_status;
	/* What was in flight when a disk was unplugged may still have succeeded. */
	if (!status && test_bit(GD_DEAD, &bc_copier_job(c)->destination->bdev->bd_disk->state))
		status = BLK_STS_IOERR;
	if (status)
		bc_flush_failed(c, status);
	else
		flush_succeeded(c);
}

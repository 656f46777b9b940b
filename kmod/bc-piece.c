// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pieces of copies: one read and one write, up to 1 MiB. Between the two the buffer is looked at.
 *
 * Where the source cannot be read (policy "ignore", and a copy of one region) a piece goes on in
 * parts: half as much after each failure, twice as much after each success, down to a logical
 * block, which is a hole then.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "bc-copier.h"

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
	unsigned int bytes = piece->sectors << SECTOR_SHIFT;
	bool data = (opf & REQ_OP_MASK) != REQ_OP_WRITE_ZEROES;
	struct bio *bio;

	if (READ_ONCE(bc_copier_job(c)->state) == BC_COMPLETING)
		opf |= REQ_SYNC;
	bio = bio_alloc_bioset(leg->bdev, data ? bc_pool_chunks(&c->pool, bytes) : 0, opf, GFP_NOIO,
			       &c->bios);
	bio->bi_iter.bi_sector = leg->start + piece->start;
	bio->bi_private = piece;
	bio->bi_end_io = piece_bio_end;
	if (data)
		bc_pool_add(&c->pool, piece->chunks, bytes, bio);
	else
		bio->bi_iter.bi_size = bytes;
	submit_bio_noacct(bio);
}

void bc_piece_issue(struct bc_copier *c, struct bc_copy *copy, unsigned int sectors,
		    struct page *chunks)
{
	struct bc_piece *piece = list_first_entry(&c->idle_pieces, struct bc_piece, list);

	list_del(&piece->list);
	piece->copy = copy;
	piece->chunks = chunks;
	piece->start = copy->next;
	piece->sectors = sectors;
	piece->end = piece->start + sectors;
	piece->whole = sectors;
	piece->stage = BC_PIECE_READ;
	copy->pending++;
	copy->next += sectors;
	if (copy->next == copy->end)
		c->current_copy = NULL;
	WRITE_ONCE(c->in_flight, c->in_flight + 1);
	bc_account(&c->piece_bytes, c->piece_bytes + ((u64)sectors << SECTOR_SHIFT));
	piece_submit(piece, &bc_copier_job(c)->source, REQ_OP_READ);
}

static void piece_end(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_copy *copy = piece->copy;

	bc_pool_put(&c->pool, piece->chunks, READ_ONCE(bc_copier_job(c)->args.buf_size));
	piece->chunks = NULL;
	list_add(&piece->list, &c->idle_pieces);
	WRITE_ONCE(c->in_flight, c->in_flight - 1);
	bc_account(&c->piece_bytes, c->piece_bytes - ((u64)piece->whole << SECTOR_SHIFT));
	copy->pending--;
	bc_copy_end_if_over(c, copy);
}

/* Read the next part. */
static void piece_read(struct bc_copier *c, struct bc_piece *piece)
{
	if (!bc_copier_may_issue(c) || !bc_copier_begin_read(c)) {
		piece->copy->error = -EINTR;
		piece_end(c, piece);
		return;
	}
	piece->stage = BC_PIECE_READ;
	piece_submit(piece, &bc_copier_job(c)->source, REQ_OP_READ);
}

/* Done with a part: the next one, of so many @sectors at most, or the end. */
static void piece_next(struct bc_copier *c, struct bc_piece *piece, unsigned int sectors)
{
	piece->start += piece->sectors;
	if (piece->start == piece->end) {
		piece_end(c, piece);
		return;
	}
	piece->sectors = min_t(sector_t, sectors, piece->end - piece->start);
	piece_read(c, piece);
}

/* It is at the destination. */
static void piece_copied(struct bc_copier *c, struct bc_piece *piece)
{
	bc_holes_remove(&c->holes, piece->start, piece->sectors);
	piece_next(c, piece, 2 * piece->sectors);
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

void bc_zero_forget(struct bc_job *job, sector_t start, sector_t sectors)
{
	unsigned long region = start >> job->region_shift;
	unsigned long last = (start + sectors - 1) >> job->region_shift;

	if (!job->zero || !sectors)
		return;
	WRITE_ONCE(job->zero_written, true);
	for (; region <= last; region++)
		if (test_bit(region, job->zero))
			clear_bit(region, job->zero);
}

/* Is there nothing but zeroes at the destination, as was promised, and written by nobody since? */
static bool is_zero_there(struct bc_job *job, const struct bc_piece *piece)
{
	unsigned long region = piece->start >> job->region_shift;
	unsigned long last = (piece->start + piece->sectors - 1) >> job->region_shift;

	if (!job->zero)
		return false;
	for (; region <= last; region++)
		if (!test_bit(region, job->zero))
			return false;
	return true;
}

static void zeroed(struct bc_copier *c, const struct bc_piece *piece)
{
	bc_account(&c->zeroed_bytes, c->zeroed_bytes + ((u64)piece->sectors << SECTOR_SHIFT));
}

static void piece_write(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);
	enum bc_detect_zeroes detect = job->args.detect_zeroes;
	bool zero_there = is_zero_there(job, piece);
	bool zeroes_work = detect != BC_DETECT_ZEROES_OFF && READ_ONCE(c->zeroes_work);

	if (READ_ONCE(c->stopped)) {
		piece->copy->error = -EINTR;
		piece_end(c, piece);
		return;
	}
	if ((zero_there || zeroes_work) && piece_is_zero(piece)) {
		if (zero_there) {
			zeroed(c, piece);
			piece_copied(c, piece);
			return;
		}
		piece->stage = BC_PIECE_ZERO;
		piece_submit(piece, &job->destination, REQ_OP_WRITE_ZEROES |
			     (detect == BC_DETECT_ZEROES_ON ? REQ_NOUNMAP : 0));
		return;
	}
	bc_zero_forget(job, piece->start, piece->sectors);
	piece->stage = BC_PIECE_WRITE;
	piece_submit(piece, &job->destination, REQ_OP_WRITE);
}

static void piece_failed(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);
	bool source = piece->stage == BC_PIECE_READ;
	u64 *errors = source ? &job->source_errors : &job->target_errors;

	DMERR_LIMIT("%s: %s %llu+%u: error %d", job->name,
		    source ? "copier reads source" : "copier writes destination",
		    (unsigned long long)piece->start, piece->sectors,
		    blk_status_to_errno(piece->status));
	bc_account(errors, *errors + 1);
	piece->copy->error = blk_status_to_errno(piece->status);
	c->flush_void = true;
	bc_copier_back_off(c, !source);
	bc_job_error(job, source ? BC_ERROR_SOURCE_READ : BC_ERROR_TARGET_WRITE, piece->status);
	piece_end(c, piece);
}

/* Is what cannot be read to be found, and the rest to be copied? */
static bool goes_in_parts(struct bc_copier *c, const struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);

	return piece->stage == BC_PIECE_READ &&
	       READ_ONCE(job->args.on_source_error) == BC_POLICY_IGNORE &&
	       piece->copy->start >> job->region_shift ==
	       (piece->copy->end - 1) >> job->region_shift;
}

static void part_unread(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);
	unsigned int block = bdev_logical_block_size(job->source.bdev) >> SECTOR_SHIFT;
	bool first;

	bc_account(&job->source_errors, job->source_errors + 1);
	if (piece->sectors > block) {
		piece->sectors = max(round_down(piece->sectors / 2, block), block);
		piece_read(c, piece);
		return;
	}
	DMERR_LIMIT("%s: copier cannot read source %llu+%u: error %d", job->name,
		    (unsigned long long)piece->start, piece->sectors,
		    blk_status_to_errno(piece->status));
	piece->copy->holes = true;
	c->erring = true;
	c->flush_void = true;
	first = !READ_ONCE(c->holes.nr);
	/* One that is known has its own times, and keeps nothing else. */
	if (bc_holes_add(&c->holes, piece->start, piece->sectors))
		bc_copier_back_off(c, false);
	bc_job_error(job, BC_ERROR_SOURCE_READ, piece->status);
	if (first) {
		mutex_lock(&job->lock);
		bc_job_tell(job);
		mutex_unlock(&job->lock);
	}
	piece_next(c, piece, piece->sectors);
}

void bc_piece_advance(struct bc_copier *c, struct bc_piece *piece)
{
	if (piece->stage == BC_PIECE_ZERO &&
	    (piece->status == BLK_STS_NOTSUPP || piece->status == BLK_STS_TARGET)) {
		/*
		 * The device promised and refuses: it gets the zeroes as data, now and from now on.
		 */
		WRITE_ONCE(c->zeroes_work, false);
		piece_write(c, piece);
	} else if (piece->status && goes_in_parts(c, piece)) {
		part_unread(c, piece);
	} else if (piece->status) {
		piece_failed(c, piece);
	} else if (piece->stage == BC_PIECE_READ) {
		piece_write(c, piece);
	} else {
		if (piece->stage == BC_PIECE_ZERO)
			zeroed(c, piece);
		piece_copied(c, piece);
	}
}

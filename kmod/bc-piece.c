// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pieces of copies: a read of up to 1 MiB, and the writes that it takes. In between the buffer is
 * looked at, and what the destination is known to have, or has when it is compared, is left out.
 *
 * Where the source cannot be read (policy "ignore", and a copy of one region) a piece goes on in
 * parts: half as much after each failure, twice as much after each success, down to a logical
 * block, which is a hole then.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "bc-copier.h"

/* What is written, or left out, as one. */
#define UNIT_SECTORS	8U

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

static void piece_submit(struct bc_piece *piece, const struct bc_leg *leg, blk_opf_t opf,
			 struct page *chunks)
{
	struct bc_copier *c = piece->copier;
	unsigned int offset = piece->from << SECTOR_SHIFT;
	unsigned int bytes = (piece->to - piece->from) << SECTOR_SHIFT;
	unsigned int before = offset % (PAGE_SIZE << c->pool.order);
	struct bio *bio;

	if (READ_ONCE(bc_copier_job(c)->state) == BC_COMPLETING)
		opf |= REQ_SYNC;
	bio = bio_alloc_bioset(leg->bdev, chunks ? bc_pool_chunks(&c->pool, before + bytes) : 0,
			       opf, GFP_NOIO, &c->bios);
	bio->bi_iter.bi_sector = leg->start + piece->start + piece->from;
	bio->bi_private = piece;
	bio->bi_end_io = piece_bio_end;
	if (chunks)
		bc_pool_add(&c->pool, chunks, offset, bytes, bio);
	else
		bio->bi_iter.bi_size = bytes;
	submit_bio_noacct(bio);
}

/* All of it, of one of the legs. */
static void piece_read(struct bc_piece *piece, const struct bc_leg *leg, struct page *chunks)
{
	piece->from = 0;
	piece->to = piece->sectors;
	piece_submit(piece, leg, REQ_OP_READ, chunks);
}

void bc_piece_issue(struct bc_copier *c, struct bc_copy *copy, unsigned int sectors,
		    struct page *chunks, struct page *there)
{
	struct bc_piece *piece = list_first_entry(&c->idle_pieces, struct bc_piece, list);

	list_del(&piece->list);
	piece->copy = copy;
	piece->chunks = chunks;
	piece->there = there;
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
	piece_read(piece, bc_copier_job(c)->source, chunks);
}

static void piece_end(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_copy *copy = piece->copy;
	u64 limit = READ_ONCE(bc_copier_job(c)->args.buf_size);

	bc_pool_put(&c->pool, piece->chunks, limit);
	bc_pool_put(&c->pool, piece->there, limit);
	piece->chunks = NULL;
	piece->there = NULL;
	list_add(&piece->list, &c->idle_pieces);
	WRITE_ONCE(c->in_flight, c->in_flight - 1);
	bc_account(&c->piece_bytes, c->piece_bytes - ((u64)piece->whole << SECTOR_SHIFT));
	copy->pending--;
	bc_copy_end_if_over(c, copy);
}

/* Read the next part. */
static void part_read(struct bc_copier *c, struct bc_piece *piece)
{
	if (!bc_copier_may_issue(c) || !bc_copier_begin_read(c)) {
		piece->copy->error = -EINTR;
		piece_end(c, piece);
		return;
	}
	piece->stage = BC_PIECE_READ;
	piece_read(piece, bc_copier_job(c)->source, piece->chunks);
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
	part_read(c, piece);
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

	if (!job->zero || job->reversals)
		return false;
	for (; region <= last; region++)
		if (!test_bit(region, job->zero))
			return false;
	return true;
}

/*
 * What is to be written
 */

static void count(u64 *counter, unsigned int sectors)
{
	bc_account(counter, *counter + ((u64)sectors << SECTOR_SHIFT));
}

/* A place in the buffers of a piece. */
struct place {
	struct page *chunk;
	struct page *there;
	unsigned int offset;
};

static void advance(const struct bc_piece *piece, struct place *p, unsigned int bytes)
{
	unsigned int chunk_bytes = PAGE_SIZE << piece->copier->pool.order;

	p->offset += bytes;
	for (; p->offset >= chunk_bytes; p->offset -= chunk_bytes) {
		p->chunk = bc_chunk_next(p->chunk);
		if (p->there)
			p->there = bc_chunk_next(p->there);
	}
}

enum unit { UNIT_DIFFERS, UNIT_ZERO_THERE, UNIT_EQUAL };

static enum unit look_at(const struct bc_piece *piece, const struct place *p, unsigned int bytes)
{
	const void *data = page_address(p->chunk) + p->offset;

	if (piece->zero_there)
		return memchr_inv(data, 0, bytes) ? UNIT_DIFFERS : UNIT_ZERO_THERE;
	return memcmp(data, page_address(p->there) + p->offset, bytes) ? UNIT_DIFFERS : UNIT_EQUAL;
}

/*
 * Of what is known to be at the destination a run is found that differs, in units of 4 KiB; a chunk
 * is some of them. What is left out before it is counted. Return: whether there is one.
 */
static bool next_run(struct bc_copier *c, struct bc_piece *piece)
{
	struct place p = { piece->chunks, piece->there };
	unsigned int n = 0, at;
	enum unit unit;
	bool found = false;

	piece->from = piece->to;
	if (!piece->zero_there && (!piece->there || piece->unread)) {
		piece->to = piece->sectors;
		return piece->from < piece->to;
	}
	if (piece->from < piece->sectors)
		advance(piece, &p, piece->from << SECTOR_SHIFT);
	for (at = piece->from; at < piece->sectors; at += n) {
		n = min(UNIT_SECTORS, piece->sectors - at);
		unit = look_at(piece, &p, n << SECTOR_SHIFT);
		if (unit != UNIT_DIFFERS && found)
			break;
		if (unit == UNIT_EQUAL)
			count(&c->unwritten_bytes, n);
		else if (unit == UNIT_ZERO_THERE)
			count(&c->zeroed_bytes, n);
		else if (!found)
			piece->from = at;
		found |= unit == UNIT_DIFFERS;
		if (at + n < piece->sectors)
			advance(piece, &p, n << SECTOR_SHIFT);
	}
	piece->to = at;
	return found;
}

/* A suspended job issues nothing more. Return: whether that was its end. */
static bool piece_stopped(struct bc_copier *c, struct bc_piece *piece)
{
	if (!READ_ONCE(c->stopped))
		return false;
	piece->copy->error = -EINTR;
	piece_end(c, piece);
	return true;
}

/* Write the next run, if there is one. */
static void piece_write(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);
	bool unmap = job->args.detect_zeroes != BC_DETECT_ZEROES_ON;

	if (piece_stopped(c, piece))
		return;
	if (!next_run(c, piece)) {
		piece_copied(c, piece);
	} else if (piece->zero) {
		piece->stage = BC_PIECE_ZERO;
		piece_submit(piece, job->destination,
			     REQ_OP_WRITE_ZEROES | (unmap ? 0 : REQ_NOUNMAP), NULL);
	} else {
		bc_zero_forget(job, piece->start + piece->from, piece->to - piece->from);
		piece->stage = BC_PIECE_WRITE;
		piece_submit(piece, job->destination, REQ_OP_WRITE, piece->chunks);
	}
}

/* The source's data is there: what is to be made of it? */
static void piece_was_read(struct bc_copier *c, struct bc_piece *piece)
{
	struct bc_job *job = bc_copier_job(c);
	bool detect = job->args.detect_zeroes != BC_DETECT_ZEROES_OFF;

	/*
	 * Once: a job that is resumed between two looks would compare with what nobody has read.
	 */
	if (piece_stopped(c, piece))
		return;
	piece->unread = true;
	piece->zero_there = is_zero_there(job, piece);
	piece->zero = !piece->zero_there && detect && READ_ONCE(c->zeroes_work) &&
		      piece_is_zero(piece);
	/* I3: nobody else writes there until the copy ends, so that what is read stays true. */
	if (piece->there && !piece->zero_there) {
		piece->stage = BC_PIECE_COMPARE;
		piece_read(piece, job->destination, piece->there);
		return;
	}
	piece->to = 0;
	piece_write(c, piece);
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
	unsigned int block = bc_job_block(job);
	bool first;

	bc_account(&job->source_errors, job->source_errors + 1);
	if (piece->sectors > block) {
		piece->sectors = max(round_down(piece->sectors / 2, block), block);
		part_read(c, piece);
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
	switch (piece->stage) {
	case BC_PIECE_READ:
		if (!piece->status) {
			piece_was_read(c, piece);
			return;
		}
		if (!goes_in_parts(c, piece))
			break;
		part_unread(c, piece);
		return;
	case BC_PIECE_COMPARE:
		/* What cannot be read is written. */
		piece->unread = piece->status;
		piece->to = 0;
		piece_write(c, piece);
		return;
	case BC_PIECE_ZERO:
		if (piece->status == BLK_STS_NOTSUPP || piece->status == BLK_STS_TARGET) {
			/*
			 * The device promised and refuses: it gets the zeroes as data, now and from
			 * now on.
			 */
			WRITE_ONCE(c->zeroes_work, false);
			piece->zero = false;
			piece->to = piece->from;
			piece_write(c, piece);
			return;
		}
		if (piece->status)
			break;
		count(&c->zeroed_bytes, piece->to - piece->from);
		piece_write(c, piece);
		return;
	case BC_PIECE_WRITE:
		if (piece->status)
			break;
		piece_write(c, piece);
		return;
	}
	piece_failed(c, piece);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's I/O. For write-blocking mode see bc-mirror.h.
 *
 * Background mode: everything goes to the truth and never waits, whatever its size and kind. What
 * changes data makes its regions dirty when it completes, successfully or not: a failed write may
 * have changed some sectors.
 *
 * Marking on completion alone is enough (I1). A copy that clears its bits before the write
 * completes is repeated because of the mark; one that clears them afterwards reads the new data. In
 * between the write is not acknowledged, and a flip waits for it (job->writes).
 */
#include "bc-job.h"
#include "bc-trace.h"

static void remap(struct bc_job *job, const struct bc_leg *leg, struct bio *bio)
{
	bio_set_dev(bio, leg->bdev);
	bio->bi_iter.bi_sector = leg->start + dm_target_offset(job->ti, bio->bi_iter.bi_sector);
}

/*
 * Reads and empty flushes pass; writes, discards, zeroes and secure erases are what tracking is
 * about.
 */
static bool changes_data(struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bio_sectors(bio);
}

/* Send the bio, which holds a reference of job->writes, to where the truth is now. */
static void route(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_leg *leg;

	/*
	 * The truth changes only while job->writes is killed and drained, and after a flip the
	 * reference stays in atomic mode, where taking it is a full barrier: whoever holds one sees
	 * the truth of before the flip, or of after it, together with all writers of that time
	 * (I6). After one that has reversed the job it goes back to percpu mode: then who sees that
	 * sees the flip. Pairs with the smp_store_release() that ends the switch.
	 */
	smp_rmb();
	leg = READ_ONCE(job->truth);
	io->counted = true;
	io->marks = leg == job->source;
	remap(job, leg, bio);
}

/*
 * As route(), while guest writes are mirrored. The flag is looked at with the reference held: when
 * the truth has moved, that shows here, whatever the flag says.
 */
static bool mirrored(struct bc_job *job)
{
	return unlikely(READ_ONCE(job->mirrors.mirroring)) &&
	       READ_ONCE(job->truth) == job->source;
}

/* I9. Return: whether the bio, which holds a reference of job->writes, may go on now. */
static bool admitted(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	io->counted = true;
	io->marks = false;
	switch (bc_intent_enter(job, bio)) {
	case BC_ADMITTED:
		return true;
	case BC_NOT_NOW:
		bio_wouldblock_error(bio);
		break;
	case BC_ADMITTED_LATER:
		break;
	}
	return false;
}

/*
 * A request begins (1) or ends (-1). What is shared is written once a jiffy at most, as all
 * processors read what is beside it.
 */
static void count_guest(struct bc_job *job, const struct bio *bio, int n)
{
	unsigned long now = jiffies;

	this_cpu_add(job->guest->waiting, n);
	if (READ_ONCE(job->guest_last) == now)
		return;
	WRITE_ONCE(job->guest_last, now);
	WRITE_ONCE(job->clone_pad, bio->bi_pool ? bio->bi_pool->front_pad : 0);
}

static bool is_flush(struct bio *bio)
{
	return (bio->bi_opf & REQ_PREFLUSH) && !bio_sectors(bio);
}

bool bc_guest_waits(const struct bc_job *job)
{
	int cpu, nr = 0;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(per_cpu_ptr(job->guest, cpu)->waiting);
	return nr;
}

unsigned int bc_guest_written(const struct bc_job *job)
{
	unsigned int nr = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(per_cpu_ptr(job->guest, cpu)->written);
	return nr;
}

int bc_io_map(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	io->counted = false;
	io->tracked = false;
	io->epoch = 0;
	count_guest(job, bio, 1);
	if (!changes_data(bio)) {
		if (is_flush(bio) && mirrored(job) && bc_writes_get(job, io)) {
			/*
			 * I6: with a reference, so that a flip waits for it. While writes are held
			 * it goes to the truth alone.
			 */
			route(job, bio);
			io->marks = false;
			return mirrored(job) ? bc_mirror_flush(job, bio) : DM_MAPIO_REMAPPED;
		}
		/*
		 * Reads in flight at a flip are answered from the source, as if they came before
		 * it.
		 */
		remap(job, READ_ONCE(job->truth), bio);
	} else {
		io->start = dm_target_offset(job->ti, bio->bi_iter.bi_sector);
		io->sectors = bio_sectors(bio);
		io->since = jiffies;	/* I7: the time that it is parked counts */
		while (!bc_writes_get(job, io))
			if (bc_hold_park(job, bio))
				return DM_MAPIO_SUBMITTED;
		if (mirrored(job) && bio_op(bio) == REQ_OP_WRITE &&
		    io->sectors > job->mirrors.max_sectors) {
			io->sectors = job->mirrors.max_sectors;
			dm_accept_partial_bio(bio, io->sectors);
		}
		if (bio_op(bio) == REQ_OP_WRITE)
			this_cpu_add(job->guest->written, io->sectors);
		if (job->meta && !admitted(job, bio))
			return DM_MAPIO_SUBMITTED;
		route(job, bio);
		if (mirrored(job))
			return bc_mirror_map(job, bio);
	}

	/*
	 * Between the flip and the table swap the source's NOWAIT is promised, not the
	 * destination's.
	 */
	if (unlikely(bio->bi_opf & REQ_NOWAIT) && !bdev_nowait(bio->bi_bdev)) {
		bio_wouldblock_error(bio);
		return DM_MAPIO_SUBMITTED;
	}
	return DM_MAPIO_REMAPPED;
}

void bc_io_release(struct bc_job *job, struct bio *bio)
{
	if (!job->meta || admitted(job, bio))
		bc_io_admitted(job, bio);
}

void bc_io_admitted(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	route(job, bio);
	if (mirrored(job) && bc_mirror_may_wait(job, io) &&
	    bc_mirror_map(job, bio) != DM_MAPIO_REMAPPED)
		return;
	dm_submit_bio_remap(bio, NULL);
}

void bc_io_mark(struct bc_job *job, sector_t start, unsigned int sectors, bool acknowledged)
{
	unsigned long first = start >> job->region_shift;
	unsigned long last = (start + sectors - 1) >> job->region_shift;
	unsigned long marked = bc_job_mark(job, first, last, acknowledged);

	if (trace_blockcopy_write_enabled())
		trace_blockcopy_write(job->devt, start, sectors, marked);
	/* Also if it was dirty already: it may have been cleared, and copied, since. */
	bc_verify_touch(job, first, last);
	bc_holes_spoil(job, first, last);
	if (!marked)
		return;
	atomic64_add((u64)marked << (job->region_shift + SECTOR_SHIFT), &job->dirtied_bytes);
	/* The mark was a full barrier; it pairs with the smp_mb() in settle(). */
	if (READ_ONCE(job->copier.idle))
		bc_copier_kick(&job->copier);
}

void bc_io_end(struct bc_job *job, struct bio *bio, blk_status_t status)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	count_guest(job, bio, -1);
	if (unlikely(READ_ONCE(job->yielding))) {
		WRITE_ONCE(job->yielding, false);
		bc_copier_kick(&job->copier);
	}
	if (!io->counted)
		return;
	/*
	 * I6: the mark comes before the reference goes, so that whoever sees no writes sees all
	 * marks.
	 */
	if (io->marks)
		bc_io_mark(job, io->start, io->sectors, !status);
	if (io->tracked)
		bc_mirror_source_ended(job, io);
	if (unlikely(io->epoch))
		bc_intent_put(job, io->epoch);
	percpu_ref_put(&job->writes[io->turn]);
}

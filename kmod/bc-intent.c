// SPDX-License-Identifier: GPL-2.0-only
/*
 * The intent bitmap: guest writes wait for their bit to be durable, and what is clean again loses
 * it, later. See bc-meta.h.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "bc-job.h"

/*
 * A write after a run of so many regions whose bits are set has those of the next ones set, too:
 * one who writes from one end to the other waits once for many. What is set in vain is cleared when
 * it has cooled, and costs a copy after a crash.
 */
#define RUN_REGIONS	4
#define AHEAD_REGIONS	64

/* Words of a block of the bitmap, in memory. */
#define BLOCK_WORDS	(BC_FORMAT_BLOCK_BITS / BITS_PER_LONG)

/*
 * Epochs
 */

unsigned int bc_intent_get(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;
	unsigned int epoch;

	if (!meta || READ_ONCE(meta->state) != BC_META_OK)
		return 0;
	/* One grace period: an epoch that ends is not the next one again before it is over. */
	rcu_read_lock();
	do {
		/*
		 * Pairs with begin_pass(): who sees the new epoch sees the gate that was closed for
		 * it. One that is replaced is replaced before it is killed.
		 */
		epoch = smp_load_acquire(&meta->epoch);
	} while (!percpu_ref_tryget_live(&meta->epochs[epoch]));
	rcu_read_unlock();
	return epoch + 1;
}

unsigned int bc_intent_get_copy(struct bc_job *job, unsigned long first, unsigned long last)
{
	struct bc_meta *meta = job->meta;
	unsigned int epoch = bc_intent_get(job);
	unsigned long i;

	if (epoch)
		for (i = first / BITS_PER_LONG; i <= last / BITS_PER_LONG; i++)
			set_bit(i, meta->copied);
	return epoch;
}

void bc_intent_put(struct bc_job *job, unsigned int epoch)
{
	percpu_ref_put(&job->meta->epochs[epoch - 1]);
}

static void epoch_drained(struct percpu_ref *ref, unsigned int epoch)
{
	struct bc_meta *meta = container_of(ref, struct bc_meta, epochs[epoch]);

	rcu_read_lock();	/* bc_meta_exit() waits for this */
	/* Pairs with the smp_load_acquire() in bc_intent_clear(). */
	smp_store_release(&meta->drained, true);
	bc_meta_kick(meta);
	wake_up_all(&meta->quiet);
	rcu_read_unlock();
}

static void epoch_0_drained(struct percpu_ref *ref)
{
	epoch_drained(ref, 0);
}

static void epoch_1_drained(struct percpu_ref *ref)
{
	epoch_drained(ref, 1);
}

/*
 * The guest's side
 */

static void range_of(struct bc_job *job, const struct bc_io *io, unsigned long *first,
		     unsigned long *last)
{
	*first = io->start >> job->region_shift;
	*last = (io->start + io->sectors - 1) >> job->region_shift;
}

static void touch(struct bc_meta *meta, unsigned long first, unsigned long last)
{
	unsigned long i;

	for (i = first / BITS_PER_LONG; i <= last / BITS_PER_LONG; i++)
		if (!test_bit(i, meta->hot))
			set_bit(i, meta->hot);
}

static bool gate_open(const struct bc_meta *meta, unsigned long first, unsigned long last)
{
	if (first == last)
		return test_bit(first, meta->gate);
	return find_next_zero_bit(meta->gate, last + 1, first) > last;
}

enum bc_admission bc_intent_enter(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct bc_meta *meta = job->meta;
	unsigned long first, last;
	bool later = false;

	/* After a flip nothing needs to be known about the source. */
	if (!meta || !READ_ONCE(meta->open) || READ_ONCE(job->truth) != job->source)
		return BC_ADMITTED;
	range_of(job, io, &first, &last);
	io->epoch = bc_intent_get(job);
	touch(meta, first, last);
	/* The record's hold has ended when we got our reference of job->writes: "closed" shows. */
	if (!READ_ONCE(meta->closed) && gate_open(meta, first, last))
		return BC_ADMITTED;
	if (bio->bi_opf & REQ_NOWAIT)
		return BC_NOT_NOW;

	io->intent_since = jiffies;
	spin_lock(&meta->lock);
	if (meta->open) {
		bio_list_add(&meta->waiting, bio);
		later = true;
	}
	spin_unlock(&meta->lock);
	if (!later)
		return BC_ADMITTED;
	queue_delayed_work(job->wq, &meta->timer,
			   msecs_to_jiffies(READ_ONCE(job->args.write_timeout)));
	bc_meta_kick(meta);
	return BC_ADMITTED_LATER;
}

/*
 * Blocks
 */

static void fill_block(struct bc_meta *meta, struct bc_format_block *block, unsigned long index)
{
	const unsigned long *words = meta->on_disk + index * BLOCK_WORDS;
	unsigned int i;

	for (i = 0; i < BC_FORMAT_BLOCK_WORDS; i++) {
		u64 word = words[i * (64 / BITS_PER_LONG)];

		if (BITS_PER_LONG == 32)
			word |= (u64)words[i * (64 / BITS_PER_LONG) + 64 / BITS_PER_LONG - 1] << 32;
		block->words[i] = cpu_to_le64(word);
	}
	bc_format_seal_block(block, meta->super, index);
}

static void take_block(struct bc_meta *meta, const struct bc_format_block *block,
		       unsigned long index)
{
	unsigned long *words = meta->on_disk + index * BLOCK_WORDS;
	unsigned int i;

	for (i = 0; i < BC_FORMAT_BLOCK_WORDS; i++) {
		u64 word = le64_to_cpu(block->words[i]);

		words[i * (64 / BITS_PER_LONG)] = word;
		if (BITS_PER_LONG == 32)
			words[i * (64 / BITS_PER_LONG) + 64 / BITS_PER_LONG - 1] = word >> 32;
	}
}

/* Write the blocks of that set, as they are in memory, and empty it. Return: 0 or -errno. */
static int write_blocks(struct bc_meta *meta, unsigned long *set)
{
	unsigned long index = 0;
	unsigned int nr;
	int r;

	for (;;) {
		for (nr = 0; nr < BC_META_SLOTS; nr++, index++) {
			index = find_next_bit(set, meta->nr_blocks, index);
			if (index >= meta->nr_blocks)
				break;
			__clear_bit(index, set);
			fill_block(meta, bc_meta_slot(meta, nr, index), index);
		}
		if (!nr)
			return 0;
		r = bc_meta_submit_slots(meta, nr);
		if (r)
			return r;
	}
}

/* There are no regions past the last one; and how many are set? */
static void tidy(struct bc_meta *meta)
{
	unsigned long w, nbits = meta->job->dirty.nbits;
	u64 nr = 0;

	for (w = 0; w < meta->nr_words; w++) {
		if (w > nbits / BITS_PER_LONG)
			meta->on_disk[w] = 0;
		else if (w == nbits / BITS_PER_LONG)
			meta->on_disk[w] &= BIT(nbits % BITS_PER_LONG) - 1;
		nr += hweight_long(meta->on_disk[w]);
	}
	WRITE_ONCE(meta->nr_set, nr);
}

void bc_intent_set_all(struct bc_meta *meta)
{
	memset(meta->on_disk, 0xff, meta->nr_words * sizeof(long));
	tidy(meta);
}

long bc_intent_read(struct bc_meta *meta)
{
	unsigned long index, i, nr;
	long bad = 0;

	bc_intent_set_all(meta);
	for (index = 0; index < meta->nr_blocks; index += nr) {
		nr = min(meta->nr_blocks - index, (unsigned long)BC_META_SLOTS);
		if (bc_meta_read_slots(meta, BC_FORMAT_BITMAP_BLOCK + index, nr))
			return -EIO;
		for (i = 0; i < nr; i++) {
			struct bc_format_block *block = page_address(meta->pages[i]);

			/* I11: what is not certain stays set. */
			if (bc_format_check_block(block, meta->super, index + i))
				bad++;
			else
				take_block(meta, block, index + i);
		}
	}
	tidy(meta);
	return bad;
}

/*
 * Setting
 */

/* The bits of @first to @last that are in word @w. */
static unsigned long mask_of(unsigned long w, unsigned long first, unsigned long last)
{
	unsigned long mask = ~0UL;

	if (w == first / BITS_PER_LONG)
		mask &= ~0UL << first % BITS_PER_LONG;
	if (w == last / BITS_PER_LONG)
		mask &= ~0UL >> (BITS_PER_LONG - 1 - last % BITS_PER_LONG);
	return mask;
}

/* Context: the work. A word at a time, as one discard may cover a million regions. */
static void intend(struct bc_meta *meta, unsigned long first, unsigned long last)
{
	unsigned long w, new;

	for (w = first / BITS_PER_LONG; w <= last / BITS_PER_LONG; w++) {
		new = mask_of(w, first, last) & ~meta->on_disk[w];
		if (!new)
			continue;
		meta->on_disk[w] |= new;
		WRITE_ONCE(meta->nr_set, meta->nr_set + hweight_long(new));
		__set_bit(w / BLOCK_WORDS, meta->blocks);
	}
}

/* Up to where bits are set for a write of @first to @last. */
static unsigned long ahead_of(struct bc_meta *meta, unsigned long first, unsigned long last)
{
	unsigned long i;

	if (first < RUN_REGIONS)
		return last;
	for (i = first - RUN_REGIONS; i < first; i++)
		if (!test_bit(i, meta->on_disk))
			return last;
	return min(last + AHEAD_REGIONS, meta->job->dirty.nbits - 1);
}

/* I9: all that is set is durable now, also where ahead_of() says another thing than before. */
static void open_gate(struct bc_meta *meta, unsigned long first, unsigned long last)
{
	unsigned long w;

	for (w = first / BITS_PER_LONG; w <= last / BITS_PER_LONG; w++)
		WRITE_ONCE(meta->gate[w],
			   meta->gate[w] | (mask_of(w, first, last) & meta->on_disk[w]));
}

/* Apart from the work, which is not to wait for a slow source. */
static void send_work(struct work_struct *work)
{
	struct bc_meta *meta = container_of(work, struct bc_meta, send);
	struct bio_list bios = BIO_EMPTY_LIST;
	struct bio *bio;

	spin_lock(&meta->lock);
	bio_list_merge(&bios, &meta->admitted);
	bio_list_init(&meta->admitted);
	spin_unlock(&meta->lock);
	while ((bio = bio_list_pop(&bios)))
		bc_io_admitted(meta->job, bio);
}

void bc_intent_ask(struct bc_job *job, unsigned long first, unsigned long last)
{
	struct bc_meta *meta = job->meta;

	if (!meta)
		return;
	spin_lock(&meta->lock);
	/* Somebody else's may be waiting. */
	meta->asked_first = meta->asked ? min(meta->asked_first, first) : first;
	meta->asked_last = meta->asked ? max(meta->asked_last, last) : last;
	WRITE_ONCE(meta->asked, true);
	spin_unlock(&meta->lock);
	bc_meta_kick(meta);
}

bool bc_intent_asked(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;

	return meta && READ_ONCE(meta->state) == BC_META_OK && READ_ONCE(meta->asked);
}

int bc_intent_admit(struct bc_meta *meta)
{
	struct bc_job *job = meta->job;
	unsigned long first, last, asked_first, asked_last;
	struct bio *bio;
	bool asked;
	int r;

	for (;;) {
		spin_lock(&meta->lock);
		/* A record that came meanwhile goes first: it kicked. */
		if (!meta->closed) {
			bio_list_merge(&meta->batch, &meta->waiting);
			bio_list_init(&meta->waiting);
		}
		bio_list_for_each(bio, &meta->batch) {
			range_of(job, dm_per_bio_data(bio, sizeof(struct bc_io)), &first, &last);
			intend(meta, first, ahead_of(meta, first, last));
		}
		asked = meta->asked;
		asked_first = meta->asked_first;
		asked_last = meta->asked_last;
		if (asked)
			intend(meta, asked_first, asked_last);
		bio = bio_list_peek(&meta->batch);
		spin_unlock(&meta->lock);
		if (!bio && !asked)
			return 0;

		r = write_blocks(meta, meta->blocks);
		if (r)
			return r;

		spin_lock(&meta->lock);
		/* I9: what a next verify has asked for since is not there yet. */
		if (asked && meta->asked_first == asked_first && meta->asked_last == asked_last)
			WRITE_ONCE(meta->asked, false);
		/* They may have been let go without: then the metadata has failed. */
		bio_list_for_each(bio, &meta->batch) {
			range_of(job, dm_per_bio_data(bio, sizeof(struct bc_io)), &first, &last);
			open_gate(meta, first, ahead_of(meta, first, last));
		}
		bio_list_merge(&meta->admitted, &meta->batch);
		bio_list_init(&meta->batch);
		spin_unlock(&meta->lock);
		queue_work(job->wq, &meta->send);
	}
}

/*
 * Clearing
 */

static bool may_clear(struct bc_job *job)
{
	enum bc_state state = READ_ONCE(job->state);

	/* I11: while listing nothing is known to be equal. Pairs with bc_list_end(). */
	if (smp_load_acquire(&job->listing))
		return false;
	return (state == BC_COPYING || state == BC_READY || state == BC_FINISHED) &&
	       !READ_ONCE(job->copier.stopped);
}

static unsigned long dirty_word(struct bc_job *job, unsigned long w)
{
	return READ_ONCE(job->dirty.words[w]);
}

/* Close the gate of what may be cleared. Return: whether there is anything. */
static bool close_gate(struct bc_meta *meta, bool cool)
{
	unsigned long w, candidates, nr_words = BITS_TO_LONGS(meta->job->dirty.nbits);
	bool any = false;

	for (w = 0; w < nr_words; w++) {
		if (!(w % 4096))
			cond_resched();
		if (!meta->on_disk[w] || test_bit(w, meta->hot))
			continue;
		candidates = meta->on_disk[w] & ~dirty_word(meta->job, w);
		if (!candidates)
			continue;
		WRITE_ONCE(meta->gate[w], meta->gate[w] & ~candidates);
		__set_bit(w / BLOCK_WORDS, meta->clearing);
		any = true;
	}
	/* One that is set meanwhile may get lost: it costs a write of metadata. */
	if (cool)
		memset(meta->hot, 0, BITS_TO_LONGS(nr_words) * sizeof(long));
	return any;
}

static void begin_pass(struct bc_meta *meta)
{
	unsigned int old = meta->epoch;
	bool cool = meta->pass_due;

	meta->pass_due = false;
	WRITE_ONCE(meta->copied_much, false);
	WRITE_ONCE(meta->last_pass, jiffies);
	if (!close_gate(meta, cool))
		return;
	meta->drained = false;
	meta->flush_failures = atomic_read(&meta->job->flush_failures);
	memset(meta->copied, 0, BITS_TO_LONGS(meta->nr_words) * sizeof(long));
	meta->phase = BC_CLEAR_DRAIN;
	/* Pairs with bc_intent_get(). */
	smp_store_release(&meta->epoch, !old);
	percpu_ref_kill(&meta->epochs[old]);
}

/* The epoch that has ended can be the next one. Context: the work. */
static void end_pass(struct bc_meta *meta)
{
	percpu_ref_reinit(&meta->epochs[!meta->epoch]);
	meta->phase = BC_CLEAR_IDLE;
}

/* Call @fn for each word of the blocks that the pass is about. */
static void for_clearing(struct bc_meta *meta, void (*fn)(struct bc_meta *meta, unsigned long w))
{
	unsigned long nr_words = BITS_TO_LONGS(meta->job->dirty.nbits);
	unsigned long index, w, end;

	for_each_set_bit(index, meta->clearing, meta->nr_blocks) {
		end = min((index + 1) * BLOCK_WORDS, nr_words);
		for (w = index * BLOCK_WORDS; w < end; w++)
			fn(meta, w);
	}
}

static void open_word(struct bc_meta *meta, unsigned long w)
{
	WRITE_ONCE(meta->gate[w], meta->on_disk[w]);
}

/*
 * Where nobody has opened the gate no guest writes. What became dirty since is so still, or was
 * taken by a copy that nobody has waited for; that copy says so before it looks clean.
 */
static void clear_word(struct bc_meta *meta, unsigned long w)
{
	unsigned long clear = meta->on_disk[w] & ~meta->gate[w] & ~dirty_word(meta->job, w);

	smp_rmb();	/* dirty before copied; pairs with the clear in bc_copy_begin() */
	if (test_bit(w, meta->copied))
		clear = 0;
	WRITE_ONCE(meta->nr_set, meta->nr_set - hweight_long(clear));
	meta->on_disk[w] &= ~clear;
	open_word(meta, w);
}

/* A pass is over without a result. */
static void abandon(struct bc_meta *meta)
{
	for_clearing(meta, open_word);
	memset(meta->clearing, 0, BITS_TO_LONGS(meta->nr_blocks) * sizeof(long));
	end_pass(meta);
}

static int commit(struct bc_meta *meta)
{
	int r;

	for_clearing(meta, clear_word);
	r = write_blocks(meta, meta->clearing);
	end_pass(meta);
	return r;
}

static void flush_end(struct bio *bio)
{
	struct bc_meta *meta = bio->bi_private;
	unsigned int leg = bio - meta->flush_bios;

	meta->flush_status[leg] = bio->bi_status;
	/* I6: at once, a flip may be near. A device may tell only one of those who flush. */
	if (leg == BC_FLUSH_DESTINATION && bio->bi_status) {
		atomic_inc(&meta->job->flush_failures);
		bc_mirror_flush_failed(meta->job, bio->bi_status);
	}
	bio_uninit(bio);
	rcu_read_lock();	/* bc_meta_exit() waits for this */
	/* After its error; a full barrier, pairs with bc_intent_flushes(). */
	if (atomic_fetch_andnot(BIT(leg), &meta->flushes) == BIT(leg))
		bc_meta_kick(meta);
	if (leg == BC_FLUSH_DESTINATION)
		bc_copier_kick(&meta->job->copier);
	wake_up_all(&meta->quiet);
	rcu_read_unlock();
}

bool bc_intent_flushes(struct bc_job *job)
{
	/* And then its error; pairs with flush_end(). */
	return job->meta &&
	       (atomic_read_acquire(&job->meta->flushes) & BIT(BC_FLUSH_DESTINATION));
}

static void flush_work_fn(struct work_struct *work)
{
	struct bc_meta *meta = container_of(work, struct bc_meta, flush);
	struct bc_leg *legs[] = { meta->job->source, meta->job->destination };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(legs); i++) {
		struct bio *bio = &meta->flush_bios[i];

		bio_init(bio, legs[i]->bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
		bio->bi_private = meta;
		bio->bi_end_io = flush_end;
		submit_bio_noacct(bio);
	}
}

static void begin_flush(struct bc_meta *meta)
{
	meta->phase = BC_CLEAR_FLUSH;
	atomic_set(&meta->flushes, BIT(BC_FLUSH_SOURCE) | BIT(BC_FLUSH_DESTINATION));
	queue_work(meta->job->copier.wq, &meta->flush);
}

/*
 * Both legs, and no flush of the destination has failed beside ours: a device may tell only one of
 * us. What was in flight when a disk was unplugged may still have succeeded.
 */
static bool flushed(struct bc_meta *meta)
{
	struct bc_job *job = meta->job;

	return !meta->flush_status[0] && !meta->flush_status[1] &&
	       meta->flush_failures == atomic_read(&job->flush_failures) &&
	       !test_bit(GD_DEAD, &job->destination->bdev->bd_disk->state);
}

int bc_intent_clear(struct bc_meta *meta)
{
	struct bc_job *job = meta->job;

	switch (meta->phase) {
	case BC_CLEAR_IDLE:
		if ((meta->pass_due || READ_ONCE(meta->copied_much)) && may_clear(job))
			begin_pass(meta);
		return 0;
	case BC_CLEAR_DRAIN:
		/* Pairs with epoch_drained(). */
		if (!smp_load_acquire(&meta->drained))
			return 0;
		if (may_clear(job))
			begin_flush(meta);
		else
			abandon(meta);
		return 0;
	case BC_CLEAR_FLUSH:
		/* Pairs with the atomic_fetch_andnot() in flush_end(). */
		if (atomic_read_acquire(&meta->flushes))
			return 0;
		if (flushed(meta) && may_clear(job))
			return commit(meta);
		abandon(meta);
		return 0;
	}
	return 0;
}

void bc_intent_copied(struct bc_job *job, u64 bytes)
{
	struct bc_meta *meta = job->meta;

	/* Of what was copied no more than that is to be copied again after a crash. */
	if (!meta || bytes - meta->copied_bytes < (u64)job->len << SECTOR_SHIFT >> 7 ||
	    time_before(jiffies, READ_ONCE(meta->last_pass) + HZ / 20))
		return;
	meta->copied_bytes = bytes;
	WRITE_ONCE(meta->copied_much, true);
	bc_meta_kick(meta);
}

int bc_intent_init(struct bc_meta *meta, unsigned long regions)
{
	unsigned long n;
	int r;

	INIT_WORK(&meta->flush, flush_work_fn);
	INIT_WORK(&meta->send, send_work);
	bio_list_init(&meta->admitted);
	meta->nr_blocks = bc_format_blocks(regions);
	/* Whole blocks, as they are written whole. */
	n = meta->nr_blocks * BLOCK_WORDS;
	meta->nr_words = n;
	meta->gate = kvcalloc(n, sizeof(long), GFP_KERNEL);
	meta->on_disk = kvcalloc(n, sizeof(long), GFP_KERNEL);
	meta->hot = kvcalloc(BITS_TO_LONGS(n), sizeof(long), GFP_KERNEL);
	meta->copied = kvcalloc(BITS_TO_LONGS(n), sizeof(long), GFP_KERNEL);
	meta->blocks = kvcalloc(BITS_TO_LONGS(meta->nr_blocks), sizeof(long), GFP_KERNEL);
	meta->clearing = kvcalloc(BITS_TO_LONGS(meta->nr_blocks), sizeof(long), GFP_KERNEL);
	if (!meta->gate || !meta->on_disk || !meta->hot || !meta->copied || !meta->blocks ||
	    !meta->clearing)
		return -ENOMEM;
	bc_intent_set_all(meta);
	r = percpu_ref_init(&meta->epochs[0], epoch_0_drained, PERCPU_REF_ALLOW_REINIT,
			    GFP_KERNEL);
	if (!r)
		r = percpu_ref_init(&meta->epochs[1], epoch_1_drained,
				    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	return r;
}

void bc_intent_exit(struct bc_meta *meta)
{
	percpu_ref_exit(&meta->epochs[0]);
	percpu_ref_exit(&meta->epochs[1]);
	kvfree(meta->gate);
	kvfree(meta->on_disk);
	kvfree(meta->hot);
	kvfree(meta->copied);
	kvfree(meta->blocks);
	kvfree(meta->clearing);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata device: its superblock, its failures, and the work that writes to it. See bc-meta.h.
 */
#include <linux/completion.h>
#include <linux/part_stat.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "bc-job.h"
#include "compat.h"

/* Between passes that clear, and between tries to write down that it failed. */
#define TICK		(2 * HZ)

/* How long a suspend waits for the device, and a guest write at least. */
#define PATIENCE	msecs_to_jiffies(1000)

/*
 * While a flip is being written down, or taken back: to go on without knowing which of the two is
 * there might cost all that is written from then on.
 */
#define RECORD_PATIENCE	msecs_to_jiffies(5000)

const char *const bc_meta_state_names[BC_META_STATE_MAX] = {
	[BC_META_OFF] = "off",
	[BC_META_OK] = "ok",
	[BC_META_FAILED] = "failed",
	[BC_META_DETACHED] = "detached",
};

/*
 * I/O. The work does it, and preresume while that does not run.
 */

static void io_end(struct bc_meta *meta)
{
	/* What was written shows to who sees that nothing is in flight. */
	smp_store_release(&meta->busy, false);
	wake_up_all(&meta->quiet);
}

/* The work may do I/O, to be ended by io_end(). Return: false when it is stopped. */
static bool io_begin(struct bc_meta *meta)
{
	WRITE_ONCE(meta->busy, true);
	smp_mb();	/* "busy" before "stopped" is read; pairs with bc_meta_stop() */
	if (!READ_ONCE(meta->stopped))
		return true;
	io_end(meta);
	return false;
}

static void slot_end(struct bio *bio)
{
	struct bc_meta *meta = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(meta->status, bio->bi_status);
	if (atomic_dec_and_test(&meta->pending))
		complete(&meta->written);
}

static void slot_init(struct bc_meta *meta, unsigned int i, u64 block, blk_opf_t opf)
{
	struct bio *bio = &meta->bios[i];

	bio_init(bio, meta->bdev, &meta->vecs[i], 1, opf);
	bio->bi_iter.bi_sector = block * BC_FORMAT_BLOCK_SECTORS;
	bio->bi_private = meta;
	bio->bi_end_io = slot_end;
	__bio_add_page(bio, meta->pages[i], BC_FORMAT_BLOCK_SIZE, 0);
}

int bc_meta_submit_slots(struct bc_meta *meta, unsigned int nr)
{
	struct blk_plug plug;
	unsigned int i;

	meta->status = BLK_STS_OK;
	atomic_set(&meta->pending, nr);
	reinit_completion(&meta->written);
	blk_start_plug(&plug);
	for (i = 0; i < nr; i++)
		submit_bio_noacct(&meta->bios[i]);
	blk_finish_plug(&plug);
	wait_for_completion_io(&meta->written);
	for (i = 0; i < nr; i++)
		bio_uninit(&meta->bios[i]);
	return blk_status_to_errno(meta->status);
}

void *bc_meta_slot(struct bc_meta *meta, unsigned int i, u64 index)
{
	slot_init(meta, i, BC_FORMAT_BITMAP_BLOCK + index, REQ_OP_WRITE | REQ_FUA | REQ_SYNC);
	return page_address(meta->pages[i]);
}

int bc_meta_read_slots(struct bc_meta *meta, u64 block, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		slot_init(meta, i, block + i, REQ_OP_READ);
	return bc_meta_submit_slots(meta, nr);
}

/*
 * The superblock. The slot that is not in force is written; when that fails, or is torn, the other
 * one still says what was.
 */
static int write_slot(struct bc_meta *meta, enum bc_outcome outcome)
{
	struct bc_format_super *super = page_address(meta->pages[0]);
	u64 sequence = le64_to_cpu(meta->super->sequence) + 1;
	int r;

	*super = *meta->super;
	super->sequence = cpu_to_le64(sequence);
	if (super->outcome != cpu_to_le32(outcome))
		super->instant = cpu_to_le64(ktime_get_real_seconds());
	super->outcome = cpu_to_le32(outcome);
	super->untracked = 0;
	bc_format_seal_super(super);
	slot_init(meta, 0, sequence % BC_FORMAT_SUPER_SLOTS,
		  REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA | REQ_SYNC);
	r = bc_meta_submit_slots(meta, 1);
	if (!r)
		*meta->super = *super;
	return r;
}

/* Both slots: what was before is not to come back when one of them decays. */
static int write_super(struct bc_meta *meta, enum bc_outcome outcome)
{
	return write_slot(meta, outcome) ?: write_slot(meta, outcome);
}

/* Choose the superblock in force. Return: NULL, or why there is none. */
static const char *read_super(struct bc_meta *meta)
{
	const struct bc_format_super *super[BC_FORMAT_SUPER_SLOTS];
	struct bc_job *job = meta->job;
	enum bc_format_verdict verdict;
	int i;

	meta->super_unread = bc_meta_read_slots(meta, 0, BC_FORMAT_SUPER_SLOTS);
	if (meta->super_unread)
		return "cannot be read";
	for (i = 0; i < BC_FORMAT_SUPER_SLOTS; i++)
		super[i] = page_address(meta->pages[i]);
	i = bc_format_choose(super[0], super[1], &verdict);
	if (i < 0)
		return bc_format_verdicts[verdict];
	if (le64_to_cpu(super[i]->len) != job->len ||
	    le32_to_cpu(super[i]->region_sectors) != job->args.region_sectors ||
	    le64_to_cpu(super[i]->source.offset) != job->source->start ||
	    le64_to_cpu(super[i]->destination.offset) != job->destination->start)
		return "of a job of another size";
	*meta->super = *super[i];
	return NULL;
}

/*
 * Failure
 */

static void admit_all(struct bc_job *job, struct bio_list *bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios)))
		bc_io_admitted(job, bio);
}

void bc_meta_fail(struct bc_meta *meta, const char *why)
{
	struct bio_list bios = BIO_EMPTY_LIST;
	struct bc_job *job = meta->job;
	bool first;
	u64 hold;

	spin_lock(&meta->lock);
	first = meta->state < BC_META_FAILED;
	if (first)
		WRITE_ONCE(meta->state, BC_META_FAILED);
	WRITE_ONCE(meta->open, false);
	WRITE_ONCE(meta->closed, false);
	hold = meta->record_hold;
	meta->record_hold = 0;
	bio_list_merge(&bios, &meta->batch);
	bio_list_merge(&bios, &meta->waiting);
	bio_list_init(&meta->batch);
	bio_list_init(&meta->waiting);
	spin_unlock(&meta->lock);

	if (first && why) {
		DMERR("%s: metadata: %s: the job goes on without, after a crash it begins anew",
		      job->name, why);
		bc_job_metadata_failed(job, hold);
	} else if (hold) {
		/* Given up by a message, while a completion waited for its record. */
		bc_complete_cancel(job, BC_READY, BC_ERROR_METADATA);
	}
	admit_all(job, &bios);
	mod_delayed_work(meta->wq, &meta->tick, 0);
}

static void wait_timer(struct work_struct *work)
{
	struct bc_meta *meta = container_of(to_delayed_work(work), struct bc_meta, timer);
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(meta->job->args.write_timeout));
	unsigned long age = 0;
	struct bio *bio;

	timeout = max(timeout, PATIENCE);
	spin_lock(&meta->lock);
	if (meta->record_hold)
		timeout = max(timeout, RECORD_PATIENCE);
	bio = bio_list_peek(&meta->batch) ?: bio_list_peek(&meta->waiting);
	if (bio) {
		struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

		age = jiffies - io->intent_since;
		if (age < timeout)
			queue_delayed_work(meta->job->wq, &meta->timer, timeout - age);
	}
	spin_unlock(&meta->lock);
	if (age >= timeout)
		bc_meta_fail(meta, "does not answer");
}

/*
 * What is there is not to be believed: say so, for after a crash; but where the truth is still
 * holds. One that could not be read may be ours nevertheless.
 *
 * Context: the work, may do I/O. Return: 0 or -errno.
 */
static int disown(struct bc_meta *meta)
{
	enum bc_outcome outcome = BC_OUTCOME_DETACHED;
	struct bc_job *job = meta->job;
	int r;

	if (READ_ONCE(job->truth) == job->destination)
		outcome = BC_OUTCOME_PIVOTED;
	if (!meta->super->generation) {
		if (bc_registry_metadata_busy(job))
			return -EBUSY;
		if (read_super(meta))
			return meta->super_unread ? -EIO : 0;
	}
	if (READ_ONCE(meta->state) == BC_META_DETACHED &&
	    le32_to_cpu(meta->super->outcome) == outcome)
		return 0;
	r = write_super(meta, outcome);
	if (r)
		return r;
	WRITE_ONCE(meta->state, BC_META_DETACHED);
	DMINFO("%s: metadata: it is written down there that nobody tracks any more", job->name);
	return 0;
}

bool bc_meta_recording(struct bc_job *job, u64 hold)
{
	struct bc_meta *meta = job->meta;
	bool recording;

	if (!meta)
		return false;
	spin_lock(&meta->lock);
	recording = meta->record_hold == hold;
	spin_unlock(&meta->lock);
	return recording;
}

int bc_meta_detach(struct bc_job *job)
{
	enum bc_state state = READ_ONCE(job->state);

	if (!job->meta)
		return -ENODATA;
	/* A record is not to be lost. */
	if (state == BC_COMPLETING || state == BC_PIVOTED)
		return -EBUSY;
	bc_meta_fail(job->meta, NULL);
	return 0;
}

/*
 * Records
 */

bool bc_meta_record(struct bc_job *job, enum bc_outcome outcome, u64 hold)
{
	struct bc_meta *meta = job->meta;
	bool ok;

	if (!meta)
		return false;
	spin_lock(&meta->lock);
	ok = meta->state == BC_META_OK;
	if (ok) {
		meta->wanted = outcome;
		meta->record_hold = hold;
		WRITE_ONCE(meta->closed, true);
	}
	spin_unlock(&meta->lock);
	if (ok)
		bc_meta_kick(meta);
	return ok;
}

bool bc_meta_misleads(struct bc_job *job, bool pivot)
{
	/* That nobody tracks is as true after a finish; where the data is, is not told. */
	return job->meta && (pivot || READ_ONCE(job->meta->state) != BC_META_DETACHED);
}

/*
 * Write the outcome that is wanted, and take it back when the hold was over before.
 *
 * Return: 0, -errno, or 1 when that is not known yet; the work is queued when it is.
 */
static int record(struct bc_meta *meta)
{
	enum bc_outcome wanted;
	u64 hold;
	int r = 0;

	spin_lock(&meta->lock);
	wanted = meta->wanted;
	hold = meta->record_hold;
	spin_unlock(&meta->lock);
	if (!hold)
		return 0;

	/* One that was given up long ago: nothing was written for it yet. */
	if (meta->recorded != hold && bc_complete_holds(meta->job, hold)) {
		r = write_slot(meta, wanted);
		meta->recorded = hold;
	}
	/* The guest was let go without: what was written is to be disowned. */
	if (!r && READ_ONCE(meta->state) != BC_META_OK)
		return -ESTALE;
	if (r)
		return r;
	switch (bc_complete_recorded(meta->job, hold)) {
	case BC_FLIP_WAITS:
		return 1;
	case BC_FLIP_DONE:
		r = write_slot(meta, wanted);
		break;
	case BC_FLIP_NOT:
		/* The same hold may ask again; then it is not there any more. */
		meta->recorded = 0;
		r = write_super(meta, BC_OUTCOME_COPYING);
		break;
	}
	if (r)
		return r;
	spin_lock(&meta->lock);
	if (meta->record_hold == hold) {
		WRITE_ONCE(meta->record_hold, 0);
		WRITE_ONCE(meta->closed, false);
	}
	spin_unlock(&meta->lock);
	/* If it did not flip, the hold may still be on, and there is something to copy. */
	bc_copier_kick(&meta->job->copier);
	return 0;
}

/*
 * The work
 */

static void meta_work(struct work_struct *work)
{
	struct bc_meta *meta = container_of(work, struct bc_meta, work);
	int r;

	if (!io_begin(meta))
		return;
	if (READ_ONCE(meta->state) != BC_META_OK) {
		r = disown(meta);
		io_end(meta);
		if (r)
			queue_delayed_work(meta->wq, &meta->tick, TICK);
		return;
	}
	r = record(meta);
	if (!r)
		r = bc_intent_admit(meta);
	if (!r && READ_ONCE(meta->state) == BC_META_OK)
		r = bc_intent_clear(meta);
	io_end(meta);
	if (r < 0)
		bc_meta_fail(meta, "I/O error");
}

static void meta_tick(struct work_struct *work)
{
	struct bc_meta *meta = container_of(to_delayed_work(work), struct bc_meta, tick);

	meta->pass_due = true;
	bc_meta_kick(meta);
	if (READ_ONCE(meta->state) == BC_META_OK)
		queue_delayed_work(meta->wq, &meta->tick, TICK);
}

/*
 * From table to table
 */

static void new_generation(struct bc_meta *meta)
{
	le64_add_cpu(&meta->super->generation, 1);
	bc_intent_set_all(meta);
}

/*
 * Has nobody written to the device since the metadata was written? Either the job before us had it,
 * or the device was not written to since it was set up, as far as its own counters tell.
 */
static bool was_tracked(struct bc_job *job)
{
	struct gendisk *disk = dm_disk(job->md);
	int heir = bc_registry_metadata_heir(job);

	if (heir)
		return heir > 0;
	return bc_disk_counts(disk) &&
	       !part_stat_read(disk->part0, sectors[STAT_WRITE]) &&
	       !part_stat_read(disk->part0, sectors[STAT_DISCARD]);
}

/* Take over what it says. Return: NULL, or why not. */
static const char *take_up(struct bc_meta *meta)
{
	struct bc_job *job = meta->job;
	enum bc_outcome outcome, next;
	const char *why;
	long bad = 0;

	why = read_super(meta);
	if (why)
		return why;
	outcome = le32_to_cpu(meta->super->outcome);
	if (outcome == BC_OUTCOME_PIVOTED && !job->args.pivoted) {
		DMWARN("%s: metadata: the job has pivoted, the destination is the truth",
		       job->name);
		bc_job_set_pivoted(job);
		return NULL;
	}
	if (job->args.sync != BC_SYNC_BITMAP) {
		new_generation(meta);
		/* What changed since the copy was finished nobody knows. */
		if (job->args.finished)
			bc_job_dirty_all(job);
	} else if (job->args.pivoted) {
		new_generation(meta);
	} else if (!was_tracked(job)) {
		DMWARN("%s: metadata: the device was written to without it: everything is dirty",
		       job->name);
		new_generation(meta);
	} else if (outcome != BC_OUTCOME_COPYING && outcome != BC_OUTCOME_FINISHED) {
		DMWARN("%s: metadata: %s: everything is dirty", job->name,
		       outcome == BC_OUTCOME_NEW ? "new" : "nobody has tracked what was written");
		new_generation(meta);
	} else {
		bad = bc_intent_read(meta);
		if (bad < 0)
			return "cannot be read";
		if (bad)
			DMWARN("%s: metadata: %ld blocks not valid or not written yet: all dirty",
			       job->name, bad);
		bc_bitmap_load(&job->dirty, meta->on_disk);
	}
	next = job->args.pivoted ? BC_OUTCOME_PIVOTED :
	       job->args.finished ? BC_OUTCOME_FINISHED : BC_OUTCOME_COPYING;
	if (write_super(meta, next))
		return "cannot be written";
	/* Another instance may know of more, see blockcopy_resume(). */
	meta->told = job->args.sync == BC_SYNC_BITMAP || !bc_registry_has_older(job);
	return NULL;
}

void bc_meta_activate(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;
	const char *why;

	if (meta->state != BC_META_OFF)
		return;
	if (bc_registry_metadata_busy(job))
		why = "an older job still writes to it";
	else
		why = take_up(meta);
	if (why) {
		/* All of it was dirty from the beginning, unless the legs are equal. */
		bc_meta_fail(meta, why);
		return;
	}
	memcpy(meta->gate, meta->on_disk, meta->nr_words * sizeof(long));
	spin_lock(&meta->lock);
	WRITE_ONCE(meta->state, BC_META_OK);
	WRITE_ONCE(meta->open, true);
	spin_unlock(&meta->lock);
}

void bc_meta_start(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;

	WRITE_ONCE(meta->stopped, false);
	queue_delayed_work(meta->wq, &meta->tick, TICK);
	bc_meta_kick(meta);
}

void bc_meta_stop(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;
	long left;

	/* The guest waits. One that a group has given up is still to be taken back. */
	left = wait_event_timeout(meta->quiet, !READ_ONCE(meta->record_hold), PATIENCE);
	if (!left)
		bc_meta_fail(meta, "does not answer");
	WRITE_ONCE(meta->stopped, true);
	smp_mb();	/* pairs with io_begin(): one of us sees the other */
	/* Pairs with io_end(). */
	if (!wait_event_timeout(meta->quiet, !smp_load_acquire(&meta->busy), left))
		bc_meta_fail(meta, "does not answer");
	cancel_delayed_work_sync(&meta->tick);
}

bool bc_meta_is_quiet(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;

	/* Pairs with io_end(). */
	return !meta || (!smp_load_acquire(&meta->busy) && !atomic_read(&meta->flushes));
}

int bc_meta_init(struct bc_job *job, const char *path)
{
	struct dm_target *ti = job->ti;
	struct bc_meta *meta;
	unsigned int i;
	int r;

	meta = kvzalloc(sizeof(*meta), GFP_KERNEL);
	if (!meta)
		return -ENOMEM;
	job->meta = meta;
	meta->job = job;
	meta->stopped = true;
	init_waitqueue_head(&meta->quiet);
	spin_lock_init(&meta->lock);
	bio_list_init(&meta->waiting);
	bio_list_init(&meta->batch);
	init_completion(&meta->written);
	INIT_WORK(&meta->work, meta_work);
	INIT_DELAYED_WORK(&meta->tick, meta_tick);
	INIT_DELAYED_WORK(&meta->timer, wait_timer);
	meta->super = kzalloc(BC_FORMAT_BLOCK_SIZE, GFP_KERNEL);
	meta->bios = kcalloc(BC_META_SLOTS, sizeof(*meta->bios), GFP_KERNEL);
	meta->flush_bios = kcalloc(2, sizeof(*meta->flush_bios), GFP_KERNEL);
	if (!meta->super || !meta->bios || !meta->flush_bios)
		return -ENOMEM;
	for (i = 0; i < BC_META_SLOTS; i++) {
		meta->pages[i] = alloc_page(GFP_KERNEL);
		if (!meta->pages[i])
			return -ENOMEM;
	}
	r = bc_intent_init(meta, job->dirty.nbits);
	if (r)
		return r;
	meta->wq = alloc_ordered_workqueue("bc_meta_%s", WQ_MEM_RECLAIM | WQ_HIGHPRI, job->name);
	if (!meta->wq)
		return -ENOMEM;

	r = dm_get_device(ti, path, BLK_OPEN_READ | BLK_OPEN_WRITE, &meta->dev);
	if (r) {
		ti->error = "Cannot open metadata device (missing, or in use)";
		return r;
	}
	meta->bdev = meta->dev->bdev;
	meta->file = bdev_file_open_by_dev(meta->bdev->bd_dev, BLK_OPEN_READ, NULL, NULL);
	if (IS_ERR(meta->file)) {
		ti->error = "Cannot open metadata device once more";
		r = PTR_ERR(meta->file);
		meta->file = NULL;
		return r;
	}
	return 0;
}

void bc_meta_close(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;

	if (meta && job->ti && meta->dev)
		dm_put_device(job->ti, meta->dev);
	if (meta)
		meta->dev = NULL;
}

void bc_meta_exit(struct bc_job *job)
{
	struct bc_meta *meta = job->meta;
	unsigned int i;

	if (!meta)
		return;
	WRITE_ONCE(meta->stopped, true);
	wait_event(meta->quiet, bc_meta_is_quiet(job));
	/*
	 * Those who had one are gone; the last word may still be on its way. Pairs with
	 * epoch_drained().
	 */
	wait_event(meta->quiet, meta->phase != BC_CLEAR_DRAIN || smp_load_acquire(&meta->drained));
	synchronize_rcu();	/* epoch_drained(), flush_end() */
	cancel_delayed_work_sync(&meta->timer);
	cancel_work_sync(&meta->work);	/* before what it arms */
	cancel_delayed_work_sync(&meta->tick);
	if (meta->wq) {
		cancel_work_sync(&meta->send);
		cancel_work_sync(&meta->flush);
		destroy_workqueue(meta->wq);
	}
	bc_intent_exit(meta);
	for (i = 0; i < BC_META_SLOTS; i++)
		if (meta->pages[i])
			__free_page(meta->pages[i]);
	kfree(meta->bios);
	kfree(meta->flush_bios);
	kfree(meta->super);
	bc_meta_close(job);
	if (meta->file)
		bdev_fput(meta->file);
	kvfree(meta);
	job->meta = NULL;
}

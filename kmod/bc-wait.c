// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest writes that wait: for their turn in the tree of ranges, or for the destination; and how
 * long. See bc-mirror.h.
 */
#include <linux/jiffies.h>

#include "bc-mirrored.h"

/*
 * For their turn
 */

static unsigned long write_timeout(struct bc_job *job)
{
	return msecs_to_jiffies(READ_ONCE(job->args.write_timeout));
}

bool bc_mirror_may_wait(struct bc_job *job, const struct bc_io *io)
{
	return time_before(jiffies, io->since + write_timeout(job));
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
void bc_mirror_arm_timer(struct bc_job *job, unsigned long since)
{
	unsigned long timeout = write_timeout(job), age = jiffies - since;

	arm_timer(job, timeout - min(age, timeout));
}

/* Context: m->lock held. */
static void wait(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));

	bio_list_add(&job->mirrors.waiting, bio);
	bc_mirror_arm_timer(job, io->since);
}

/*
 * Decide about @bio, and enter it if it may go. With BC_WAY_MIRROR it needs a @mirror for that.
 *
 * Context: m->lock held.
 */
static enum bc_way enter(struct bc_job *job, struct bio *bio, bool nowait, struct bc_mirror *mirror)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	enum bc_way way = bc_mirror_choose(job, bio);

	if (way == BC_WAY_WAIT && !nowait) {
		wait(job, bio);
	} else if (way == BC_WAY_SOURCE || (way == BC_WAY_MIRROR && mirror)) {
		bc_range_enter(&job->mirrors.ranges, &io->range,
			       way == BC_WAY_MIRROR ? BC_RANGE_MIRROR : BC_RANGE_SOURCE, io->start,
			       io->start + io->sectors);
		if (way == BC_WAY_MIRROR)
			bc_mirror_replace_copies(mirror, job, io);
		/* One that is mirrored marks nothing when it ends. */
		bc_verify_touch(job, io->start >> job->region_shift,
				(io->start + io->sectors - 1) >> job->region_shift);
	}
	return way;
}

int bc_mirror_map(struct bc_job *job, struct bio *bio)
{
	struct bc_io *io = dm_per_bio_data(bio, sizeof(*io));
	unsigned int bytes = bio_op(bio) == REQ_OP_WRITE ? bio->bi_iter.bi_size : 0;
	bool nowait = bio->bi_opf & REQ_NOWAIT;	/* one that waits may be gone any moment */
	struct bc_mirrors *m = &job->mirrors;
	struct bc_mirror *mirror = NULL, *unused;
	enum bc_way way;

	io->marks = false;
	io->tracked = false;
	spin_lock_irq(&m->lock);
	way = enter(job, bio, nowait, NULL);
	spin_unlock_irq(&m->lock);

	/* Memory before the range: one that has to wait for memory keeps nobody out meanwhile. */
	while (way == BC_WAY_MIRROR && !mirror) {
		mirror = bc_mirror_get(m, bytes);
		spin_lock_irq(&m->lock);
		unused = mirror;
		if (mirror) {
			way = enter(job, bio, nowait, mirror);
			unused = way == BC_WAY_MIRROR ? NULL : bc_mirror_put(m, mirror, bytes);
		} else if (m->reserve_used) {
			/* Who has the reserve wakes us. */
			way = BC_WAY_WAIT;
			if (!nowait)
				wait(job, bio);
		}
		spin_unlock_irq(&m->lock);
		if (unused)
			bc_mirror_free(unused);
	}

	switch (way) {
	case BC_WAY_MIRROR:
		bc_mirror_start(mirror, job, bio);
		break;
	case BC_WAY_SOURCE:
		io->marks = true;
		io->tracked = true;
		return DM_MAPIO_REMAPPED;
	case BC_WAY_WAIT:
		if (nowait)
			bio_wouldblock_error(bio);
		break;
	}
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
	struct bc_job *job = bc_mirrors_job(m);
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

/* Into regions, outwards. */
static u64 round_down_region(struct bc_job *job, u64 sector)
{
	return sector >> job->region_shift << job->region_shift;
}

static u64 round_up_region(struct bc_job *job, u64 sector)
{
	return round_down_region(job, sector + job->args.region_sectors - 1);
}

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
		bc_mirror_mark(mirror, true);	/* I1: before the guest is acknowledged */
		bc_mirror_replaced(mirror);
		bc_range_leave(&m->ranges, &io->range);
		bc_range_enter(&m->ranges, &mirror->range, BC_RANGE_LATE,
			       round_down_region(job, mirror->start),
			       round_up_region(job, mirror->start + mirror->sectors));
		bc_mirror_left(m);
	}
	return mirror->ended & BIT(BC_SOURCE) ? bc_mirror_take_guest(mirror) : NULL;
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
		if (mirror->late || (mirror->ended & BIT(BC_DESTINATION)))
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

void bc_wait_init(struct bc_mirrors *m)
{
	bio_list_init(&m->waiting);
	INIT_WORK(&m->retry, retry_work);
	INIT_DELAYED_WORK(&m->timer, timer_work);
}

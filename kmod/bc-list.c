// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages "dirty" and "listed": userspace says where the legs differ.
 *
 * A job of sync ranges has nothing dirty when it goes live, and is "listing": whoever made it looks
 * at what the legs are made of, which takes its time, and marks. What the guest writes meanwhile is
 * tracked as ever. So what is looked at has to be no older than the moment in which the target went
 * live, and there is no message that takes a mark back: it would take the guest's, too.
 *
 * Until "listed" comes nobody knows what is equal (I11): there is no READY, the table line says
 * sync full, and all intents stay. If it never comes, that is all that happens (I8).
 */
#include "bc-job.h"

/* Regions that are marked under the lock at a time. */
#define SLICE		BIT(20)

/* For the metadata to have it, before the message fails. */
#define PATIENCE	(5 * HZ)

/* I6: where nothing is to become dirty, the legs differ for good, or must not. */
static bool may_mark(struct bc_job *job)
{
	enum bc_state state = READ_ONCE(job->state);

	lockdep_assert_held(&job->lock);
	return state == BC_COPYING || state == BC_READY || state == BC_FAILED;
}

/* Return: 0, 1 if the intents are still to be noted, or -EBUSY. */
static int mark(struct bc_job *job, unsigned long first, unsigned long last)
{
	bool possible, listing = READ_ONCE(job->listing);

	/* A list is about the source. Later it is somebody who has looked at the destination. */
	if (!listing)
		bc_zero_forget(job, (sector_t)first << job->region_shift,
			       (sector_t)(last - first + 1) << job->region_shift);
	mutex_lock(&job->lock);
	listing = job->listing;
	possible = may_mark(job);
	if (possible) {
		bc_job_mark(job, first, last, true);
		bc_verify_touch(job, first, last);
		bc_holes_spoil(job, first, last);
	}
	mutex_unlock(&job->lock);
	cond_resched();
	return possible ? !listing : -EBUSY;
}

/*
 * I9: as any mark that no guest write has made. A suspend would wait for us, and the guest for it:
 * it ends the wait, and the mark is noted later. Return: 0 or -ETIMEDOUT.
 */
static int intend(struct bc_job *job, unsigned long first, unsigned long last)
{
	if (!job->meta)
		return 0;
	bc_intent_ask(job, first, last);
	wait_event_timeout(job->meta->quiet,
			   !bc_intent_asked(job) || READ_ONCE(job->copier.stopped), PATIENCE);
	return bc_intent_asked(job) ? -ETIMEDOUT : 0;
}

static int dirty(struct bc_job *job, sector_t start, sector_t len)
{
	unsigned long first = start >> job->region_shift, end;
	unsigned long last = (start + len - 1) >> job->region_shift;
	bool unnoted = false;
	unsigned long from;
	int r;

	for (from = first; from <= last; from = end + 1) {
		end = min(last, from + SLICE - 1);
		r = mark(job, from, end);
		if (r < 0)
			return r;
		unnoted |= r;
	}
	return unnoted ? intend(job, first, last) : 0;
}

static int parse(struct bc_job *job, char **argv, sector_t *ret_start, sector_t *ret_len)
{
	u64 start, len;

	if (kstrtou64(argv[0], 10, &start) || kstrtou64(argv[1], 10, &len) || !len ||
	    start >= job->len || len > job->len - start) {
		DMWARN("%s: dirty %s %s: need a part of %llu sectors", job->name, argv[0], argv[1],
		       (unsigned long long)job->len);
		return -EINVAL;
	}
	*ret_start = start;
	*ret_len = len;
	return 0;
}

int bc_list_dirty(struct bc_job *job, unsigned int argc, char **argv)
{
	sector_t start, len;
	unsigned int i;
	int r = 0;

	if (argc == 1 && !strcmp(argv[0], "all")) {
		r = dirty(job, 0, job->len);
	} else if (!argc || argc % 2) {
		DMWARN("%s: dirty: need <start> <len>, or all", job->name);
		return -EINVAL;
	}
	for (i = 0; !r && i + 1 < argc; i += 2) {
		r = parse(job, argv + i, &start, &len);
		if (!r)
			r = dirty(job, start, len);
	}
	bc_copier_kick(&job->copier);
	return r;
}

int bc_list_end(struct bc_job *job)
{
	int r = -EBUSY;

	mutex_lock(&job->lock);
	if (job->listing) {
		DMINFO("%s: listed, %llu of %llu regions are dirty", job->name,
		       (unsigned long long)bc_bitmap_count(&job->dirty),
		       (unsigned long long)job->dirty.nbits);
		/* After all marks. Pairs with settle(). */
		smp_store_release(&job->listing, false);
		bc_job_tell(job);
		r = 0;
	}
	mutex_unlock(&job->lock);
	if (!r)
		bc_copier_kick(&job->copier);
	return r;
}

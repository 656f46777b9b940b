// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages "verify": how one begins, and what it tells.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "bc-verifying.h"

struct request {
	bool repair;
	u64 bandwidth;
	u64 start;
	u64 len;
};

/* [repair] [bandwidth <bytes/s>] [<start> <len>] */
static int parse(struct bc_job *job, unsigned int argc, char **argv, struct request *ret)
{
	unsigned int block;
	u64 end;

	*ret = (struct request) { .len = job->len };
	if (argc && !strcmp(argv[0], "repair")) {
		ret->repair = true;
		argc--;
		argv++;
	}
	if (argc >= 2 && !strcmp(argv[0], "bandwidth")) {
		if (kstrtou64(argv[1], 10, &ret->bandwidth))
			return -EINVAL;
		argc -= 2;
		argv += 2;
	}
	if (argc != 0 && argc != 2)
		return -EINVAL;
	if (argc && (kstrtou64(argv[0], 10, &ret->start) || kstrtou64(argv[1], 10, &ret->len)))
		return -EINVAL;
	if (!ret->len || ret->start >= job->len || ret->len > job->len - ret->start)
		return -EINVAL;
	/* No device reads less. */
	block = bc_job_block(job);
	end = min_t(u64, round_up(ret->start + ret->len, block), job->len);
	ret->start = round_down(ret->start, block);
	ret->len = end - ret->start;
	return 0;
}

static unsigned int unit_shift(struct bc_job *job)
{
	return min_t(unsigned int, job->region_shift, ilog2(BC_PIECE_SECTORS));
}

static int allocate(struct bc_job *job, const struct request *req,
		    struct bc_verify_memory *memory)
{
	unsigned int noio, shift = unit_shift(job);
	int r;

	*memory = (struct bc_verify_memory) {};
	/* What is swapped out for it may go to this device. */
	noio = memalloc_noio_save();
	r = bc_bitmap_init(&memory->todo, ((job->len - 1) >> shift) + 1, false);
	if (!r)
		r = bc_pool_init(&memory->pools[0]);
	if (!r)
		r = bc_pool_init(&memory->pools[1]);
	if (!r) {
		memory->ranges = kvcalloc(BC_VERIFY_RANGES, sizeof(*memory->ranges), GFP_KERNEL);
		r = memory->ranges ? 0 : -ENOMEM;
	}
	memalloc_noio_restore(noio);
	if (r)
		bc_verify_free(memory);
	else
		bc_bitmap_mark(&memory->todo, req->start >> shift,
			       (req->start + req->len - 1) >> shift);
	return r;
}

/* None is running. */
static void set_up(struct bc_verify *v, const struct request *req,
		   struct bc_verify_memory *memory)
{
	struct bc_job *job = bc_verify_job(v);
	u64 now = ktime_get_ns();

	swap(v->memory, *memory);
	v->unit_shift = unit_shift(job);
	v->from = req->start;
	v->to = req->start + req->len;
	v->repair = req->repair;
	v->step = BC_VERIFY_CHOOSE;
	v->cursor = 0;
	v->careful_to = 0;
	v->round = 0;
	v->barren = 0;
	v->settled = false;
	v->copied_bytes = READ_ONCE(job->copier.copied_bytes);
	bc_throttle_init(&v->shared, job->args.bandwidth, now);
	bc_throttle_init(&v->own, req->bandwidth, now);
	v->nr_ranges = 0;
	WRITE_ONCE(v->found, 0);
	WRITE_ONCE(v->differing_bytes, 0);
	WRITE_ONCE(v->compared_bytes, 0);
	WRITE_ONCE(v->unread_bytes, 0);
	WRITE_ONCE(v->total_bytes, req->len << SECTOR_SHIFT);
	WRITE_ONCE(v->stop, false);
}

/* Context: job->lock held. Return: NULL if it may begin, or why not. */
static const char *refusal(struct bc_job *job)
{
	if (job->verify.state == BC_VERIFY_RUNNING)
		return "one is running";
	if (READ_ONCE(job->copier.stopped))
		return "job is suspended";
	if (!bc_verify_possible(job))
		return "job is neither copying nor ready";
	if (READ_ONCE(job->listing))
		return "not all that differs is listed";
	return NULL;
}

int bc_verify_begin(struct bc_job *job, unsigned int argc, char **argv)
{
	struct bc_verify *v = &job->verify;
	struct bc_verify_memory memory;
	struct request req;
	const char *why;
	int r;

	r = parse(job, argc, argv, &req);
	if (r) {
		DMWARN("%s: verify: need [repair] [bandwidth <bytes/s>] [<start> <len>]",
		       job->name);
		return r;
	}
	/* Without the lock, which writes may wait for. */
	r = allocate(job, &req, &memory);
	if (r)
		return r;
	mutex_lock(&job->lock);
	why = refusal(job);
	if (!why) {
		set_up(v, &req, &memory);
		/* Pairs with verify_work(). */
		smp_store_release(&v->state, BC_VERIFY_RUNNING);
		bc_verify_kick(job);
	}
	mutex_unlock(&job->lock);

	/* That of the last one, of which the list is left; or it was in vain. */
	bc_verify_free(&memory);
	kvfree(memory.ranges);
	if (why)
		DMWARN("%s: cannot verify: %s", job->name, why);
	return why ? -EBUSY : 0;
}

int bc_verify_stop(struct bc_job *job)
{
	struct bc_verify *v = &job->verify;
	int r = -EBUSY;

	mutex_lock(&job->lock);
	if (v->state == BC_VERIFY_RUNNING) {
		WRITE_ONCE(v->stop, true);
		bc_verify_kick(job);
		r = 0;
	}
	mutex_unlock(&job->lock);
	return r;
}

void bc_verify_list(struct bc_job *job, char *result, unsigned int maxlen)
{
	struct bc_verify *v = &job->verify;
	unsigned int i, sz = 0;

	if (maxlen)
		*result = '\0';
	mutex_lock(&job->lock);
	for (i = 0; i < v->nr_ranges; i++)
		DMEMIT("%s%llu %llu", i ? "\n" : "", v->memory.ranges[i].start,
		       v->memory.ranges[i].sectors);
	mutex_unlock(&job->lock);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of write-blocking mode share: bc-mirror.c, bc-enter.c and bc-wait.c.
 */
#ifndef BC_MIRRORED_H
#define BC_MIRRORED_H

#include "bc-job.h"

/* Private copies are in at most so many chunks, whose order depends on the size. */
#define BC_MIRROR_VECS		16

enum bc_leg_of { BC_SOURCE, BC_DESTINATION };

#define BC_BOTH_LEGS	(BIT(BC_SOURCE) | BIT(BC_DESTINATION))

struct bc_mirror {
	struct list_head young;		/* bc_mirrors.young */
	struct list_head to_send;	/* bc_mirrors.to_send */
	struct bc_job *job;
	struct bio *guest;		/* NULL when acknowledged */
	struct bc_range range;		/* when late; before, the guest's bc_io has it */
	sector_t start;
	unsigned int sectors;		/* 0 for a flush */
	unsigned int ended;		/* mask of legs */
	bool late;
	bool replaces;			/* copies, see bc_mirrors.replacing */
	blk_status_t source_status;
	unsigned long since;		/* jiffies */
	u64 sent_ns;
	unsigned int bytes;		/* of the private copy */
	unsigned int order;		/* of a chunk */
	unsigned int nr_chunks;
	struct bio *source_bio;		/* both are in the memory behind this */
	struct bio *destination_bio;
	struct bio_vec vecs[BC_MIRROR_VECS];	/* shared by both bios */
	struct page *chunks[BC_MIRROR_VECS];
};

static inline struct bc_job *bc_mirrors_job(struct bc_mirrors *m)
{
	return container_of(m, struct bc_job, mirrors);
}

static inline void bc_mirror_mark(struct bc_mirror *mirror, bool acknowledged)
{
	bc_io_mark(mirror->job, mirror->start, mirror->sectors, acknowledged);
}

/* bc-mirror.c */

/*
 * I10: memory for a mirrored write, from the reserve if nobody else has any. Return: NULL if that
 * is in use.
 */
struct bc_mirror *bc_mirror_get(struct bc_mirrors *m, unsigned int bytes);

/*
 * Give it back; what is returned is for bc_mirror_free(), without the lock. Context: m->lock held.
 */
struct bc_mirror *bc_mirror_put(struct bc_mirrors *m, struct bc_mirror *mirror,
				unsigned int bytes);
void bc_mirror_free(struct bc_mirror *mirror);

/* Send a write to both legs; it has been entered. */
void bc_mirror_start(struct bc_mirror *mirror, struct bc_job *job, struct bio *guest);

/*
 * Take the guest's bio off, to be acknowledged by the caller without the lock; all marks are made.
 * Context: m->lock held.
 */
struct bio *bc_mirror_take_guest(struct bc_mirror *mirror);

/* bc-enter.c */

enum bc_way { BC_WAY_WAIT, BC_WAY_SOURCE, BC_WAY_MIRROR };

/* Which way does @bio go? Context: m->lock held. */
enum bc_way bc_mirror_choose(struct bc_job *job, struct bio *bio);

/*
 * I2: a mirrored write that has entered takes the place of copies, see bc-mirror.h. Before either
 * leg is sent. Context: m->lock held.
 */
void bc_mirror_replace_copies(struct bc_mirror *mirror, struct bc_job *job, const struct bc_io *io);

/* It has ended, or what it covers is marked. Context: m->lock held. */
void bc_mirror_replaced(struct bc_mirror *mirror);

/* Something left the tree: wake those who may wait for it. Context: m->lock held. */
void bc_mirror_left(struct bc_mirrors *m);

/* bc-wait.c */
void bc_wait_init(struct bc_mirrors *m);

/* Look after a write that has begun to wait then. */
void bc_mirror_arm_timer(struct bc_job *job, unsigned long since);

#endif /* BC_MIRRORED_H */

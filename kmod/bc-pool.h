/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers for what is between the legs: equal chunks, recycled last in, first out so that they stay
 * in cache. Nothing here locks: a pool is one work's.
 */
#ifndef BC_POOL_H
#define BC_POOL_H

#include <linux/bio.h>
#include <linux/mm_types.h>
#include <linux/types.h>

struct bc_pool {
	struct page *free;		/* stack, linked through page_private() */
	unsigned int nr_free;
	unsigned int nr_total;
	unsigned int order;		/* of one chunk */
};

/* One full piece (BC_PIECE_BYTES) is there from the beginning. Context: process (GFP_KERNEL). */
int bc_pool_init(struct bc_pool *pool);

/* All chunks are back. Harmless on one that is zeroed. */
void bc_pool_exit(struct bc_pool *pool);

/*
 * Take chunks for @bytes off the pool, let it grow to at most @limit bytes for them.
 *
 * Context: the work that has the pool, GFP_NOIO. Return: a stack of chunks, or NULL if others must
 * come back first.
 */
struct page *bc_pool_get(struct bc_pool *pool, unsigned int bytes, u64 limit);

/* Give a stack of chunks back; those above @limit are freed. */
void bc_pool_put(struct bc_pool *pool, struct page *chunks, u64 limit);

/*
 * Add @bytes from @offset on of what bc_pool_get() gave to @bio, which has the room.
 *
 * Context: any.
 */
void bc_pool_add(const struct bc_pool *pool, struct page *chunk, unsigned int offset,
		 unsigned int bytes, struct bio *bio);

/* So many of its chunks are @bytes. */
static inline unsigned int bc_pool_chunks(const struct bc_pool *pool, unsigned int bytes)
{
	return DIV_ROUND_UP(bytes, PAGE_SIZE << pool->order);
}

static inline struct page *bc_chunk_next(struct page *chunk)
{
	return (struct page *)page_private(chunk);
}

#endif /* BC_POOL_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copier's buffers.
 *
 * A piece of up to 1 MiB takes as many chunks as it needs. Chunks are 64 KiB where memory allows,
 * so that a piece is few segments, and single pages where it does not. One full piece is kept at
 * all times: the copier always gets on, whatever the memory pressure. The rest is allocated when
 * first needed and stays.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "bc-job.h"

#define CHUNK_ORDER	(16 - PAGE_SHIFT)

static unsigned int chunk_bytes(const struct bc_pool *pool)
{
	return PAGE_SIZE << pool->order;
}

static void push(struct page **stack, struct page *chunk)
{
	set_page_private(chunk, (unsigned long)*stack);
	*stack = chunk;
}

static struct page *pop(struct page **stack)
{
	struct page *chunk = *stack;

	*stack = bc_chunk_next(chunk);
	return chunk;
}

static bool grow(struct bc_pool *pool, gfp_t gfp)
{
	struct page *chunk = alloc_pages(gfp | __GFP_NOWARN | __GFP_COMP, pool->order);

	if (!chunk)
		return false;
	push(&pool->free, chunk);
	pool->nr_free++;
	pool->nr_total++;
	return true;
}

static void shrink(struct bc_pool *pool)
{
	struct page *chunk = pop(&pool->free);

	set_page_private(chunk, 0);
	__free_pages(chunk, pool->order);
	pool->nr_free--;
	pool->nr_total--;
}

void bc_pool_exit(struct bc_pool *pool)
{
	WARN_ON_ONCE(pool->nr_free != pool->nr_total);
	while (pool->nr_free)
		shrink(pool);
}

static bool fill(struct bc_pool *pool, unsigned int order, gfp_t gfp)
{
	pool->order = order;
	while (pool->nr_total * chunk_bytes(pool) < BC_PIECE_BYTES) {
		if (!grow(pool, gfp)) {
			bc_pool_exit(pool);
			return false;
		}
	}
	return true;
}

int bc_pool_init(struct bc_pool *pool)
{
	if (!fill(pool, CHUNK_ORDER, GFP_KERNEL | __GFP_NORETRY) && !fill(pool, 0, GFP_KERNEL))
		return -ENOMEM;
	return 0;
}

struct page *bc_pool_get(struct bc_pool *pool, unsigned int bytes, u64 limit)
{
	unsigned int need = DIV_ROUND_UP(bytes, chunk_bytes(pool));
	struct page *chunks = NULL;

	while (pool->nr_free < need) {
		if ((u64)(pool->nr_total + 1) * chunk_bytes(pool) > limit)
			return NULL;
		if (!grow(pool, GFP_NOIO | __GFP_NORETRY))
			return NULL;
	}
	pool->nr_free -= need;
	while (need--)
		push(&chunks, pop(&pool->free));
	return chunks;
}

void bc_pool_put(struct bc_pool *pool, struct page *chunks, u64 limit)
{
	while (chunks) {
		push(&pool->free, pop(&chunks));
		pool->nr_free++;
		if ((u64)pool->nr_total * chunk_bytes(pool) > limit)
			shrink(pool);
	}
}

void bc_pool_add(const struct bc_pool *pool, struct page *chunk, unsigned int offset,
		 unsigned int bytes, struct bio *bio)
{
	unsigned int n;

	for (; offset >= chunk_bytes(pool); offset -= chunk_bytes(pool))
		chunk = bc_chunk_next(chunk);
	for (; bytes; bytes -= n, chunk = bc_chunk_next(chunk)) {
		n = min(bytes, chunk_bytes(pool) - offset);
		__bio_add_page(bio, chunk, n, offset);
		offset = 0;
	}
}

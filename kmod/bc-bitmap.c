// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty bitmap. See bc-bitmap.h for what it promises; here is how.
 *
 * Bits are set and cleared by atomic operations that return the old value, each a full barrier on
 * both sides: a word at a time, as one discard may cover a million regions, in a hard interrupt.
 * The count follows from what they return. It is raised before the bits of a group are set and
 * lowered after they were cleared, so it is never too low.
 *
 * Words are read with READ_ONCE() by helpers of our own: find_next_bit() reads with plain loads,
 * which are not meant for a bitmap that changes under them.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "bc-bitmap.h"

static_assert(BC_SUMMARY_BITS % BITS_PER_LONG == 0);

/* The bits of the word of @first that lie in @first to @last, @last in the same word or later. */
static unsigned long mask_from(unsigned long first, unsigned long last)
{
	unsigned long mask = BITMAP_FIRST_WORD_MASK(first);

	if (first / BITS_PER_LONG == last / BITS_PER_LONG)
		mask &= BITMAP_LAST_WORD_MASK(last + 1);
	return mask;
}

/* The last region of the word, or of the group, that @r is in, but no more than @last. */
static unsigned long word_end(unsigned long r, unsigned long last)
{
	return min(r | (BITS_PER_LONG - 1), last);
}

static unsigned long group_end(unsigned long r, unsigned long last)
{
	return min(r | (BC_SUMMARY_BITS - 1), last);
}

/* The first set bit from @first to @last. */
static bool first_set(const unsigned long *words, unsigned long first, unsigned long last,
		      unsigned long *ret)
{
	for (;;) {
		unsigned long end = word_end(first, last);
		unsigned long set = READ_ONCE(words[BIT_WORD(first)]) & mask_from(first, last);

		if (set) {
			*ret = BIT_WORD(first) * BITS_PER_LONG + __ffs(set);
			return true;
		}
		if (end == last)
			return false;
		first = end + 1;
	}
}

static bool all_set(const unsigned long *words, unsigned long first, unsigned long last)
{
	for (;;) {
		unsigned long end = word_end(first, last);

		if (~READ_ONCE(words[BIT_WORD(first)]) & mask_from(first, last))
			return false;
		if (end == last)
			return true;
		first = end + 1;
	}
}

/* Not bitmap_fill(), which counts in unsigned int and may set bits past the end. */
static void fill(unsigned long *words, unsigned long nbits)
{
	memset(words, 0xff, BITS_TO_LONGS(nbits) * sizeof(*words));
	words[BIT_WORD(nbits - 1)] = BITMAP_LAST_WORD_MASK(nbits);
}

int bc_bitmap_init(struct bc_bitmap *b, unsigned long nbits, bool set)
{
	unsigned long groups = DIV_ROUND_UP(nbits, BC_SUMMARY_BITS);

	memset(b, 0, sizeof(*b));
	if (!nbits)
		return -EINVAL;
	if (nbits > BC_BITMAP_MAX_BITS)
		return -EFBIG;

	b->words = kvcalloc(BITS_TO_LONGS(nbits), sizeof(*b->words), GFP_KERNEL);
	if (!b->words)
		return -ENOMEM;
	b->summary = kvcalloc(BITS_TO_LONGS(groups), sizeof(*b->summary), GFP_KERNEL);
	if (!b->summary) {
		kvfree(b->words);
		b->words = NULL;
		return -ENOMEM;
	}

	b->nbits = nbits;
	atomic64_set(&b->nr_set, 0);
	if (set) {
		fill(b->words, nbits);
		fill(b->summary, groups);
		atomic64_set(&b->nr_set, nbits);
	}
	return 0;
}

void bc_bitmap_load(struct bc_bitmap *b, const unsigned long *words)
{
	unsigned long w, nr_words = BITS_TO_LONGS(b->nbits);
	u64 n = 0;

	memset(b->summary, 0, BITS_TO_LONGS(DIV_ROUND_UP(b->nbits, BC_SUMMARY_BITS)) *
	       sizeof(*b->summary));
	for (w = 0; w < nr_words; w++) {
		unsigned long word = words[w], group = w * BITS_PER_LONG / BC_SUMMARY_BITS;

		if (w == nr_words - 1)
			word &= BITMAP_LAST_WORD_MASK(b->nbits);
		b->words[w] = word;
		n += hweight_long(word);
		if (word)
			b->summary[BIT_WORD(group)] |= BIT(group % BITS_PER_LONG);
	}
	atomic64_set(&b->nr_set, n);
}

void bc_bitmap_exit(struct bc_bitmap *b)
{
	kvfree(b->summary);
	kvfree(b->words);
	memset(b, 0, sizeof(*b));
}

/* Mark within one group, after the barrier of bc_bitmap_mark(). */
static unsigned long mark_group(struct bc_bitmap *b, unsigned long first, unsigned long last)
{
	unsigned long group = first / BC_SUMMARY_BITS;
	unsigned long asked = last - first + 1, n = 0;

	if (all_set(b->words, first, last))
		return 0;

	/* Before the bits can be seen; the operations below are full barriers. */
	atomic64_add(asked, &b->nr_set);
	for (;;) {
		atomic_long_t *word = (atomic_long_t *)&b->words[BIT_WORD(first)];
		unsigned long end = word_end(first, last);
		unsigned long mask = mask_from(first, last);

		n += hweight_long(mask & ~atomic_long_fetch_or(mask, word));
		if (end == last)
			break;
		first = end + 1;
	}
	if (n != asked)
		atomic64_sub(asked - n, &b->nr_set);
	if (!n)
		return 0;

	/*
	 * The summary, by a pair of "write mine, full barrier, read yours":
	 *
	 *	mark_group()			clear_group()
	 *	M1 set bits of the group	C1 clear the group's summary bit
	 *	   (full barrier)		   smp_mb__after_atomic()
	 *	M2 read the summary bit		C2 read the bits of the group
	 *	M3 if it is clear, set it	C3 if one is set, set the summary bit
	 *
	 * Not both can miss the other: if M2 comes before C1 and sees the bit that C1 is about to
	 * clear, C2 comes after M1 and C3 puts it back; else M2 sees it cleared, and M3 does. With
	 * several that clear it is so between each of them and the marker.
	 */
	if (!test_bit(group, b->summary))
		set_bit(group, b->summary);
	return n;
}

unsigned long bc_bitmap_mark(struct bc_bitmap *b, unsigned long first, unsigned long last)
{
	unsigned long n = 0;

	/* Nothing to mark beats a stray write into somebody else's memory. */
	if (WARN_ON_ONCE(first > last || last >= b->nbits))
		return 0;

	/*
	 * all_set() tests before anything is set, which needs this:
	 *
	 *	marker				copier, bc_bitmap_clear()
	 *	M1 data is on the source	C1 fetch_andnot: clear the bit
	 *	   smp_mb()			   (full barrier)
	 *	M2 test the bit			C2 read the source
	 *	M3 if it is clear, set it
	 *
	 * If M2 finds the bit set, C1 is yet to come and C2 reads the new data. If it finds it
	 * clear, M3 makes the region dirty again. Without the barrier, M2 may be done before M1 is
	 * visible, with C1 and C2 in between: a lost write. Pairs with atomic_long_fetch_andnot()
	 * in clear_group().
	 */
	smp_mb();

	for (;;) {
		unsigned long end = group_end(first, last);

		n += mark_group(b, first, end);
		if (end == last)
			break;
		first = end + 1;
	}

	/* The caller may look now whether the copier sleeps; pairs with the copier's barrier. */
	if (n)
		smp_mb__after_atomic();	/* orders the set_bit() in the summary, too */
	return n;
}

static unsigned long clear_group(struct bc_bitmap *b, unsigned long first, unsigned long last)
{
	unsigned long group = first / BC_SUMMARY_BITS;
	unsigned long group_first = group * BC_SUMMARY_BITS;
	unsigned long group_last = group_end(first, b->nbits - 1);
	unsigned long n = 0, any;

	for (;;) {
		atomic_long_t *word = (atomic_long_t *)&b->words[BIT_WORD(first)];
		unsigned long end = word_end(first, last);
		unsigned long mask = mask_from(first, last);

		/* A bit that is set right now may stay: it just has not been cleared. */
		if (READ_ONCE(b->words[BIT_WORD(first)]) & mask) {
			/* A full barrier, pairs with smp_mb() in bc_bitmap_mark(). */
			n += hweight_long(mask & atomic_long_fetch_andnot(mask, word));
		}
		if (end == last)
			break;
		first = end + 1;
	}
	if (!n)
		return 0;

	/* After the bits are gone, which fetch_andnot has seen to. */
	atomic64_sub(n, &b->nr_set);

	if (first_set(b->words, group_first, group_last, &any))
		return n;

	clear_bit(group, b->summary);
	smp_mb__after_atomic();	/* pairs with atomic_long_fetch_or() in mark_group(), see there */
	if (first_set(b->words, group_first, group_last, &any))
		set_bit(group, b->summary);
	return n;
}

unsigned long bc_bitmap_clear(struct bc_bitmap *b, unsigned long first, unsigned long last)
{
	unsigned long n = 0;

	if (WARN_ON_ONCE(first > last || last >= b->nbits))
		return 0;

	for (;;) {
		unsigned long end = group_end(first, last);

		n += clear_group(b, first, end);
		if (end == last)
			break;
		first = end + 1;
	}

	/* Promised even if nothing was set; pairs with what the caller says. */
	smp_mb();
	return n;
}

bool bc_bitmap_next(const struct bc_bitmap *b, unsigned long from, unsigned long *ret)
{
	unsigned long group, groups;

	if (from >= b->nbits)
		return false;

	group = from / BC_SUMMARY_BITS;
	groups = DIV_ROUND_UP(b->nbits, BC_SUMMARY_BITS);
	while (first_set(b->summary, group, groups - 1, &group)) {
		/* Its group may be empty, if a marker lost a race against the copier: go on. */
		from = max(from, group * BC_SUMMARY_BITS);
		if (first_set(b->words, from, group_end(from, b->nbits - 1), ret))
			return true;
		if (++group == groups)
			break;
	}
	return false;
}

unsigned long bc_bitmap_run(const struct bc_bitmap *b, unsigned long from, unsigned long max)
{
	unsigned long n = 0;

	if (from >= b->nbits)
		return 0;

	max = min(max, b->nbits - from);
	while (n < max) {
		unsigned long off = (from + n) % BITS_PER_LONG;
		unsigned long clean = ~READ_ONCE(b->words[BIT_WORD(from + n)]) >> off;

		if (clean)
			return min(n + __ffs(clean), max);
		n += BITS_PER_LONG - off;
	}
	return max;
}

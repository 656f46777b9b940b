/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which regions are dirty: an atomic bitmap, with a count and with a summary that makes looking for
 * the next dirty region cheap however few are left.
 *
 * Marking is open to everybody, at any time and in any context; clearing is for those who make the
 * regions equal afterwards (I2). No lock is needed by any function here.
 *
 * What holds at every moment:
 *
 *  - bc_bitmap_count() is never less than the number of set bits: 0 means that no bit is set. It
 *    may be more for a moment, by at most BC_SUMMARY_BITS for each marker at work and by what each
 *    bc_bitmap_clear() at work has cleared.
 *  - A bit past the last region is never set.
 *  - A summary bit is set, or the group is empty, or some bc_bitmap_mark() that set a bit of the
 *    group is about to set it and will return non-zero (or bc_bitmap_clear() is at work there). So
 *    a caller of bc_bitmap_next() who finds nothing while the count is not 0 has met a marker half
 *    way. It must look again: when the mark that returned non-zero wakes it, or soon. The marker
 *    that finds its bit set already and returns 0 need not wake anybody; the other one will.
 */
#ifndef BC_BITMAP_H
#define BC_BITMAP_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/types.h>

/* Regions that one bit of the summary stands for; a multiple of BITS_PER_LONG. */
#define BC_SUMMARY_BITS		4096UL

/* 16 TiB of 4 KiB regions, 512 MiB of memory. */
#define BC_BITMAP_MAX_BITS	(1UL << (BITS_PER_LONG == 64 ? 32 : 31))

struct bc_bitmap {
	unsigned long nbits;
	unsigned long *words;		/* one bit per region */
	unsigned long *summary;		/* one bit per BC_SUMMARY_BITS regions */
	atomic64_t nr_set;		/* raised before bits appear, lowered after they are gone */
};

/*
 * Make a bitmap of @nbits regions: all clean, or all dirty with @set.
 *
 * Context: process, may sleep (GFP_KERNEL).
 * Return: 0, -EINVAL for no regions, -EFBIG for more than BC_BITMAP_MAX_BITS, -ENOMEM. After an
 * error there is nothing to free, and bc_bitmap_exit() is harmless.
 */
int bc_bitmap_init(struct bc_bitmap *b, unsigned long nbits, bool set);

/*
 * Replace all of it by @words, of which bits past the last region do not count.
 *
 * Context: process, may sleep. Nobody else uses the bitmap meanwhile.
 */
void bc_bitmap_load(struct bc_bitmap *b, const unsigned long *words);

/*
 * Free it. Harmless on one that is zeroed or was freed before.
 *
 * Context: process, may sleep. Nobody else uses the bitmap any more.
 */
void bc_bitmap_exit(struct bc_bitmap *b);

/*
 * Make the regions @first to @last, inclusive, dirty.
 *
 * Everything this CPU saw or did before the call, such as a write that reached the source, comes
 * before: a copier that clears a bit which this call set, or found set, reads the source
 * afterwards. Afterwards, a caller that got non-zero may look whether the copier sleeps: the bits,
 * their summary and the count are all visible before it looks. Cost when everything is dirty
 * already: a barrier and a load per word, no shared cache line is written.
 *
 * Context: any, hard interrupts included; any number at once.
 * Return: how many regions became dirty by this call.
 */
unsigned long bc_bitmap_mark(struct bc_bitmap *b, unsigned long first, unsigned long last);

/*
 * Make the regions @first to @last, inclusive, clean, as the step before their source is read, or
 * before both legs are written.
 *
 * A full barrier, even when nothing was set: what the caller does next comes after the bits are
 * gone. A mark that comes later sets its bit again and is not lost.
 *
 * Context: any; any number at once.
 * Return: how many regions were dirty.
 */
unsigned long bc_bitmap_clear(struct bc_bitmap *b, unsigned long first, unsigned long last);

/*
 * Find the first dirty region at or after @from, which may be past the end.
 *
 * A hint, as everything may change meanwhile; bc_bitmap_clear() tells. See above for "nothing
 * found".
 *
 * Context: any.
 * Return: true with the region in @ret, false (@ret untouched) if there is none.
 */
bool bc_bitmap_next(const struct bc_bitmap *b, unsigned long from, unsigned long *ret);

/*
 * Count how many regions from @from on are dirty without a gap, at most @max. A hint, too.
 *
 * Context: any.
 * Return: the length of the run, 0 if @from is clean or past the end.
 */
unsigned long bc_bitmap_run(const struct bc_bitmap *b, unsigned long from, unsigned long max);

/*
 * How many regions are dirty: never less than there are, see above. O(1).
 *
 * This is a bare read; the caller orders it. After the last writer is known to have ended (with a
 * barrier) it is exact, but for a bc_bitmap_clear() at work.
 *
 * Context: any.
 */
static inline u64 bc_bitmap_count(const struct bc_bitmap *b)
{
	return min_t(u64, atomic64_read(&b->nr_set), b->nbits);
}

#endif /* BC_BITMAP_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BITOPS_H
#define SHIM_LINUX_BITOPS_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/types.h>

#define __ffs(word)		((unsigned long)__builtin_ctzl(word))
#define hweight_long(word)	((unsigned long)__builtin_popcountl(word))

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline bool test_bit(long nr, const volatile unsigned long *addr)
{
	return READ_ONCE(addr[BIT_WORD(nr)]) & BIT_MASK(nr);
}

/* These two order nothing. */
static inline void set_bit(long nr, volatile unsigned long *addr)
{
	SHIM_RACE_POINT();
	__atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(long nr, volatile unsigned long *addr)
{
	SHIM_RACE_POINT();
	__atomic_fetch_and(&addr[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline bool test_and_set_bit(long nr, volatile unsigned long *addr)
{
	atomic_long_t *word = (atomic_long_t *)&addr[BIT_WORD(nr)];

	return atomic_long_fetch_or(BIT_MASK(nr), word) & BIT_MASK(nr);
}

static inline bool test_and_clear_bit(long nr, volatile unsigned long *addr)
{
	atomic_long_t *word = (atomic_long_t *)&addr[BIT_WORD(nr)];

	return atomic_long_fetch_andnot(BIT_MASK(nr), word) & BIT_MASK(nr);
}

static inline bool __test_and_set_bit(long nr, unsigned long *addr)
{
	bool old = addr[BIT_WORD(nr)] & BIT_MASK(nr);

	addr[BIT_WORD(nr)] |= BIT_MASK(nr);
	return old;
}

#endif

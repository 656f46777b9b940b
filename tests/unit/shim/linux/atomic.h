/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's rules of order: an operation that returns a value is a full barrier on both sides,
 * one that does not orders nothing.
 */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#include <linux/types.h>

#define smp_mb()			__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()			__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()			__atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)		__atomic_store_n(p, v, __ATOMIC_RELEASE)

/* What makes a read-modify-write a full barrier: on x86 it is one already, by its lock prefix. */
#if defined(__x86_64__) || defined(__i386__)
#define SHIM_FULL_BARRIER()		barrier()
#else
#define SHIM_FULL_BARRIER()		smp_mb()
#endif
#define smp_mb__before_atomic()		SHIM_FULL_BARRIER()
#define smp_mb__after_atomic()		SHIM_FULL_BARRIER()

/*
 * Between a look at something and the atomic operation that acts on it is where others get in. With
 * shim_race set, each operation is sometimes delayed, by a few instructions or until another thread
 * ran, so that they do.
 */
extern bool shim_race;
void shim_delay(void);
#define SHIM_RACE_POINT()						\
	do {								\
		if (unlikely(shim_race))				\
			shim_delay();					\
	} while (0)

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter; } atomic64_t;

#define SHIM_ATOMIC(name, type, value)							\
static inline value name##_read(const type *v)						\
{											\
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);				\
}											\
static inline void name##_set(type *v, value i)						\
{											\
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);				\
}											\
static inline void name##_add(value i, type *v)						\
{											\
	SHIM_RACE_POINT();								\
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);				\
}											\
static inline void name##_sub(value i, type *v)						\
{											\
	SHIM_RACE_POINT();								\
	__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);				\
}											\
static inline void name##_inc(type *v)							\
{											\
	name##_add(1, v);								\
}											\
static inline void name##_dec(type *v)							\
{											\
	name##_sub(1, v);								\
}											\
SHIM_ATOMIC_FETCH(name, type, value, fetch_add, add, i)					\
SHIM_ATOMIC_FETCH(name, type, value, fetch_sub, sub, i)					\
SHIM_ATOMIC_FETCH(name, type, value, fetch_or, or, i)					\
SHIM_ATOMIC_FETCH(name, type, value, fetch_and, and, i)					\
SHIM_ATOMIC_FETCH(name, type, value, fetch_andnot, and, ~i)

#define SHIM_ATOMIC_FETCH(name, type, value, func, op, arg)				\
static inline value name##_##func(value i, type *v)					\
{											\
	value old;									\
											\
	SHIM_RACE_POINT();								\
	SHIM_FULL_BARRIER();								\
	old = __atomic_fetch_##op(&v->counter, arg, __ATOMIC_SEQ_CST);			\
	SHIM_FULL_BARRIER();								\
	return old;									\
}

SHIM_ATOMIC(atomic, atomic_t, int)
SHIM_ATOMIC(atomic_long, atomic_long_t, long)
SHIM_ATOMIC(atomic64, atomic64_t, s64)

#endif

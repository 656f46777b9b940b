/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the check programs share.
 *
 * Environment: UNIT_SEED repeats a run of the random tests, UNIT_SCALE is percent of their usual
 * length.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdint.h>

/* For inner loops: ck_assert*() write to a pipe each time, these only when they fail. */
#define unit_assert(cond)						\
	do {								\
		if (!(cond))						\
			ck_abort_msg("%s", #cond);			\
	} while (0)

#define unit_assert_eq(a, b)						\
	do {								\
		long long _a = (a), _b = (b);				\
									\
		if (_a != _b)						\
			ck_abort_msg("%s is %lld, %s is %lld", #a, _a, #b, _b); \
	} while (0)

/* A random number; the state is the caller's. */
uint64_t unit_random(uint64_t *state);

/* A random number below @n. */
uint64_t unit_below(uint64_t *state, uint64_t n);

/* The seed of this run; it is printed, so that a failure can be repeated. */
uint64_t unit_seed(void);

/* @n scaled by UNIT_SCALE, at least 1. */
unsigned long unit_scaled(unsigned long n);

/* Run a suite; the exit status of the program. */
int unit_main(Suite *suite);

#endif

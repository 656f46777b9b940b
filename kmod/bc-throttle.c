// SPDX-License-Identifier: GPL-2.0-only
/* The bandwidth limit of the copier. See bc-throttle.h. */
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/time64.h>

#include "bc-throttle.h"

/* No debt is deeper, so that a bucket's depth can be added to it. */
#define DEBT_MAX	(S64_MAX / 2)

static u64 bucket_depth(u64 rate)
{
	/* A tenth of a second; fits an s64 whatever the rate. */
	return max_t(u64, div_u64(rate, 10), BC_THROTTLE_DEPTH_MIN);
}

/* How long @bytes take at @rate, which is not 0, rounded up; U64_MAX if it is centuries. */
static u64 time_for(u64 bytes, u64 rate)
{
	u64 rest, secs = div64_u64_rem(bytes, rate, &rest);

	if (secs >= U64_MAX / NSEC_PER_SEC)
		return U64_MAX;
	return secs * NSEC_PER_SEC + mul_u64_u64_div_u64(rest, NSEC_PER_SEC, rate) + 1;
}

/*
 * What @ns bring at @rate, in bytes, with the part of a byte in @frac. The caller knows that it
 * fits.
 *
 * Exact: bytes lost to rounding on each call would add up to a rate well below the limit.
 */
static u64 bytes_in(u64 ns, u64 rate, u32 *frac)
{
	u32 rest, rate_rest;
	u64 secs = div_u64_rem(ns, NSEC_PER_SEC, &rest);
	u64 rate_quot = div_u64_rem(rate, NSEC_PER_SEC, &rate_rest);

	return secs * rate + rest * rate_quot +
	       div_u64_rem((u64)rest * rate_rest + *frac, NSEC_PER_SEC, frac);
}

static void refill(struct bc_throttle *t, u64 now_ns)
{
	u64 elapsed = now_ns > t->last_ns ? now_ns - t->last_ns : 0;
	u64 depth = bucket_depth(t->rate);

	t->last_ns = now_ns;
	if (!t->rate || !elapsed)
		return;

	/* Full, or long enough: bytes_in() could overflow. */
	if (t->tokens >= (s64)depth || elapsed >= time_for(depth - t->tokens, t->rate)) {
		t->tokens = depth;
		t->frac = 0;
		return;
	}
	t->tokens += bytes_in(elapsed, t->rate, &t->frac);
}

void bc_throttle_init(struct bc_throttle *t, u64 rate, u64 now_ns)
{
	t->rate = rate;
	t->tokens = 0;
	t->last_ns = now_ns;
	t->frac = 0;
}

void bc_throttle_set_rate(struct bc_throttle *t, u64 rate, u64 now_ns)
{
	u64 old = t->rate;

	refill(t, now_ns);
	if (!rate || !old) {
		bc_throttle_init(t, rate, now_ns);
		return;
	}

	t->rate = rate;
	if (t->tokens >= 0)
		t->tokens = min_t(u64, t->tokens, bucket_depth(rate));
	else if (rate < old)
		t->tokens = -(s64)mul_u64_u64_div_u64(-t->tokens, rate, old);
}

u64 bc_throttle_wait(struct bc_throttle *t, u64 now_ns)
{
	refill(t, now_ns);
	if (!t->rate || t->tokens >= 0)
		return 0;
	return min_t(u64, time_for(-t->tokens, t->rate), BC_THROTTLE_WAIT_MAX);
}

void bc_throttle_charge(struct bc_throttle *t, u64 bytes)
{
	if (!t->rate)
		return;
	t->tokens -= min_t(u64, bytes, DEBT_MAX);
	t->tokens = max_t(s64, t->tokens, -DEBT_MAX);
}

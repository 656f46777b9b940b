/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bandwidth limit of the copier: a token bucket in bytes.
 *
 * The bucket holds 100 ms worth of the rate, but no less than BC_THROTTLE_DEPTH_MIN. A piece goes
 * as long as there is no debt, and may be larger than the bucket: the debt it leaves is waited off.
 * So the long-run rate is exact, whatever the size of the pieces and however late the caller comes
 * back, up to 100 ms.
 *
 * Time is passed in (ktime_get_ns()). A time before the last one seen counts as no time at all, and
 * one any far ahead fills the bucket, no more. Every rate and every number of bytes is fine.
 *
 * Context, for all functions: any, none sleeps. The caller makes sure that only one runs at a time.
 */
#ifndef BC_THROTTLE_H
#define BC_THROTTLE_H

#include <linux/types.h>

#define BC_THROTTLE_DEPTH_MIN	(64 << 10)	/* bytes */
#define BC_THROTTLE_WAIT_MAX	1000000000ULL	/* ns */

struct bc_throttle {
	u64 rate;		/* bytes per second as it was set, 0 is unlimited */
	s64 tokens;		/* bytes that may go now; below 0 is debt */
	u64 last_ns;		/* tokens and frac are as of then */
	u32 frac;		/* a part of a byte, in 1 / NSEC_PER_SEC */
};

/* Start with neither tokens nor debt: the first piece goes at once, with no burst behind it. */
void bc_throttle_init(struct bc_throttle *t, u64 rate, u64 now_ns);

/*
 * Change the rate, 0 is unlimited.
 *
 * Tokens saved up are cut to the new bucket. A debt grows neither in bytes nor in the time that it
 * takes to pay: lowering the rate does not turn a piece just sent into a long stall, raising it
 * shortens one. A caller that sleeps for what bc_throttle_wait() told it should be woken to ask
 * again.
 */
void bc_throttle_set_rate(struct bc_throttle *t, u64 rate, u64 now_ns);

/*
 * May a piece go?
 *
 * Return: 0 yes; otherwise in how many nanoseconds to ask again, at most BC_THROTTLE_WAIT_MAX.
 */
u64 bc_throttle_wait(struct bc_throttle *t, u64 now_ns);

/* A piece of @bytes goes. */
void bc_throttle_charge(struct bc_throttle *t, u64 bytes);

#endif /* BC_THROTTLE_H */

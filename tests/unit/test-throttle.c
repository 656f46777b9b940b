// SPDX-License-Identifier: GPL-2.0-only
/* The token bucket of kmod/bc-throttle.c, with a clock of our own. */
#include <linux/kernel.h>
#include <linux/time64.h>

#include "bc-throttle.h"
#include "unit.h"

#define START		123456789012345ULL
#define SEC		((u64)NSEC_PER_SEC)
#define MSEC		((u64)NSEC_PER_MSEC)

static u64 depth(u64 rate)
{
	return max_t(u64, rate / 10, BC_THROTTLE_DEPTH_MIN);
}

/*
 * Send pieces of @piece bytes for @time ns of a clock that starts at *@now, looking again @late ns
 * after the time that was told. Returns the bytes sent.
 */
static u64 send_for(struct bc_throttle *t, u64 *now, u64 time, u64 piece, u64 late)
{
	u64 end = *now + time, sent = 0;

	while (*now < end) {
		u64 wait = bc_throttle_wait(t, *now);

		unit_assert(wait <= BC_THROTTLE_WAIT_MAX);
		if (wait) {
			*now += wait + late;
			continue;
		}
		bc_throttle_charge(t, piece);
		sent += piece;
	}
	return sent;
}

/* Within 1 % and the one piece that may be begun early. */
static void assert_rate(u64 sent, u64 rate, u64 time, u64 piece)
{
	double due = (double)rate * time / SEC;

	ck_assert_msg(sent >= due * 0.99 - piece && sent <= due * 1.01 + piece,
		      "rate %llu, pieces of %llu: %llu bytes in %llu ns",
		      rate, piece, sent, time);
}

START_TEST(unlimited)
{
	struct bc_throttle t;
	int i;

	bc_throttle_init(&t, 0, START);
	for (i = 0; i < 1000; i++) {
		ck_assert_uint_eq(bc_throttle_wait(&t, START), 0);
		bc_throttle_charge(&t, U64_MAX);
	}
}
END_TEST

static const u64 rates[] = {
	1, 999, 4096, 65536, 1000 * 1000, 1 << 20, 100 << 20, 999999937, 1 << 30, 40ULL << 30,
	1ULL << 44,
};

START_TEST(long_run_rate)
{
	static const u64 pieces[] = { 4096, 65536, 1 << 20 };
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		for (j = 0; j < ARRAY_SIZE(pieces); j++) {
			/* Late by nothing, by a bit, by a tick. */
			static const u64 lates[] = { 0, 777, 4 * MSEC };

			for (k = 0; k < ARRAY_SIZE(lates); k++) {
				u64 now = START, time, sent;
				struct bc_throttle t;

				/* Long enough for a thousand pieces. */
				time = (double)pieces[j] * 1000 * SEC / rates[i];
				time = max(time, SEC / 10);
				bc_throttle_init(&t, rates[i], now);
				if (lates[k] == 4 * MSEC)
					time = max(time, SEC);
				/* Not those that take for ever to simulate. */
				if ((double)rates[i] * time / SEC / pieces[j] >
				    unit_scaled(3000000) ||
				    time / BC_THROTTLE_WAIT_MAX > unit_scaled(5000000))
					continue;
				sent = send_for(&t, &now, time, pieces[j], lates[k]);
				assert_rate(sent, rates[i], now - START, pieces[j]);
			}
		}
	}
}
END_TEST

/* Looking all the time must not lose the parts of a byte that each look brings. */
START_TEST(busy_looking)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		u64 now, sent = 0, step = 997, looks = unit_scaled(2000000);
		u64 piece = max_t(u64, rates[i] / 100000, 1);
		struct bc_throttle t;

		bc_throttle_init(&t, rates[i], START);
		for (now = START; now < START + looks * step; now += step) {
			while (!bc_throttle_wait(&t, now)) {
				bc_throttle_charge(&t, piece);
				sent += piece;
			}
		}
		assert_rate(sent, rates[i], now - START, piece);
	}
}
END_TEST

START_TEST(told_time_is_enough_and_needed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		struct bc_throttle t, u;
		u64 wait;

		bc_throttle_init(&t, rates[i], START);
		ck_assert_uint_eq(bc_throttle_wait(&t, START), 0);
		bc_throttle_charge(&t, rates[i] / 2 + 1);

		wait = bc_throttle_wait(&t, START);
		ck_assert_uint_gt(wait, 0);
		if (wait == BC_THROTTLE_WAIT_MAX)
			continue;
		u = t;
		ck_assert_uint_eq(bc_throttle_wait(&t, START + wait), 0);
		ck_assert_uint_gt(bc_throttle_wait(&u, START + wait - wait / 100 - 2), 0);
	}
}
END_TEST

START_TEST(no_burst_after_idle)
{
	static const u64 idle[] = { SEC, 3600 * SEC, 10 * 365 * 86400 * SEC };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		for (j = 0; j < ARRAY_SIZE(idle); j++) {
			u64 piece = max_t(u64, depth(rates[i]) / 64, 1), sent = 0;
			struct bc_throttle t;

			bc_throttle_init(&t, rates[i], START);
			while (!bc_throttle_wait(&t, START + idle[j])) {
				bc_throttle_charge(&t, piece);
				sent += piece;
				unit_assert(sent <= depth(rates[i]) + 2 * piece);
			}
		}
	}
}
END_TEST

/* The first piece goes at once, and there is no burst behind it. */
START_TEST(no_burst_at_start)
{
	struct bc_throttle t;

	bc_throttle_init(&t, 100 << 20, START);
	ck_assert_uint_eq(bc_throttle_wait(&t, START), 0);
	bc_throttle_charge(&t, 4096);
	ck_assert_uint_gt(bc_throttle_wait(&t, START), 0);

	/* Nor when a limit comes after none. */
	bc_throttle_init(&t, 0, START);
	bc_throttle_charge(&t, 1 << 30);
	bc_throttle_set_rate(&t, 100 << 20, START + 3600 * SEC);
	ck_assert_uint_eq(bc_throttle_wait(&t, START + 3600 * SEC), 0);
	bc_throttle_charge(&t, 4096);
	ck_assert_uint_gt(bc_throttle_wait(&t, START + 3600 * SEC), 0);
}
END_TEST

/* A piece larger than the bucket goes, and is paid for. */
START_TEST(debt)
{
	struct bc_throttle t;

	bc_throttle_init(&t, 1 << 20, START);
	bc_throttle_charge(&t, 10 << 20);
	ck_assert_uint_eq(bc_throttle_wait(&t, START), BC_THROTTLE_WAIT_MAX);
	ck_assert_uint_gt(bc_throttle_wait(&t, START + 10 * SEC - MSEC), 0);
	ck_assert_uint_eq(bc_throttle_wait(&t, START + 10 * SEC + MSEC), 0);
}
END_TEST

START_TEST(set_rate_no_burst)
{
	u64 now = START, sent = 0;
	struct bc_throttle t;

	/* What 10 GB/s saved up is not for 1 MB/s. */
	bc_throttle_init(&t, 10000000000, now);
	now += SEC;
	ck_assert_uint_eq(bc_throttle_wait(&t, now), 0);
	bc_throttle_set_rate(&t, 1000000, now);
	while (!bc_throttle_wait(&t, now)) {
		bc_throttle_charge(&t, 4096);
		sent += 4096;
		ck_assert_uint_le(sent, depth(1000000) + 4096);
	}
}
END_TEST

START_TEST(set_rate_no_stall)
{
	struct bc_throttle t;
	u64 now = START;

	/* Down: 100 MB of debt are 10 ms at 10 GB/s, and still 10 ms at 1 MB/s. */
	bc_throttle_init(&t, 10000000000, now);
	bc_throttle_charge(&t, 100000000);
	bc_throttle_set_rate(&t, 1000000, now);
	ck_assert_uint_le(bc_throttle_wait(&t, now), 11 * MSEC);
	ck_assert_uint_ge(bc_throttle_wait(&t, now), 9 * MSEC);

	/* Up: a MiB that would take a second takes 1 ms. */
	bc_throttle_init(&t, 1 << 20, now);
	bc_throttle_charge(&t, 1 << 20);
	bc_throttle_set_rate(&t, 1 << 30, now);
	ck_assert_uint_le(bc_throttle_wait(&t, now), 2 * MSEC);

	/* To none. */
	bc_throttle_init(&t, 1, now);
	bc_throttle_charge(&t, 1 << 20);
	bc_throttle_set_rate(&t, 0, now);
	ck_assert_uint_eq(bc_throttle_wait(&t, now), 0);

	/* The long way back: a debt of years is gone with its rate. */
	bc_throttle_init(&t, 1, now);
	bc_throttle_charge(&t, U64_MAX);
	bc_throttle_set_rate(&t, 0, now);
	bc_throttle_set_rate(&t, 1 << 20, now);
	ck_assert_uint_eq(bc_throttle_wait(&t, now), 0);
}
END_TEST

/* A controller that sets the same rate, or nearly, over and over does not change what is sent. */
START_TEST(set_rate_often)
{
	const u64 rate = 10 << 20, piece = 1 << 20, time = 100 * SEC;
	u64 now = START, sent = 0, next = now;
	struct bc_throttle t;

	bc_throttle_init(&t, rate, now);
	while (now < START + time) {
		if (now >= next) {
			bc_throttle_set_rate(&t, rate, now);
			next += 7 * MSEC;
		}
		while (!bc_throttle_wait(&t, now)) {
			bc_throttle_charge(&t, piece);
			sent += piece;
		}
		now += MSEC;
	}
	assert_rate(sent, rate, time, piece);
}
END_TEST

START_TEST(rate_after_set_rate)
{
	uint64_t state = unit_seed();
	u64 now = START;
	struct bc_throttle t;
	unsigned int i;

	bc_throttle_init(&t, 1 << 20, now);
	for (i = 0; i < unit_scaled(200); i++) {
		u64 rate = (1 << 20) + unit_below(&state, 1 << 30), begin = now, sent;

		bc_throttle_set_rate(&t, rate, now);
		/* What the last rate left, either way, is no more than the bucket and one piece. */
		sent = send_for(&t, &now, SEC, 65536, unit_below(&state, MSEC));
		ck_assert_uint_le(sent, rate * (now - begin) / SEC + depth(rate) + 2 * 65536);
		ck_assert_uint_ge(sent + depth(rate) + 2 * 65536, rate * (now - begin) / SEC);
	}
}
END_TEST

START_TEST(clock_backwards)
{
	struct bc_throttle t;
	u64 now = START;
	int i;

	/* No credit for time that was there before ... */
	bc_throttle_init(&t, 1 << 20, now);
	bc_throttle_charge(&t, 1 << 20);
	for (i = 0; i < 1000; i++)
		ck_assert_uint_gt(bc_throttle_wait(&t, now - i), 0);
	/* ... and no stall until the clock is back where it was. */
	now -= 3600 * SEC;
	ck_assert_uint_gt(bc_throttle_wait(&t, now), 0);
	ck_assert_uint_eq(bc_throttle_wait(&t, now + SEC + MSEC), 0);

	bc_throttle_charge(&t, 1 << 20);
	ck_assert_uint_gt(bc_throttle_wait(&t, 0), 0);
	bc_throttle_set_rate(&t, 2 << 20, 0);
	ck_assert_uint_gt(bc_throttle_wait(&t, 0), 0);
}
END_TEST

/* No trap, no undefined behaviour (under a sanitizer), no bucket that leaves its bounds. */
START_TEST(extremes)
{
	static const u64 values[] = {
		0, 1, 2, 9, 10, 11, 65535, 65536, 1000000000, 1ULL << 32, 18446744073, 18446744074,
		1ULL << 53, S64_MAX - 1ULL, S64_MAX, S64_MAX + 1ULL, U64_MAX - 1, U64_MAX,
	};
	const unsigned int n = ARRAY_SIZE(values);
	unsigned int a, b, c, d;

	for (a = 0; a < n; a++) {
		for (b = 0; b < n; b++) {
			for (c = 0; c < n; c++) {
				for (d = 0; d < n; d++) {
					struct bc_throttle t;
					u64 wait;

					bc_throttle_init(&t, values[a], 0);
					bc_throttle_charge(&t, values[b]);
					bc_throttle_charge(&t, values[b]);
					wait = bc_throttle_wait(&t, values[c]);
					unit_assert(wait <= BC_THROTTLE_WAIT_MAX);
					bc_throttle_set_rate(&t, values[d], values[c]);
					unit_assert(t.tokens <= (s64)depth(values[d]));
					wait = bc_throttle_wait(&t, values[b]);
					unit_assert(wait <= BC_THROTTLE_WAIT_MAX);
					bc_throttle_wait(&t, U64_MAX);
					unit_assert(t.tokens <= (s64)depth(values[d]));
				}
			}
		}
	}
}
END_TEST

static Suite *throttle_suite(void)
{
	Suite *suite = suite_create("throttle");
	TCase *tc = tcase_create("throttle");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, unlimited);
	tcase_add_test(tc, long_run_rate);
	tcase_add_test(tc, busy_looking);
	tcase_add_test(tc, told_time_is_enough_and_needed);
	tcase_add_test(tc, no_burst_after_idle);
	tcase_add_test(tc, no_burst_at_start);
	tcase_add_test(tc, debt);
	tcase_add_test(tc, set_rate_no_burst);
	tcase_add_test(tc, set_rate_no_stall);
	tcase_add_test(tc, set_rate_often);
	tcase_add_test(tc, rate_after_set_rate);
	tcase_add_test(tc, clock_backwards);
	tcase_add_test(tc, extremes);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return unit_main(throttle_suite());
}

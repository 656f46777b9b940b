// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty bitmap of kmod/bc-bitmap.c: against a naive model, at the edges, and with markers and a
 * copier that really run at the same time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/slab.h>

#include "bc-bitmap.h"
#include "unit.h"

#define GROUP	BC_SUMMARY_BITS

static const unsigned long sizes[] = {
	1, 2, 63, 64, 65, 127, 128, 1000, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP - 64,
	3 * GROUP + 17, 64 * GROUP, 65 * GROUP + 5,
};

static void setup_bitmap(struct bc_bitmap *b, unsigned long nbits, bool set)
{
	ck_assert_int_eq(bc_bitmap_init(b, nbits, set), 0);
}

/* The model: a byte per region. */
struct model {
	unsigned long nbits, count;
	unsigned char *dirty;
};

static struct model model_new(unsigned long nbits, bool set)
{
	struct model m = { .nbits = nbits, .count = set ? nbits : 0, .dirty = malloc(nbits) };

	ck_assert_ptr_nonnull(m.dirty);
	memset(m.dirty, set, nbits);
	return m;
}

/* Make a range dirty, or clean; returns how many regions changed. */
static unsigned long model_set(struct model *m, unsigned long first, unsigned long last, bool dirty)
{
	unsigned long r, n = 0;

	for (r = first; r <= last; r++) {
		n += m->dirty[r] != dirty;
		m->dirty[r] = dirty;
	}
	m->count += dirty ? n : -n;
	return n;
}

static bool model_next(const struct model *m, unsigned long from, unsigned long *ret)
{
	for (; from < m->nbits; from++) {
		if (m->dirty[from]) {
			*ret = from;
			return true;
		}
	}
	return false;
}

static unsigned long model_run(const struct model *m, unsigned long from, unsigned long max)
{
	unsigned long n = 0;

	while (n < max && from + n < m->nbits && m->dirty[from + n])
		n++;
	return n;
}

/* Everything that can be read, with nobody else at work. */
static void assert_same(const struct bc_bitmap *b, const struct model *m)
{
	unsigned long words = BITS_TO_LONGS(m->nbits), groups = DIV_ROUND_UP(m->nbits, GROUP), r, g;

	unit_assert_eq(bc_bitmap_count(b), m->count);
	unit_assert_eq(atomic64_read(&b->nr_set), m->count);
	for (r = 0; r < words * BITS_PER_LONG; r++)
		unit_assert_eq(test_bit(r, b->words), (r < m->nbits && m->dirty[r]));
	for (g = 0; g < groups; g++) {
		unsigned long found;
		bool dirty = model_next(m, g * GROUP, &found) && found / GROUP == g;

		/* Nobody raced, so it is exact. */
		unit_assert_eq(test_bit(g, b->summary), dirty);
	}
	for (; g % BITS_PER_LONG; g++)
		unit_assert(!test_bit(g, b->summary));
}

static void assert_next(const struct bc_bitmap *b, const struct model *m, unsigned long from)
{
	unsigned long got = ~0UL, want = ~0UL;
	bool found = bc_bitmap_next(b, from, &got);

	unit_assert_eq(found, model_next(m, from, &want));
	unit_assert_eq(got, want);	/* untouched if nothing was found */
}

START_TEST(init)
{
	struct bc_bitmap b;
	unsigned int i, set;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (set = 0; set < 2; set++) {
			struct model m = model_new(sizes[i], set);

			setup_bitmap(&b, sizes[i], set);
			assert_same(&b, &m);
			assert_next(&b, &m, 0);
			ck_assert_uint_eq(bc_bitmap_run(&b, 0, ~0UL), m.count);
			bc_bitmap_exit(&b);
			free(m.dirty);
		}
	}
}
END_TEST

START_TEST(init_refuses)
{
	struct bc_bitmap b;

	ck_assert_int_eq(bc_bitmap_init(&b, 0, false), -EINVAL);
	bc_bitmap_exit(&b);
	ck_assert_int_eq(bc_bitmap_init(&b, BC_BITMAP_MAX_BITS + 1, false), -EFBIG);
	bc_bitmap_exit(&b);
	ck_assert_int_eq(bc_bitmap_init(&b, ~0UL, true), -EFBIG);

	/* Each of the allocations fails; a leak would be told by the sanitizer. */
	shim_fail_alloc = 1;
	ck_assert_int_eq(bc_bitmap_init(&b, 1000, true), -ENOMEM);
	bc_bitmap_exit(&b);
	shim_fail_alloc = 2;
	ck_assert_int_eq(bc_bitmap_init(&b, 1000, true), -ENOMEM);
	bc_bitmap_exit(&b);
	bc_bitmap_exit(&b);
}
END_TEST

/* A region, and a range that ends there or begins there, at each place where something changes. */
START_TEST(edges)
{
	static const unsigned long at[] = {
		0, 1, 62, 63, 64, 65, 127, 128, GROUP - 65, GROUP - 64, GROUP - 1, GROUP,
		GROUP + 1, GROUP + 63, 2 * GROUP - 1, 2 * GROUP, 3 * GROUP + 15, 3 * GROUP + 16,
	};
	const unsigned long nbits = 3 * GROUP + 17;
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		for (j = i; j < ARRAY_SIZE(at); j++) {
			struct model m = model_new(nbits, false);
			unsigned long first = at[i], last = at[j];
			struct bc_bitmap b;

			setup_bitmap(&b, nbits, false);
			unit_assert_eq(bc_bitmap_mark(&b, first, last),
				       model_set(&m, first, last, true));
			assert_same(&b, &m);
			unit_assert_eq(bc_bitmap_mark(&b, first, last), 0);
			for (k = 0; k < ARRAY_SIZE(at); k++) {
				assert_next(&b, &m, at[k]);
				unit_assert_eq(bc_bitmap_run(&b, at[k], ~0UL),
					       model_run(&m, at[k], ~0UL));
				unit_assert_eq(bc_bitmap_run(&b, at[k], 65),
					       model_run(&m, at[k], 65));
			}

			/* All but the ends, then all. */
			if (last - first > 1) {
				unit_assert_eq(bc_bitmap_clear(&b, first + 1, last - 1),
						  model_set(&m, first + 1, last - 1, false));
				assert_same(&b, &m);
			}
			unit_assert_eq(bc_bitmap_clear(&b, 0, nbits - 1),
				       model_set(&m, 0, nbits - 1, false));
			assert_same(&b, &m);
			unit_assert_eq(bc_bitmap_clear(&b, 0, nbits - 1), 0);

			/* A hole in what is all dirty. */
			bc_bitmap_exit(&b);
			setup_bitmap(&b, nbits, true);
			model_set(&m, 0, nbits - 1, true);
			unit_assert_eq(bc_bitmap_clear(&b, first, last),
				       model_set(&m, first, last, false));
			assert_same(&b, &m);
			for (k = 0; k < ARRAY_SIZE(at); k++) {
				assert_next(&b, &m, at[k]);
				unit_assert_eq(bc_bitmap_run(&b, at[k], ~0UL),
					       model_run(&m, at[k], ~0UL));
			}
			bc_bitmap_exit(&b);
			free(m.dirty);
		}
	}
}
END_TEST

START_TEST(past_the_end)
{
	struct bc_bitmap b;
	unsigned long r = 4711;

	setup_bitmap(&b, 100, true);
	ck_assert(!bc_bitmap_next(&b, 100, &r));
	ck_assert(!bc_bitmap_next(&b, ~0UL, &r));
	ck_assert_uint_eq(r, 4711);
	ck_assert_uint_eq(bc_bitmap_run(&b, 100, 5), 0);
	ck_assert_uint_eq(bc_bitmap_run(&b, ~0UL, ~0UL), 0);
	ck_assert_uint_eq(bc_bitmap_run(&b, 99, ~0UL), 1);
	ck_assert_uint_eq(bc_bitmap_run(&b, 5, 0), 0);

	/* A bug of the caller: told, and nothing is touched. */
	shim_quiet = true;
	ck_assert_uint_eq(bc_bitmap_clear(&b, 0, 100), 0);
	ck_assert_uint_eq(bc_bitmap_clear(&b, 5, 4), 0);
	ck_assert_uint_eq(bc_bitmap_mark(&b, 0, 100), 0);
	ck_assert_uint_eq(bc_bitmap_mark(&b, 5, 4), 0);
	ck_assert_uint_eq(bc_bitmap_mark(&b, ~0UL, ~0UL), 0);
	ck_assert_uint_eq(shim_warnings, 5);
	shim_warnings = 0;
	shim_quiet = false;
	ck_assert_uint_eq(bc_bitmap_count(&b), 100);
	bc_bitmap_exit(&b);
}
END_TEST

/* A range that is short, long, aligned or not. */
static void random_range(uint64_t *state, unsigned long nbits, unsigned long *first,
			 unsigned long *last)
{
	static const unsigned long lengths[] = { 1, 1, 2, 64, 65, 200, GROUP, 3 * GROUP };
	unsigned long length = lengths[unit_below(state, ARRAY_SIZE(lengths))];

	*first = unit_below(state, nbits);
	if (unit_below(state, 3) == 0)
		*first &= ~63UL;
	if (unit_below(state, 3))
		length = 1 + unit_below(state, length);
	*last = min(*first + length, nbits) - 1;
}

START_TEST(random_against_model)
{
	uint64_t state = unit_seed() + _i;
	unsigned long nbits = sizes[_i], i, steps = unit_scaled(20000);
	struct model m = model_new(nbits, _i % 2);
	struct bc_bitmap b;

	setup_bitmap(&b, nbits, _i % 2);
	for (i = 0; i < steps; i++) {
		unsigned long from = unit_below(&state, nbits + 2), max = unit_below(&state, 5000);
		unsigned long first, last;

		random_range(&state, nbits, &first, &last);
		/* Long phases that tend to empty it, and others that tend to fill it. */
		if (unit_below(&state, 10) < (i / 500 % 2 ? 2 : 8))
			unit_assert_eq(bc_bitmap_mark(&b, first, last),
				       model_set(&m, first, last, true));
		else
			unit_assert_eq(bc_bitmap_clear(&b, first, last),
				       model_set(&m, first, last, false));

		unit_assert_eq(bc_bitmap_count(&b), m.count);
		assert_next(&b, &m, from);
		unit_assert_eq(bc_bitmap_run(&b, from, max), model_run(&m, from, max));
		if (i % 1000 == 0)
			assert_same(&b, &m);
	}
	assert_same(&b, &m);
	bc_bitmap_exit(&b);
	free(m.dirty);
}
END_TEST

/* The copier's way: next, run, clear; it meets every dirty region once. */
START_TEST(walk)
{
	uint64_t state = unit_seed();
	unsigned long nbits = 70 * GROUP + 3, from = 0, n = 0, first, last, i;
	struct bc_bitmap b;

	setup_bitmap(&b, nbits, false);
	for (i = 0; i < 500; i++) {
		random_range(&state, nbits, &first, &last);
		n += bc_bitmap_mark(&b, first, last);
	}
	ck_assert_uint_eq(bc_bitmap_count(&b), n);
	while (bc_bitmap_next(&b, from, &first)) {
		unsigned long run = bc_bitmap_run(&b, first, 256);

		unit_assert(first >= from);
		unit_assert(run);
		unit_assert_eq(bc_bitmap_clear(&b, first, first + run - 1), run);
		n -= run;
		from = first + run;
	}
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(bc_bitmap_count(&b), 0);
	bc_bitmap_exit(&b);
}
END_TEST

/* ---- markers and a copier at the same time ---- */

#define MARKERS		3
#define CLEARERS	2
#define LOST_AFTER	20	/* seconds without a sign of the copier */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * The job of a copier, and its guests. "Source" and "destination" hold, for each marker, the number
 * of its last write to a region; a copy takes all of a region's over. A plain store is what a
 * device's DMA is.
 */
struct race {
	struct bc_bitmap b;
	unsigned long nbits;
	unsigned int markers;
	unsigned int clearers;		/* each has the regions that are its number, modulo that */
	unsigned long source[MARKERS][4 * GROUP];
	unsigned long destination[MARKERS][4 * GROUP];
	bool stop;			/* the markers are done: drain and leave */
	const char *failed;
};

struct clearer {
	struct race *race;
	unsigned int nr;
	pthread_t thread;
};

struct marker {
	struct race *race;
	unsigned int nr;
	unsigned long rounds;
	uint64_t state;
	pthread_t thread;
};

static void fail_race(struct race *race, const char *what)
{
	WRITE_ONCE(race->failed, what);
}

static void copy(struct race *race, unsigned long first, unsigned long last)
{
	unsigned long r;
	unsigned int m;

	for (r = first; r <= last; r++)
		for (m = 0; m < race->markers; m++)
			smp_store_release(&race->destination[m][r], READ_ONCE(race->source[m][r]));
}

/* The count is never less than the bits that are there, where only this thread clears any. */
static void check_count(struct race *race)
{
	unsigned long i, n = 0;

	for (i = 0; i < BITS_TO_LONGS(race->nbits); i++)
		n += hweight_long(READ_ONCE(race->b.words[i]));
	smp_rmb();
	if (race->clearers == 1 && bc_bitmap_count(&race->b) < n)
		fail_race(race, "the count is less than the bits that are set");
	if (atomic64_read(&race->b.nr_set) < 0)
		fail_race(race, "the count is negative");
}

static void *copier(void *arg)
{
	struct clearer *me = arg;
	struct race *race = me->race;
	unsigned long from = 0, first, passes = 0;
	double since = 0;

	while (!READ_ONCE(race->failed)) {
		bool stop = smp_load_acquire(&race->stop);

		if (bc_bitmap_next(&race->b, from, &first)) {
			unsigned long run = bc_bitmap_run(&race->b, first, 300);

			if (race->clearers > 1)
				run = run && first % race->clearers == me->nr;
			if (run && bc_bitmap_clear(&race->b, first, first + run - 1))
				copy(race, first, first + run - 1);
			from = first + max(run, 1UL);
			since = 0;
			continue;
		}
		if (from) {
			from = 0;
			if (++passes % 16 == 0)
				check_count(race);
			continue;
		}
		/* Nothing found from the start. */
		if (stop && !bc_bitmap_count(&race->b))
			break;
		if (stop) {
			if (!since)
				since = seconds();
			if (seconds() - since > LOST_AFTER)
				fail_race(race, "a dirty region is not found");
		}
		if (++passes % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Wait until the copier took over write @seq to region @r. */
static void wait_copied(struct race *race, unsigned int m, unsigned long r, unsigned long seq)
{
	unsigned long spins;
	double since = 0;

	for (spins = 1; smp_load_acquire(&race->destination[m][r]) < seq; spins++) {
		if (READ_ONCE(race->failed))
			return;
		if (spins % 256)
			continue;
		sched_yield();
		if (!since)
			since = seconds();
		if (seconds() - since > LOST_AFTER)
			fail_race(race, "a write is not copied");
	}
}

/* With @delays the atomic operations take their time, see SHIM_RACE_POINT(). */
static void run_race_with(struct race *race, unsigned long nbits, unsigned int clearers,
			  unsigned int markers, unsigned long rounds, void *(*marker)(void *),
			  bool delays)
{
	struct clearer copiers[CLEARERS];
	struct marker threads[MARKERS];
	unsigned long r;
	unsigned int m;

	memset(race, 0, sizeof(*race));
	race->nbits = nbits;
	race->markers = markers;
	race->clearers = clearers;
	shim_race = delays;
	setup_bitmap(&race->b, nbits, false);

	for (m = 0; m < clearers; m++) {
		copiers[m] = (struct clearer) { .race = race, .nr = m };
		ck_assert_int_eq(pthread_create(&copiers[m].thread, NULL, copier, &copiers[m]), 0);
	}
	for (m = 0; m < markers; m++) {
		threads[m] = (struct marker) {
			.race = race, .nr = m, .rounds = rounds, .state = unit_seed() + m,
		};
		ck_assert_int_eq(pthread_create(&threads[m].thread, NULL, marker, &threads[m]), 0);
	}
	for (m = 0; m < markers; m++)
		pthread_join(threads[m].thread, NULL);
	smp_store_release(&race->stop, true);
	for (m = 0; m < clearers; m++)
		pthread_join(copiers[m].thread, NULL);
	shim_race = false;

	ck_assert_msg(!race->failed, "%s", race->failed);
	ck_assert_uint_eq(bc_bitmap_count(&race->b), 0);
	ck_assert_int_eq(atomic64_read(&race->b.nr_set), 0);
	for (r = 0; r < BITS_TO_LONGS(nbits); r++)
		unit_assert(!race->b.words[r]);
	for (m = 0; m < markers; m++)
		for (r = 0; r < nbits; r++)
			unit_assert_eq(race->source[m][r], race->destination[m][r]);
	bc_bitmap_exit(&race->b);
}

static void run_race(struct race *race, unsigned long nbits, unsigned int markers,
		     unsigned long rounds, void *(*marker)(void *), bool delays)
{
	run_race_with(race, nbits, 1, markers, rounds, marker, delays);
}

static struct race race;

/*
 * Stores that miss every cache: as stores become visible in order, they hold back the next one, and
 * with it widen the window in which it is not visible yet, from nothing to some 100 ns.
 */
static unsigned long cold[8 << 20 >> 3];

static void delay_stores(uint64_t *state)
{
	int i;

	for (i = 0; i < 3; i++)
		WRITE_ONCE(cold[unit_below(state, ARRAY_SIZE(cold))], i);
}

/*
 * I1, by the smp_mb() of bc_bitmap_mark(): a second write finds the bit of the first still set,
 * while the copier is about to clear it and read.
 */
static void *mark_twice(void *arg)
{
	struct marker *me = arg;
	struct race *race = me->race;
	unsigned long i, seq = 0;

	for (i = 0; i < me->rounds && !READ_ONCE(race->failed); i++) {
		/* Each in a word of its own, on different cache lines. */
		unsigned long r = (me->nr * 16 + i % 4) * BITS_PER_LONG;
		unsigned long n = 2 + i % 3;

		while (n--) {
			delay_stores(&me->state);
			WRITE_ONCE(race->source[me->nr][r], ++seq);
			bc_bitmap_mark(&race->b, r, r);
		}
		wait_copied(race, me->nr, r, seq);
	}
	return NULL;
}

START_TEST(race_mark_twice)
{
	run_race(&race, GROUP, 1, unit_scaled(500000), mark_twice, false);
}
END_TEST

START_TEST(race_mark_twice_many)
{
	run_race(&race, GROUP, MARKERS, unit_scaled(50000), mark_twice, false);
}
END_TEST

/* All in one word, each its own bits: nobody's may get lost, nor come back. */
static void *mark_one_word(void *arg)
{
	struct marker *me = arg;
	struct race *race = me->race;
	unsigned long i, k, seq = 0;

	for (i = 0; i < me->rounds && !READ_ONCE(race->failed); i++) {
		seq++;
		for (k = me->nr; k < BITS_PER_LONG; k += race->markers) {
			WRITE_ONCE(race->source[me->nr][k], seq);
			bc_bitmap_mark(&race->b, k, k);
		}
		for (k = me->nr; k < BITS_PER_LONG; k += race->markers)
			wait_copied(race, me->nr, k, seq);
	}
	return NULL;
}

START_TEST(race_one_word)
{
	run_race(&race, 64, 1 + _i, unit_scaled(20000), mark_one_word, true);
}
END_TEST

/* The summary: a group is emptied while a region of it becomes dirty. */
static void *mark_emptied(void *arg)
{
	struct marker *me = arg;
	struct race *race = me->race;
	unsigned long i, seq = 0;

	for (i = 0; i < me->rounds && !READ_ONCE(race->failed); i++) {
		unsigned long base = unit_below(&me->state, 4) * GROUP;
		unsigned long r = base + me->nr, other = base + GROUP - 1 - me->nr;

		/* The copier goes to empty the group for the one, and meets the other. */
		WRITE_ONCE(race->source[me->nr][other], ++seq);
		bc_bitmap_mark(&race->b, other, other);
		if (i % 2)
			wait_copied(race, me->nr, other, seq);
		WRITE_ONCE(race->source[me->nr][r], ++seq);
		bc_bitmap_mark(&race->b, r, r);
		wait_copied(race, me->nr, r, seq);
	}
	return NULL;
}

START_TEST(race_emptied)
{
	run_race(&race, 4 * GROUP, 1, unit_scaled(200000), mark_emptied, true);
}
END_TEST

START_TEST(race_emptied_many)
{
	run_race(&race, 4 * GROUP, MARKERS, unit_scaled(50000), mark_emptied, true);
}
END_TEST

/* Two that clear: of the regions of one group, and of one word, each has every other one. */
static void *mark_neighbours(void *arg)
{
	struct marker *me = arg;
	struct race *race = me->race;
	unsigned long i, seq = 0;

	for (i = 0; i < me->rounds && !READ_ONCE(race->failed); i++) {
		unsigned long r = unit_below(&me->state, 4) * GROUP + 2 * me->nr;

		seq++;
		WRITE_ONCE(race->source[me->nr][r], seq);
		WRITE_ONCE(race->source[me->nr][r + 1], seq);
		bc_bitmap_mark(&race->b, r, r + 1);
		wait_copied(race, me->nr, r + i % 2, seq);
	}
	return NULL;
}

START_TEST(race_two_clearers)
{
	run_race_with(&race, 4 * GROUP, CLEARERS, 1 + _i, unit_scaled(50000), mark_neighbours, true);
}
END_TEST

/* Ranges and single regions by all, over each other, never waiting. */
static void *mark_ranges(void *arg)
{
	struct marker *me = arg;
	struct race *race = me->race;
	unsigned long i, seq = 0;

	for (i = 0; i < me->rounds && !READ_ONCE(race->failed); i++) {
		unsigned long first, last, r;

		random_range(&me->state, race->nbits, &first, &last);
		if (last - first > 200 && i % 50)
			last = first + 200;
		seq++;
		for (r = first; r <= last; r++)
			WRITE_ONCE(race->source[me->nr][r], seq);
		bc_bitmap_mark(&race->b, first, last);
	}
	return NULL;
}

START_TEST(race_ranges)
{
	run_race(&race, 3 * GROUP + 17, MARKERS, unit_scaled(50000), mark_ranges, true);
}
END_TEST

/* Everything in two words: they all write to the same. */
START_TEST(race_ranges_narrow)
{
	run_race(&race, 100, 1 + _i, unit_scaled(100000), mark_ranges, true);
}
END_TEST

static void no_warnings(void)
{
	ck_assert_uint_eq(shim_warnings, 0);
}

static Suite *bitmap_suite(void)
{
	Suite *suite = suite_create("bitmap");
	TCase *tc = tcase_create("bitmap"), *races = tcase_create("races");

	tcase_add_checked_fixture(tc, NULL, no_warnings);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, init);
	tcase_add_test(tc, init_refuses);
	tcase_add_test(tc, edges);
	tcase_add_test(tc, past_the_end);
	tcase_add_loop_test(tc, random_against_model, 0, ARRAY_SIZE(sizes));
	tcase_add_test(tc, walk);
	suite_add_tcase(suite, tc);

	tcase_add_checked_fixture(races, NULL, no_warnings);
	tcase_set_timeout(races, 600);
	tcase_add_test(races, race_mark_twice);
	tcase_add_test(races, race_mark_twice_many);
	tcase_add_loop_test(races, race_one_word, 0, MARKERS);
	tcase_add_test(races, race_emptied);
	tcase_add_test(races, race_emptied_many);
	tcase_add_loop_test(races, race_two_clearers, 0, MARKERS);
	tcase_add_test(races, race_ranges);
	tcase_add_loop_test(races, race_ranges_narrow, 0, MARKERS);
	suite_add_tcase(suite, races);
	return suite;
}

int main(void)
{
	return unit_main(bitmap_suite());
}

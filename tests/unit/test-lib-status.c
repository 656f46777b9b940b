// SPDX-License-Identifier: GPL-2.0-only
/* The parser of status lines, lib/status.c: strict in what it knows, silent about what it does not. */
#include <errno.h>
#include <string.h>

#include "blockcopy-abi.h"
#include "status.h"
#include "unit.h"

#define HEAD "1 copying 512/131072 128 "
#define PAIRS								\
	"ready 0 paused 1 copy_mode background actively_synced 0 "	\
	"dirty_bytes 100 inflight_bytes 200 copied_bytes 300 dirtied_bytes 400 zeroed_bytes 500 " \
	"rate 600 bandwidth 700 buf_size 16777216 io_status ok source_errors 1 target_errors 2 " \
	"error - blackout_us 18446744073709551615 held 3 event paused events 9"
#define GOOD HEAD "20 " PAIRS

/* What a module of version 0.2 tells beside it. */
#define PAIRS_0_2							\
	"mirroring 1 listing 1 unwritten_bytes 9 mirrored_bytes 10 write_timeout 1000 late_writes 11 timeouts 12 "	\
	"on_source_error ignore on_target_error enospc "				\
	"verify done verify_total_bytes 21 verify_bytes 22 verify_unread_bytes 23 "	\
	"verify_differing_bytes 24 verify_ranges 25 unread_bytes 26 "		\
	"reversals 27 source_only_bytes 28"
#define GOOD_0_2 HEAD "38 " PAIRS_0_2 " " PAIRS

static int parse(const char *line)
{
	struct bcl_status s;

	return bcl_status_parse(line, &s);
}

START_TEST(good)
{
	struct bcl_status s;

	ck_assert_int_eq(bcl_status_parse(GOOD, &s), 0);
	ck_assert_int_eq(s.state, BLOCKCOPY_STATE_ID_COPYING);
	ck_assert_uint_eq(s.synced, 512);
	ck_assert_uint_eq(s.total, 131072);
	ck_assert_uint_eq(s.region_sectors, 128);
	ck_assert(!s.ready);
	ck_assert(s.paused);
	ck_assert_str_eq(s.copy_mode, "background");
	ck_assert(!s.actively_synced);
	ck_assert_uint_eq(s.dirty_bytes, 100);
	ck_assert_uint_eq(s.inflight_bytes, 200);
	ck_assert_uint_eq(s.copied_bytes, 300);
	ck_assert_uint_eq(s.dirtied_bytes, 400);
	ck_assert_uint_eq(s.zeroed_bytes, 500);
	ck_assert_uint_eq(s.rate, 600);
	ck_assert_uint_eq(s.bandwidth, 700);
	ck_assert_uint_eq(s.buf_size, 16777216);
	ck_assert_str_eq(s.io_status, "ok");
	ck_assert_uint_eq(s.source_errors, 1);
	ck_assert_uint_eq(s.target_errors, 2);
	ck_assert_str_eq(s.error, "-");
	ck_assert_uint_eq(s.blackout_us, UINT64_MAX);
	ck_assert_uint_eq(s.held, 3);
	ck_assert_str_eq(s.event, "paused");
	ck_assert_uint_eq(s.events, 9);
}
END_TEST

START_TEST(good_0_2)
{
	struct bcl_status s;

	ck_assert_int_eq(bcl_status_parse(GOOD_0_2, &s), 0);
	ck_assert(s.mirroring);
	ck_assert(!s.actively_synced);
	ck_assert(s.listing);
	ck_assert_uint_eq(s.unwritten_bytes, 9);
	ck_assert_uint_eq(s.mirrored_bytes, 10);
	ck_assert_uint_eq(s.write_timeout, 1000);
	ck_assert_uint_eq(s.late_writes, 11);
	ck_assert_uint_eq(s.timeouts, 12);
	ck_assert_str_eq(s.on_source_error, "ignore");
	ck_assert_str_eq(s.on_target_error, "enospc");
	ck_assert_str_eq(s.verify, "done");
	ck_assert_uint_eq(s.verify_total_bytes, 21);
	ck_assert_uint_eq(s.verify_bytes, 22);
	ck_assert_uint_eq(s.verify_unread_bytes, 23);
	ck_assert_uint_eq(s.verify_differing_bytes, 24);
	ck_assert_uint_eq(s.verify_ranges, 25);
	ck_assert_uint_eq(s.unread_bytes, 26);
	ck_assert_uint_eq(s.reversals, 27);
	ck_assert_uint_eq(s.source_only_bytes, 28);
	ck_assert_uint_eq(s.events, 9);
}
END_TEST

/* Of a module that does not have them, all or some: not told. */
START_TEST(older_module)
{
	struct bcl_status s;

	memset(&s, 0xff, sizeof(s));
	ck_assert_int_eq(bcl_status_parse(GOOD, &s), 0);
	ck_assert(!s.mirroring);
	ck_assert_uint_eq(s.mirrored_bytes, 0);
	ck_assert_uint_eq(s.write_timeout, 0);
	ck_assert_uint_eq(s.late_writes, 0);
	ck_assert_uint_eq(s.timeouts, 0);
	ck_assert_str_eq(s.verify, "");
	ck_assert_str_eq(s.on_source_error, "");
	ck_assert_str_eq(s.on_target_error, "");
	ck_assert_int_eq(bcl_status_parse(HEAD "21 write_timeout 5 " PAIRS, &s), 0);
	ck_assert_uint_eq(s.write_timeout, 5);

	/* But what is told must be right. */
	ck_assert_int_eq(parse(HEAD "21 mirroring 2 " PAIRS), -EBADMSG);
	ck_assert_int_eq(parse(HEAD "21 late_writes -1 " PAIRS), -EBADMSG);
	ck_assert_int_eq(parse(HEAD "22 timeouts 1 timeouts 1 " PAIRS), -EBADMSG);
}
END_TEST

/* None of the first version's may be missing, also where there are enough of others. */
START_TEST(missing_key)
{
	static const char pairs[] = PAIRS;
	const char *at = pairs;

	while (*at) {
		const char *rest = at + strcspn(at, " ") + 1;
		char line[2048];

		rest += strcspn(rest, " ");
		rest += *rest == ' ';
		snprintf(line, sizeof(line), HEAD "26 " PAIRS_0_2 " %.*s%s", (int)(at - pairs),
			 pairs, rest);
		ck_assert_msg(parse(line) == -EBADMSG, "\"%s\"", line);
		at = rest;
	}
}
END_TEST

/* Any order, and keys of a newer module, wherever they stand. */
START_TEST(unknown_keys)
{
	struct bcl_status s;

	ck_assert_int_eq(bcl_status_parse(HEAD "22 new_key 5 " PAIRS " another some-word", &s), 0);
	ck_assert_uint_eq(s.events, 9);
	/* A value that is the name of a key is a value. */
	ck_assert_int_eq(bcl_status_parse(HEAD "21 new_key ready " PAIRS, &s), 0);
	ck_assert(!s.ready);
}
END_TEST

START_TEST(bad)
{
	static const char *const lines[] = {
		"", " ", "x", "1", "1 copying", "1 copying 1/2 128", HEAD, HEAD "0",
		HEAD "19 " PAIRS,			/* one pair too many */
		HEAD "21 " PAIRS,			/* one too few */
		HEAD "20 " PAIRS " extra",		/* half a pair */
		HEAD "21 " PAIRS " ready 0",		/* twice */
		HEAD "-1 " PAIRS,
		HEAD "18446744073709551616 " PAIRS,
		"1 sleeping 512/131072 128 20 " PAIRS,
		"1 copying 512 128 20 " PAIRS,
		"1 copying 512/ 128 20 " PAIRS,
		"1 copying /512 128 20 " PAIRS,
		"1 copying 513/512 128 20 " PAIRS,
		"1 copying 1/2/3 128 20 " PAIRS,
		"1 copying 0/1 100 20 " PAIRS,		/* no power of two */
		"1 copying 0/1 4 20 " PAIRS,
		"1 copying 0/1 262144 20 " PAIRS,
		"one copying 0/1 128 20 " PAIRS,
	};

	for (size_t i = 0; i < ELEMENTSOF(lines); i++)
		ck_assert_msg(parse(lines[i]) == -EBADMSG, "\"%s\"", lines[i]);
}
END_TEST

START_TEST(versions)
{
	ck_assert_int_eq(parse("2 copying 0/1 128 0"), -EPROTONOSUPPORT);
	ck_assert_int_eq(parse("0 x"), -EPROTONOSUPPORT);
	ck_assert_int_eq(parse("2 words in another order"), -EPROTONOSUPPORT);
}
END_TEST

/* Replace the value of one key. */
static void with_value(char *buf, size_t size, const char *key, const char *value)
{
	const char *at = strstr(GOOD, key), *rest;

	ck_assert_ptr_nonnull(at);
	at += strlen(key) + 1;
	rest = at + strcspn(at, " ");
	snprintf(buf, size, "%.*s%s%s", (int)(at - GOOD), GOOD, value, rest);
}

START_TEST(values)
{
	char line[2048], word[BCL_STATUS_WORD_MAX + 1];

	with_value(line, sizeof(line), " ready", "2");
	ck_assert_int_eq(parse(line), -EBADMSG);
	with_value(line, sizeof(line), " paused", "yes");
	ck_assert_int_eq(parse(line), -EBADMSG);
	with_value(line, sizeof(line), "dirty_bytes", "-1");
	ck_assert_int_eq(parse(line), -EBADMSG);
	with_value(line, sizeof(line), "rate", "18446744073709551616");
	ck_assert_int_eq(parse(line), -EBADMSG);

	memset(word, 'w', sizeof(word));
	word[BCL_STATUS_WORD_MAX] = '\0';
	with_value(line, sizeof(line), "io_status", word);
	ck_assert_int_eq(parse(line), -EBADMSG);
	word[BCL_STATUS_WORD_MAX - 1] = '\0';
	with_value(line, sizeof(line), "io_status", word);
	ck_assert_int_eq(parse(line), 0);
}
END_TEST

/* Each prefix of a good line is bad, and read within its bounds (valgrind, ASan). */
START_TEST(truncated)
{
	size_t len = strlen(GOOD_0_2);

	for (size_t n = 0; n < len; n++) {
		char *line = strndup(GOOD_0_2, n);
		struct bcl_status s = { .held = 4711 };

		ck_assert_int_lt(bcl_status_parse(line, &s), 0);
		ck_assert_uint_eq(s.held, 4711);	/* untouched */
		free(line);
	}
}
END_TEST

START_TEST(garbage)
{
	static const char alphabet[] = "0123456789 /-:abcdefkoprstuy_\t\n\x80\xff";
	uint64_t seed = unit_seed();
	unsigned long n = unit_scaled(200000);

	while (n--) {
		char line[sizeof(GOOD_0_2)];
		struct bcl_status s;
		unsigned int edits = 1 + unit_below(&seed, 8);

		memcpy(line, GOOD_0_2, sizeof(line));
		while (edits--)
			line[unit_below(&seed, sizeof(line) - 1)] =
				alphabet[unit_below(&seed, sizeof(alphabet) - 1)];
		if (bcl_status_parse(line, &s) == 0) {
			unit_assert(s.synced <= s.total);
			unit_assert(s.state >= 0 && s.state < BLOCKCOPY_STATE_ID_MAX);
			unit_assert(strlen(s.error) < BCL_STATUS_WORD_MAX);
			unit_assert(strlen(s.on_target_error) < BCL_STATUS_WORD_MAX);
		}
	}
}
END_TEST

START_TEST(states)
{
	for (int i = 0; i < BLOCKCOPY_STATE_ID_MAX; i++)
		ck_assert_int_eq(bcl_state_from_string(bcl_state_to_string(i)), i);
	ck_assert_int_eq(bcl_state_from_string(""), BLOCKCOPY_STATE_ID_INVALID);
	ck_assert_int_eq(bcl_state_from_string("Ready"), BLOCKCOPY_STATE_ID_INVALID);
	ck_assert_ptr_null(bcl_state_to_string(BLOCKCOPY_STATE_ID_MAX));
	ck_assert_ptr_null(bcl_state_to_string(BLOCKCOPY_STATE_ID_INVALID));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-status");
	TCase *t = tcase_create("status");

	tcase_set_timeout(t, 0);
	tcase_add_test(t, good);
	tcase_add_test(t, good_0_2);
	tcase_add_test(t, older_module);
	tcase_add_test(t, missing_key);
	tcase_add_test(t, unknown_keys);
	tcase_add_test(t, bad);
	tcase_add_test(t, versions);
	tcase_add_test(t, values);
	tcase_add_test(t, truncated);
	tcase_add_test(t, garbage);
	tcase_add_test(t, states);
	suite_add_tcase(s, t);
	return unit_main(s);
}

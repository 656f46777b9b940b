// SPDX-License-Identifier: GPL-2.0-only
/* The words of a table line, in and out: kmod/bc-args.c. */
#include <errno.h>
#include <string.h>

#include <linux/kernel.h>

#include "bc-args.h"
#include "unit.h"

#define MAX_WORDS	40

/*
 * Parse a line, cut at its blanks. @error is NULL if the parser did not tell. @args points into the
 * words of the line, which are kept for a few more calls.
 */
static int parse(const char *line, struct bc_args *args, char **error)
{
	char *argv[MAX_WORDS], *word, *rest;
	static char copies[4][1024];
	static unsigned int turn;
	char *copy = copies[turn++ % ARRAY_SIZE(copies)];
	unsigned int argc = 0;

	ck_assert_uint_lt(strlen(line), sizeof(copies[0]));
	strcpy(copy, line);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		ck_assert_uint_lt(argc, MAX_WORDS);
		argv[argc++] = word;
	}
	*error = NULL;
	return bc_args_parse(args, argc, argv, error);
}

static struct bc_args parse_good(const char *line)
{
	struct bc_args args;
	char *error;
	int r = parse(line, &args, &error);

	ck_assert_msg(!r, "\"%s\": %d, %s", line, r, error);
	ck_assert_msg(!error, "\"%s\" is fine, but: %s", line, error);
	return args;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void assert_same(const struct bc_args *a, const struct bc_args *b, const char *line)
{
	ck_assert_msg(a->region_sectors == b->region_sectors && a->copy_mode == b->copy_mode &&
		      a->sync == b->sync && a->detect_zeroes == b->detect_zeroes &&
		      a->target_is_zero == b->target_is_zero && a->compare == b->compare &&
		      a->bandwidth == b->bandwidth && a->buf_size == b->buf_size &&
		      a->write_timeout == b->write_timeout &&
		      a->on_source_error == b->on_source_error &&
		      a->on_target_error == b->on_target_error && a->paused == b->paused &&
		      a->pivoted == b->pivoted && a->finished == b->finished &&
		      same_text(a->metadata, b->metadata),
		      "\"%s\" means something else", line);
}

START_TEST(defaults)
{
	static const char * const lines[] = { "128", "128 0" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		struct bc_args args = parse_good(lines[i]);

		ck_assert_uint_eq(args.region_sectors, 128);
		ck_assert_int_eq(args.copy_mode, BC_COPY_MODE_AUTO);
		ck_assert_int_eq(args.sync, BC_SYNC_FULL);
		ck_assert_int_eq(args.detect_zeroes, BC_DETECT_ZEROES_UNMAP);
		ck_assert_uint_eq(args.bandwidth, 0);
		ck_assert_uint_eq(args.buf_size, BLOCKCOPY_BUF_SIZE_DEFAULT);
		ck_assert_uint_eq(args.write_timeout, BLOCKCOPY_WRITE_TIMEOUT_DEFAULT);
		ck_assert_int_eq(args.on_source_error, BC_POLICY_REPORT);
		ck_assert_int_eq(args.on_target_error, BC_POLICY_REPORT);
		ck_assert(!args.paused && !args.pivoted && !args.finished);
	}
}
END_TEST

static const char * const mode_words[BC_COPY_MODE_MAX] = {
	[BC_COPY_MODE_BACKGROUND] = "background",
	[BC_COPY_MODE_WRITE_BLOCKING] = "write-blocking",
	[BC_COPY_MODE_AUTO] = "auto",
};

static const char * const policy_words[BC_POLICY_MAX] = {
	[BC_POLICY_REPORT] = "report",
	[BC_POLICY_IGNORE] = "ignore",
	[BC_POLICY_ENOSPC] = "enospc",
	[BC_POLICY_STOP] = "stop",
};

/* The words are the contract, the numbers behind them are not. */
START_TEST(modes_and_policies)
{
	char line[64];
	unsigned int i;

	for (i = 0; i < BC_COPY_MODE_MAX; i++) {
		snprintf(line, sizeof(line), "8 2 copy_mode %s", mode_words[i]);
		ck_assert_uint_eq(parse_good(line).copy_mode, i);
		ck_assert_str_eq(bc_copy_mode_names[i], mode_words[i]);
	}
	for (i = 0; i < BC_POLICY_MAX; i++) {
		struct bc_args args;

		snprintf(line, sizeof(line), "8 2 on_source_error %s", policy_words[i]);
		args = parse_good(line);
		ck_assert_uint_eq(args.on_source_error, i);
		ck_assert_uint_eq(args.on_target_error, BC_POLICY_REPORT);
		snprintf(line, sizeof(line), "8 2 on_target_error %s", policy_words[i]);
		args = parse_good(line);
		ck_assert_uint_eq(args.on_target_error, i);
		ck_assert_uint_eq(args.on_source_error, BC_POLICY_REPORT);
		ck_assert_str_eq(bc_policy_names[i], policy_words[i]);
	}
}
END_TEST

START_TEST(each_argument)
{
	struct bc_args args;

	ck_assert_int_eq(parse_good("8 2 sync full").sync, BC_SYNC_FULL);
	ck_assert_int_eq(parse_good("8 2 sync none").sync, BC_SYNC_NONE);
	ck_assert_int_eq(parse_good("8 2 detect_zeroes off").detect_zeroes, BC_DETECT_ZEROES_OFF);
	ck_assert_int_eq(parse_good("8 2 detect_zeroes on").detect_zeroes, BC_DETECT_ZEROES_ON);
	args = parse_good("8 2 detect_zeroes unmap");
	ck_assert_int_eq(args.detect_zeroes, BC_DETECT_ZEROES_UNMAP);
	ck_assert_uint_eq(parse_good("8 2 bandwidth 0").bandwidth, 0);
	ck_assert_uint_eq(parse_good("8 2 bandwidth 1").bandwidth, 1);
	ck_assert_uint_eq(parse_good("8 2 bandwidth 18446744073709551615").bandwidth, U64_MAX);
	ck_assert_uint_eq(parse_good("8 2 buf_size 1048576").buf_size, BLOCKCOPY_BUF_SIZE_MIN);
	ck_assert_uint_eq(parse_good("8 2 buf_size 268435456").buf_size, BLOCKCOPY_BUF_SIZE_MAX);
	ck_assert_uint_eq(parse_good("8 2 buf_size 1048577").buf_size, BLOCKCOPY_BUF_SIZE_MIN + 1);
	ck_assert_uint_eq(parse_good("8 2 write_timeout 10").write_timeout, 10);
	ck_assert_uint_eq(parse_good("8 2 write_timeout 1001").write_timeout, 1001);
	ck_assert_uint_eq(parse_good("8 2 write_timeout 60000").write_timeout, 60000);

	ck_assert(!args.target_is_zero);
	ck_assert(parse_good("8 1 target_is_zero").target_is_zero);
	ck_assert(parse_good("8 3 sync full target_is_zero").target_is_zero);
	ck_assert(parse_good("8 3 sync ranges target_is_zero").target_is_zero);
	ck_assert_int_eq(parse_good("8 2 sync ranges").sync, BC_SYNC_RANGES);
	ck_assert(!args.compare);
	ck_assert(parse_good("8 3 compare sync none").compare);

	args = parse_good("8 1 paused");
	ck_assert(args.paused && !args.pivoted && !args.finished);
	args = parse_good("8 1 pivoted");
	ck_assert(!args.paused && args.pivoted && !args.finished);
	args = parse_good("8 1 finished");
	ck_assert(!args.paused && !args.pivoted && args.finished);

	args = parse_good("131072 18 finished paused on_target_error stop on_source_error ignore "
			  "buf_size 2097152 detect_zeroes on bandwidth 5 sync none "
			  "write_timeout 250 copy_mode write-blocking");
	ck_assert_uint_eq(args.region_sectors, 131072);
	ck_assert(args.paused && args.finished);
	ck_assert_uint_eq(args.buf_size, 2097152);
	ck_assert_int_eq(args.detect_zeroes, BC_DETECT_ZEROES_ON);
	ck_assert_uint_eq(args.bandwidth, 5);
	ck_assert_int_eq(args.sync, BC_SYNC_NONE);
	ck_assert_uint_eq(args.write_timeout, 250);
	ck_assert_int_eq(args.copy_mode, BC_COPY_MODE_WRITE_BLOCKING);
	ck_assert_int_eq(args.on_source_error, BC_POLICY_IGNORE);
	ck_assert_int_eq(args.on_target_error, BC_POLICY_STOP);
}
END_TEST

START_TEST(region_sizes)
{
	struct bc_args args;
	char line[32], *error;
	u64 sectors;

	for (sectors = 0; sectors <= 3 * (u64)BLOCKCOPY_REGION_SECTORS_MAX; sectors++) {
		bool good = sectors >= BLOCKCOPY_REGION_SECTORS_MIN &&
			    sectors <= BLOCKCOPY_REGION_SECTORS_MAX && !(sectors & (sectors - 1));

		/* All that are near a power of two. */
		if (sectors > 64 && (sectors & (sectors - 1)) && ((sectors + 1) & sectors) &&
		    sectors % 997)
			continue;
		snprintf(line, sizeof(line), "%llu", sectors);
		ck_assert_msg((parse(line, &args, &error) == 0) == good, "%s", line);
		if (good)
			ck_assert_uint_eq(args.region_sectors, sectors);
	}
}
END_TEST

/* Lines that are refused, and a word that the sentence about it has. */
static const struct {
	const char *line, *told;
} bad[] = {
	{ "",					"Region size" },
	{ "x",					"Region size" },
	{ "-8",					"Region size" },
	{ "8.0",				"Region size" },
	{ "8k",					"Region size" },
	{ "0x80",				"Region size" },
	{ "4294967304",				"Region size" },	/* 8 modulo 2^32 */
	{ "18446744073709551616",		"Region size" },
	{ "8 x",				"Number" },
	{ "8 -1",				"Number" },
	{ "8 4294967296",			"Number" },
	{ "8 1",				"Number" },
	{ "8 0 paused",				"Number" },
	{ "8 2 paused",				"Number" },
	{ "8 1 sync full",			"Number" },
	{ "8 4294967295 paused",		"Number" },
	{ "8 1 nonsense",			"Unknown" },
	{ "8 1 Paused",				"Unknown" },
	{ "8 2 paused x",			"Unknown" },
	{ "8 1 sync",				"value" },
	{ "8 2 paused sync",			"value" },
	{ "8 1 bandwidth",			"value" },
	{ "8 2 paused paused",			"twice" },
	{ "8 4 sync full sync full",		"twice" },
	{ "8 4 bandwidth 1 bandwidth 2",	"twice" },
	{ "8 3 on_source_error report on_source_error", "twice" },
	{ "8 4 write_timeout 10 write_timeout 10", "twice" },
	{ "8 1 write_timeout",			"value" },
	{ "8 2 copy_mode write_blocking",	"copy_mode" },
	{ "8 2 copy_mode Auto",			"copy_mode" },
	{ "8 2 copy_mode back",			"copy_mode" },
	{ "8 2 sync bitmap",			"sync bitmap: need metadata" },
	{ "8 1 metadata",			"value" },
	{ "8 4 metadata a metadata a",		"twice" },
	{ "8 2 bandwidth x",			"bandwidth" },
	{ "8 2 bandwidth -1",			"bandwidth" },
	{ "8 2 bandwidth 1M",			"bandwidth" },
	{ "8 2 bandwidth 18446744073709551616",	"bandwidth" },
	{ "8 2 bandwidth paused",		"bandwidth" },
	{ "8 2 buf_size 1048575",		"buf_size" },
	{ "8 2 buf_size 268435457",		"buf_size" },
	{ "8 2 buf_size 0",			"buf_size" },
	{ "8 2 detect_zeroes yes",		"detect_zeroes" },
	{ "8 2 write_timeout 9",		"write_timeout" },
	{ "8 2 write_timeout 60001",		"write_timeout" },
	{ "8 2 write_timeout 0",		"write_timeout" },
	{ "8 2 write_timeout -10",		"write_timeout" },
	{ "8 2 write_timeout 1s",		"write_timeout" },
	{ "8 2 write_timeout 4294967306",	"write_timeout" },	/* 10 modulo 2^32 */
	{ "8 2 on_source_error retry",		"on_source_error" },
	{ "8 2 on_source_error ign",		"on_source_error" },
	{ "8 2 on_target_error ENOSPC",		"on_target_error" },
	{ "8 2 on_target_error paused",		"on_target_error" },
	{ "8 2 pivoted finished",		"exclude" },
	{ "8 2 finished pivoted",		"exclude" },
	{ "8 3 target_is_zero sync none",	"sync full" },
	{ "8 5 sync bitmap metadata a target_is_zero", "sync full" },
	{ "8 2 target_is_zero target_is_zero",	"twice" },
	{ "8 2 compare compare",		"twice" },
};

START_TEST(refused)
{
	struct bc_args args;
	char *error;
	int r = parse(bad[_i].line, &args, &error);

	ck_assert_msg(r == -EINVAL, "\"%s\": %d", bad[_i].line, r);
	ck_assert_msg(error != NULL, "\"%s\": no reason told", bad[_i].line);
	ck_assert_msg(strstr(error, bad[_i].told) != NULL, "\"%s\": %s", bad[_i].line, error);
	ck_assert_msg(error[strlen(error) - 1] != '.', "\"%s\": %s", bad[_i].line, error);
}
END_TEST

/* What comes out goes in again and means the same; returns its length. */
static size_t assert_round_trip(const struct bc_args *args)
{
	char line[512], again[512];
	struct bc_args parsed;
	unsigned int n;

	memset(line, '#', sizeof(line));
	n = bc_args_format(args, line, sizeof(line));
	ck_assert_uint_eq(n, strlen(line));
	parsed = parse_good(line);
	assert_same(args, &parsed, line);

	n = bc_args_format(&parsed, again, sizeof(again));
	ck_assert_uint_eq(n, strlen(again));
	ck_assert_str_eq(line, again);
	return n;
}

START_TEST(round_trip)
{
	static const u64 bandwidths[] = { 0, 1, 104857600, U64_MAX };
	static const u64 buf_sizes[] = {
		BLOCKCOPY_BUF_SIZE_MIN, BLOCKCOPY_BUF_SIZE_DEFAULT, BLOCKCOPY_BUF_SIZE_MAX,
	};
	static const u32 regions[] = {
		BLOCKCOPY_REGION_SECTORS_MIN, 128, BLOCKCOPY_REGION_SECTORS_MAX,
	};
	static const u32 timeouts[] = {
		BLOCKCOPY_WRITE_TIMEOUT_MIN, BLOCKCOPY_WRITE_TIMEOUT_DEFAULT,
		BLOCKCOPY_WRITE_TIMEOUT_MAX,
	};
	unsigned int sync, zeroes, i, j, k, paused, end, n = 0;

	for (sync = 0; sync < BC_SYNC_MAX; sync++)
	for (zeroes = 0; zeroes < BC_DETECT_ZEROES_MAX; zeroes++)
	for (i = 0; i < ARRAY_SIZE(bandwidths); i++)
	for (j = 0; j < ARRAY_SIZE(buf_sizes); j++)
	for (k = 0; k < ARRAY_SIZE(regions); k++)
	for (paused = 0; paused < 2; paused++)
	for (end = 0; end < 3; end++) {
		struct bc_args args = {
			.region_sectors = regions[k],
			.sync = sync,
			.detect_zeroes = zeroes,
			.bandwidth = bandwidths[i],
			.buf_size = buf_sizes[j],
			/* Each with each of the others above, over the many rounds. */
			.copy_mode = n % BC_COPY_MODE_MAX,
			.write_timeout = timeouts[n / 3 % ARRAY_SIZE(timeouts)],
			.on_source_error = n / 5 % BC_POLICY_MAX,
			.on_target_error = n / 7 % BC_POLICY_MAX,
			.target_is_zero = sync == BC_SYNC_FULL && n % 3 == 1,
			.compare = n / 2 % 2,
			.paused = paused,
			.pivoted = end == 1,
			.finished = end == 2,
			/* "bitmap" needs it, the others may have it. */
			.metadata = sync == BC_SYNC_BITMAP || n % 2 ? "254:17" : NULL,
		};

		assert_round_trip(&args);
		n++;
	}
}
END_TEST

/* All of the modes and policies with each other. */
START_TEST(round_trip_policies)
{
	unsigned int mode, source, target;

	for (mode = 0; mode < BC_COPY_MODE_MAX; mode++)
	for (source = 0; source < BC_POLICY_MAX; source++)
	for (target = 0; target < BC_POLICY_MAX; target++) {
		struct bc_args args = parse_good("128");

		args.copy_mode = mode;
		args.on_source_error = source;
		args.on_target_error = target;
		assert_round_trip(&args);
	}
}
END_TEST

static size_t longest(const char *const *words, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len = max(len, strlen(words[n]));
	return len;
}

/* Every word at its longest: nothing may be cut, or the table would load as something else. */
START_TEST(longest_line)
{
	static const char line[] =
		"131072 18 copy_mode write-blocking sync none bandwidth 18446744073709551615 "
		"buf_size 268435456 write_timeout 60000 on_source_error ignore "
		"on_target_error enospc detect_zeroes off paused finished";
	struct bc_args args = parse_good(line);
	char formatted[512];

	ck_assert_uint_eq(longest(mode_words, BC_COPY_MODE_MAX), strlen("write-blocking"));
	ck_assert_uint_eq(longest(policy_words, BC_POLICY_MAX), strlen("ignore"));
	assert_round_trip(&args);
	bc_args_format(&args, formatted, sizeof(formatted));
	ck_assert_str_eq(formatted, line);
}
END_TEST

/* What may change live is set by name, alone, and by the rules of the table line. */
START_TEST(set)
{
	struct bc_args args = parse_good("128"), want = args;
	char *error = NULL;
	unsigned int i;

	ck_assert_int_eq(bc_args_set(&args, "bandwidth", "5", &error), 0);
	want.bandwidth = 5;
	assert_same(&args, &want, "bandwidth");
	ck_assert_int_eq(bc_args_set(&args, "buf_size", "1048576", &error), 0);
	want.buf_size = 1048576;
	assert_same(&args, &want, "buf_size");
	ck_assert_int_eq(bc_args_set(&args, "write_timeout", "60000", &error), 0);
	want.write_timeout = 60000;
	assert_same(&args, &want, "write_timeout");
	for (i = 0; i < BC_COPY_MODE_MAX; i++) {
		ck_assert_int_eq(bc_args_set(&args, "copy_mode", mode_words[i], &error), 0);
		want.copy_mode = i;
		assert_same(&args, &want, mode_words[i]);
	}
	for (i = BC_POLICY_MAX; i--;) {
		ck_assert_int_eq(bc_args_set(&args, "on_source_error", policy_words[i], &error), 0);
		want.on_source_error = i;
		assert_same(&args, &want, policy_words[i]);
	}
	for (i = BC_POLICY_MAX; i--;) {
		ck_assert_int_eq(bc_args_set(&args, "on_target_error", policy_words[i], &error), 0);
		want.on_target_error = i;
		assert_same(&args, &want, policy_words[i]);
	}
	ck_assert_msg(!error, "all were fine, but: %s", error);
}
END_TEST

/* Refused by "set", with a word of the sentence about it. */
static const struct {
	const char *name, *value, *told;
} bad_set[] = {
	{ "sync",		"none",			"need bandwidth" },
	{ "paused",		"",			"need bandwidth" },
	{ "pivoted",		"1",			"need bandwidth" },
	{ "finished",		"1",			"need bandwidth" },
	{ "detect_zeroes",	"on",			"need bandwidth" },
	{ "nonsense",		"1",			"need bandwidth" },
	{ "",			"1",			"need bandwidth" },
	{ "Bandwidth",		"1",			"need bandwidth" },
	{ "band",		"1",			"need bandwidth" },
	{ "buf-size",		"1048576",		"need bandwidth" },
	{ "bandwidth",		"",			"bandwidth: " },
	{ "bandwidth",		"x",			"bandwidth: " },
	{ "bandwidth",		"18446744073709551616",	"bandwidth: " },
	{ "buf_size",		"1048575",		"buf_size: " },
	{ "buf_size",		"268435457",		"buf_size: " },
	{ "write_timeout",	"9",			"write_timeout: " },
	{ "write_timeout",	"60001",		"write_timeout: " },
	{ "write_timeout",	"",			"write_timeout: " },
	{ "copy_mode",		"",			"copy_mode: " },
	{ "copy_mode",		"sync",			"copy_mode: " },
	{ "on_source_error",	"",			"on_source_error: " },
	{ "on_source_error",	"fail",			"on_source_error: " },
	{ "on_target_error",	"reports",		"on_target_error: " },
};

START_TEST(set_refused)
{
	/* Not one value is a default, so that one that was reset would show. */
	struct bc_args before = parse_good("256 17 copy_mode background sync none bandwidth 7 "
					   "buf_size 2097152 write_timeout 77 paused "
					   "on_source_error stop on_target_error ignore "
					   "detect_zeroes off");
	struct bc_args args = before;
	char *error = NULL;
	int r = bc_args_set(&args, bad_set[_i].name, bad_set[_i].value, &error);

	ck_assert_msg(r == -EINVAL, "%s %s: %d", bad_set[_i].name, bad_set[_i].value, r);
	ck_assert_msg(error != NULL, "%s: no reason told", bad_set[_i].name);
	ck_assert_msg(strstr(error, bad_set[_i].told) == error, "%s %s: %s", bad_set[_i].name,
		      bad_set[_i].value, error);
	assert_same(&args, &before, bad_set[_i].name);
}
END_TEST

/* A buffer that is too small is cut, and not written past. */
START_TEST(format_cut)
{
	struct bc_args args = parse_good("131072 18 sync none bandwidth 18446744073709551615 "
					 "buf_size 1048576 detect_zeroes off paused finished "
					 "copy_mode write-blocking write_timeout 60000 "
					 "on_source_error ignore on_target_error enospc");
	char all[512], cut[512];
	unsigned int size, n = bc_args_format(&args, all, sizeof(all));

	for (size = 1; size <= n + 1; size++) {
		memset(cut, '#', sizeof(cut));
		ck_assert_uint_eq(bc_args_format(&args, cut, size), size - 1);
		ck_assert_int_eq(memcmp(cut, all, size - 1), 0);
		ck_assert_int_eq(cut[size - 1], '\0');
		ck_assert_int_eq(cut[size], '#');
	}
}
END_TEST

/* Lines of random words: refused with a reason, or they survive the round trip. */
START_TEST(random_words)
{
	static const char * const words[] = {
		"copy_mode", "background", "sync", "full", "none", "bandwidth", "buf_size",
		"1048576", "0", "1", "7", "detect_zeroes", "off", "on", "unmap", "on_source_error",
		"on_target_error", "report", "paused", "pivoted", "finished", "+5", "nonsense",
		"18446744073709551615", "write-blocking", "auto", "write_timeout", "60000",
		"ignore", "enospc", "stop",
	};
	uint64_t state = unit_seed();
	unsigned long i, accepted = 0;

	for (i = 0; i < unit_scaled(300000); i++) {
		unsigned int nr = unit_below(&state, 6), n, k;
		char line[512], *error;
		struct bc_args args;

		n = sprintf(line, "64 %u", nr);
		for (k = 0; k < nr; k++)
			n += sprintf(line + n, " %s", words[unit_below(&state, ARRAY_SIZE(words))]);
		if (!parse(line, &args, &error)) {
			accepted++;
			assert_round_trip(&args);
		} else {
			unit_assert(error);
		}
	}
	ck_assert_uint_gt(accepted, 0);
}
END_TEST

static Suite *args_suite(void)
{
	Suite *suite = suite_create("args");
	TCase *tc = tcase_create("args");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, modes_and_policies);
	tcase_add_test(tc, each_argument);
	tcase_add_test(tc, region_sizes);
	tcase_add_loop_test(tc, refused, 0, ARRAY_SIZE(bad));
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, round_trip_policies);
	tcase_add_test(tc, longest_line);
	tcase_add_test(tc, set);
	tcase_add_loop_test(tc, set_refused, 0, ARRAY_SIZE(bad_set));
	tcase_add_test(tc, format_cut);
	tcase_add_test(tc, random_words);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return unit_main(args_suite());
}

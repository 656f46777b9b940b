// SPDX-License-Identifier: GPL-2.0-only
/* Tables as data, lib/table.c. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "table.h"
#include "unit.h"

static struct bcl_table *table_of(const char *const (*lines)[2], size_t n)
{
	struct bcl_table *t;

	ck_assert_int_eq(bcl_table_new(&t), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(bcl_table_add(t, i * 8, 8, lines[i][0], lines[i][1]), 0);
	return t;
}

START_TEST(tables)
{
	static const char *const two[][2] = { { "linear", "8:0 0" }, { "striped", "2 8 8:0 1 8:1 1" } };
	struct bcl_table *a = table_of(two, 2), *b = table_of(two, 2), *c = table_of(two, 1);
	char *text;

	ck_assert(bcl_table_equal(a, b));
	ck_assert(!bcl_table_equal(a, c));
	ck_assert_uint_eq(bcl_table_len(a), 16);
	ck_assert(bcl_table_has(a, "striped"));
	ck_assert(!bcl_table_has(a, "stripe"));
	ck_assert(bcl_table_is_one(c, "linear"));
	ck_assert(!bcl_table_is_one(a, "linear"));
	ck_assert_int_eq(bcl_table_text(a, "> ", false, &text), 0);
	ck_assert_str_eq(text, "> 0 8 linear 8:0 0\n> 8 8 striped 2 8 8:0 1 8:1 1\n");
	free(text);

	free(b->lines[1].params);
	b->lines[1].params = strdup("2 8 8:0 1 8:1 2");
	ck_assert(!bcl_table_equal(a, b));
	bcl_table_free(a);
	bcl_table_free(b);
	bcl_table_free(c);
	bcl_table_free(NULL);
}
END_TEST

START_TEST(keys)
{
	static const struct {
		const char *params, *shown;
	} cases[] = {
		{ "aes-xts-plain64 00ff11ee 0 8:0 4096", "aes-xts-plain64 00000000 0 8:0 4096" },
		{ "aes-xts-plain64 :32:logon:x 0 8:0 0", "aes-xts-plain64 :32:logon:x 0 8:0 0" },
		{ "aes - 0 8:0 0", "aes 0 0 8:0 0" },
		{ "aes", "aes" },
		{ "aes abcd", "aes 0000" },
		{ "", "" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const char *line[1][2] = { { "crypt", cases[i].params } };
		struct bcl_table *t = table_of(line, 1);
		char *text, want[128];

		snprintf(want, sizeof(want), "0 8 crypt%s%s\n", *cases[i].shown ? " " : "",
			 cases[i].shown);
		ck_assert_int_eq(bcl_table_text(t, "", false, &text), 0);
		ck_assert_str_eq(text, want);
		free(text);
		ck_assert_int_eq(bcl_table_text(t, "", true, &text), 0);
		ck_assert_ptr_nonnull(strstr(text, cases[i].params));
		free(text);
		bcl_table_free(t);
	}
}
END_TEST

START_TEST(linear)
{
	static const char *const bad[] = { "", "8:0", "8:0 x", "8:0 1 2", "8:0 -1", "8:0 99999999999999999999" };
	char *dev = NULL;
	uint64_t offset;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		ck_assert_msg(bcl_linear_parse(bad[i], &dev, &offset) < 0, "\"%s\"", bad[i]);
	ck_assert_ptr_null(dev);
	ck_assert_int_eq(bcl_linear_parse("8:16 2048", &dev, &offset), 0);
	ck_assert_str_eq(dev, "8:16");
	ck_assert_uint_eq(offset, 2048);
	free(dev);
}
END_TEST

START_TEST(below)
{
	static const struct {
		const char *type, *params;
	} others[] = { { "linear", "/dev/sda 0" }, { "striped", "8:16 0" }, { "linear", "8:16 x" } };
	struct bcl_table *t;
	uint64_t offset = 7;
	dev_t dev = 7;

	for (size_t i = 0; i < ELEMENTSOF(others); i++) {
		ck_assert_int_eq(bcl_table_new(&t), 0);
		ck_assert_int_eq(bcl_table_add(t, 0, 8, others[i].type, others[i].params), 0);
		ck_assert(!bcl_table_below(t, &dev, &offset));
		bcl_table_free(t);
	}
	ck_assert_int_eq(bcl_table_new(&t), 0);
	ck_assert(!bcl_table_below(t, &dev, &offset));
	ck_assert(dev == 7 && offset == 7);
	ck_assert_int_eq(bcl_table_add(t, 0, 8, "linear", "8:16 2048"), 0);
	ck_assert(bcl_table_below(t, &dev, &offset));
	ck_assert(dev == makedev(8, 16) && offset == 2048);
	ck_assert_int_eq(bcl_table_add(t, 8, 8, "linear", "8:16 4096"), 0);
	ck_assert(!bcl_table_below(t, &dev, &offset));
	bcl_table_free(t);
}
END_TEST

/* "@with" over "@line", as a table line. */
static char *overlaid(const char *line, const char *with)
{
	struct bcl_args a, b;
	char *text;

	ck_assert_int_eq(bcl_args_parse(line, &a), 0);
	ck_assert_int_eq(bcl_args_parse(with, &b), 0);
	ck_assert_int_eq(bcl_args_overlay(&a, &b), 0);
	ck_assert_int_eq(bcl_args_format(&a, &text), 0);
	bcl_args_done(&a);
	bcl_args_done(&b);
	return text;
}

START_TEST(overlay)
{
	char *text = overlaid("1:0 0 1:1 0 8 8 copy_mode auto bandwidth 5 finished metadata 1:2 paused",
			      "2:0 1 2:1 1 128 8 sync bitmap write_timeout 50 buf_size 1048576 on_target_error stop");
	char *same = overlaid("1:0 0 1:1 0 8 6 copy_mode auto bandwidth 5 metadata 1:2",
			      "1:0 0 1:1 0 8 8 sync bitmap write_timeout 50 buf_size 1048576 on_target_error stop");

	ck_assert_str_eq(text, same);
	free(text);
	free(same);
	text = overlaid("1:0 0 1:1 0 8 2 copy_mode auto", "1:0 0 1:1 0 8 3 copy_mode background finished");
	ck_assert_ptr_nonnull(strstr(text, "copy_mode background"));
	ck_assert_ptr_nonnull(strstr(text, "finished"));
	free(text);
}
END_TEST

static bool same_job(const char *one, const char *two)
{
	struct bcl_args a, b;
	bool same;

	ck_assert_int_eq(bcl_args_parse(one, &a), 0);
	ck_assert_int_eq(bcl_args_parse(two, &b), 0);
	same = bcl_args_same_job(&a, &b);
	bcl_args_done(&a);
	bcl_args_done(&b);
	return same;
}

START_TEST(jobs)
{
	static const char *const others[] = {
		"1:9 0 1:1 0 8 2 metadata 1:2", "1:0 8 1:1 0 8 2 metadata 1:2", "1:0 0 1:9 0 8 2 metadata 1:2",
		"1:0 0 1:1 8 8 2 metadata 1:2", "1:0 0 1:1 0 16 2 metadata 1:2", "1:0 0 1:1 0 8 2 metadata 1:9",
		"1:0 0 1:1 0 8", "1:0 0 1:1 0 8 3 metadata 1:2 paused", "1:0 0 1:1 0 8 3 metadata 1:2 finished",
	};

	ck_assert(same_job("1:0 0 1:1 0 8 2 metadata 1:2", "1:0 0 1:1 0 8 5 copy_mode auto metadata 1:2 pivoted"));
	for (size_t i = 0; i < ELEMENTSOF(others); i++)
		ck_assert_msg(!same_job("1:0 0 1:1 0 8 2 metadata 1:2", others[i]), "%s", others[i]);
}
END_TEST

static int parse(const char *params)
{
	struct bcl_args a = {};
	int r = bcl_args_parse(params, &a);

	bcl_args_done(&a);
	return r;
}

START_TEST(args)
{
	struct bcl_args a;

	ck_assert_int_eq(bcl_args_parse("254:1 2048 8:16 4096 128", &a), 0);
	ck_assert_str_eq(a.source, "254:1");
	ck_assert_uint_eq(a.source_offset, 2048);
	ck_assert_str_eq(a.destination, "8:16");
	ck_assert_uint_eq(a.destination_offset, 4096);
	ck_assert_uint_eq(a.region_sectors, 128);
	ck_assert_ptr_null(a.sync);
	ck_assert(!a.bandwidth_set && !a.paused && !a.unknown);
	bcl_args_done(&a);

	ck_assert_int_eq(bcl_args_parse("1:0 0 1:1 0 8 15 copy_mode auto sync none bandwidth 5 "
					"buf_size 1048576 paused write_timeout 1000 "
					"on_source_error stop on_target_error enospc", &a), 0);
	ck_assert(!a.unknown);
	ck_assert_str_eq(a.copy_mode, "auto");
	ck_assert_str_eq(a.on_source_error, "stop");
	ck_assert_str_eq(a.on_target_error, "enospc");
	ck_assert(a.write_timeout_set && a.write_timeout == 1000);
	ck_assert_str_eq(a.sync, "none");
	ck_assert(a.bandwidth_set && a.bandwidth == 5);
	ck_assert(a.buf_size_set && a.buf_size == 1048576);
	ck_assert(a.paused && !a.pivoted && !a.finished);
	bcl_args_done(&a);
}
END_TEST

/* The line that a start loads, word for word; what was not said stays the kernel's. */
START_TEST(written)
{
	struct bcl_args a = {
		.source = "254:1", .destination = "8:16", .region_sectors = 128,
	};
	char *line;

	ck_assert_int_eq(bcl_args_format(&a, &line), 0);
	ck_assert_str_eq(line, "254:1 0 8:16 0 128");
	free(line);

	a.copy_mode = "write-blocking";
	a.on_source_error = "ignore";
	a.on_target_error = "enospc";
	a.write_timeout_set = true;
	a.write_timeout = 250;
	a.bandwidth_set = true;
	a.paused = true;
	ck_assert_int_eq(bcl_args_format(&a, &line), 0);
	ck_assert_str_eq(line, "254:1 0 8:16 0 128 11 copy_mode write-blocking "
			       "on_source_error ignore on_target_error enospc bandwidth 0 "
			       "write_timeout 250 paused");
	free(line);
}
END_TEST

/* A job of a newer module can be taken down: its legs are known. */
START_TEST(unknown_args)
{
	struct bcl_args a;

	ck_assert_int_eq(bcl_args_parse("1:0 0 1:1 0 8 4 pivoted not_known_yet 1000 paused", &a), 0);
	ck_assert(a.unknown && a.pivoted && !a.paused);
	ck_assert_str_eq(a.destination, "1:1");
	bcl_args_done(&a);
}
END_TEST

START_TEST(bad_args)
{
	static const char *const lines[] = {
		"", "1:0", "1:0 0 1:1 0", "1:0 x 1:1 0 128", "1:0 0 1:1 -1 128",
		"1:0 0 1:1 0 100", "1:0 0 1:1 0 4", "1:0 0 1:1 0 0", "1:0 0 1:1 0 262144",
		"1:0 0 1:1 0 128 1", "1:0 0 1:1 0 128 x", "1:0 0 1:1 0 128 0 paused",
		"1:0 0 1:1 0 128 2 paused", "1:0 0 1:1 0 128 2 paused paused",
		"1:0 0 1:1 0 128 1 bandwidth", "1:0 0 1:1 0 128 2 bandwidth x",
		"1:0 0 1:1 0 128 2 bandwidth -1", "1:0 0 1:1 0 128 2 bandwidth 18446744073709551616",
		"1:0 0 1:1 0 128 4 sync full sync full", "1:0 0 1:1 0 128 1 sync",
		"1:0 0 1:1 0 128 18446744073709551616 paused",
		"1:0 0 1:1 0 128 1 write_timeout", "1:0 0 1:1 0 128 2 write_timeout 1s",
		"1:0 0 1:1 0 128 4 write_timeout 5 write_timeout 5",
	};

	for (size_t i = 0; i < ELEMENTSOF(lines); i++)
		ck_assert_msg(parse(lines[i]) < 0, "\"%s\"", lines[i]);
}
END_TEST

static const char *pick(uint64_t *seed, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return words[unit_below(seed, n)];
}

static char *maybe(uint64_t *seed, const char *word)
{
	return unit_below(seed, 2) ? strdup(word) : NULL;
}

static void random_args(uint64_t *seed, struct bcl_args *a)
{
	static const char *const devs[] = { "8:0", "254:1048575", "/dev/mapper/x", NULL };
	static const char *const zeroes[] = { "off", "on", "unmap", NULL };
	static const char *const modes[] = { "background", "write-blocking", "auto", NULL };
	static const char *const policies[] = { "report", "ignore", "enospc", "stop", NULL };

	*a = (struct bcl_args) {
		.source = strdup(pick(seed, devs)),
		.source_offset = unit_random(seed),
		.destination = strdup(pick(seed, devs)),
		.destination_offset = unit_random(seed),
		.region_sectors = 8ULL << unit_below(seed, 15),
		.copy_mode = maybe(seed, pick(seed, modes)),
		.sync = maybe(seed, "none"),
		.detect_zeroes = maybe(seed, pick(seed, zeroes)),
		.on_source_error = maybe(seed, pick(seed, policies)),
		.on_target_error = maybe(seed, pick(seed, policies)),
		.bandwidth_set = unit_below(seed, 2),
		.buf_size_set = unit_below(seed, 2),
		.write_timeout_set = unit_below(seed, 2),
		.target_is_zero = unit_below(seed, 2),
		.compare = unit_below(seed, 2),
		.paused = unit_below(seed, 2),
		.pivoted = unit_below(seed, 2),
		.finished = unit_below(seed, 2),
	};
	if (a->bandwidth_set)
		a->bandwidth = unit_random(seed);
	if (a->buf_size_set)
		a->buf_size = unit_random(seed);
	if (a->write_timeout_set)
		a->write_timeout = unit_random(seed);
}

START_TEST(round_trip)
{
	uint64_t seed = unit_seed();
	unsigned long n = unit_scaled(20000);

	while (n--) {
		struct bcl_args a, b;
		char *one, *two;

		random_args(&seed, &a);
		unit_assert(bcl_args_format(&a, &one) == 0);
		unit_assert(bcl_args_parse(one, &b) == 0);
		unit_assert(!b.unknown);
		unit_assert(bcl_args_format(&b, &two) == 0);
		if (strcmp(one, two))
			ck_abort_msg("\"%s\" became \"%s\"", one, two);
		free(one);
		free(two);
		bcl_args_done(&a);
		bcl_args_done(&b);
	}
}
END_TEST

START_TEST(garbage)
{
	static const char good[] = "254:1 0 8:16 0 128 7 copy_mode background bandwidth 5 paused sync none";
	static const char alphabet[] = "0123456789 :-abdegkmnoprsuwy_\xff";
	uint64_t seed = unit_seed();
	unsigned long n = unit_scaled(200000);

	while (n--) {
		char line[sizeof(good)];
		unsigned int edits = 1 + unit_below(&seed, 6);
		struct bcl_args a = {};

		memcpy(line, good, sizeof(line));
		line[unit_below(&seed, sizeof(line))] = '\0';
		while (edits--)
			line[unit_below(&seed, sizeof(line) - 1)] =
				alphabet[unit_below(&seed, sizeof(alphabet) - 1)];
		if (bcl_args_parse(line, &a) == 0)
			unit_assert(a.source && a.destination && bcl_region_sectors_valid(a.region_sectors));
		else
			unit_assert(!a.source && !a.destination);
		bcl_args_done(&a);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-table");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 0);
	tcase_add_test(t, tables);
	tcase_add_test(t, keys);
	tcase_add_test(t, linear);
	tcase_add_test(t, below);
	tcase_add_test(t, overlay);
	tcase_add_test(t, jobs);
	tcase_add_test(t, args);
	tcase_add_test(t, written);
	tcase_add_test(t, unknown_args);
	tcase_add_test(t, bad_args);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, garbage);
	suite_add_tcase(s, t);
	return unit_main(s);
}

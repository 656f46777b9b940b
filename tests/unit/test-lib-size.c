// SPDX-License-Identifier: GPL-2.0-only
/* Sizes as people write them, ctl/size.c. */
#include <errno.h>

#include "ctl.h"
#include "unit.h"

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIB (1ULL << 20)

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t unit, v;
	} cases[] = {
		{ "0", MIB, 0 }, { "100", MIB, 100 * MIB }, { "100", 1, 100 }, { "100b", MIB, 100 },
		{ "4k", 1, 4096 }, { "4K", MIB, 4096 }, { "4KiB", MIB, 4096 }, { "4KB", MIB, 4000 },
		{ "1.5GiB", MIB, 3ULL << 29 }, { "1.5", MIB, MIB * 3 / 2 }, { "2M/s", 1, 2 * MIB },
		{ "10MB/s", 1, 10000000 }, { "0.5K", 1, 512 }, { "15E", 1, 15ULL << 60 },
		{ "18446744073709551615", 1, UINT64_MAX }, { "1.000000000000001M", 1, MIB },
		{ "1T", 1, 1ULL << 40 }, { "1P", 1, 1ULL << 50 },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t v;

		ck_assert_msg(parse_size(cases[i].text, cases[i].unit, &v) == 0, "%s", cases[i].text);
		ck_assert_msg(v == cases[i].v, "%s is %llu", cases[i].text, (unsigned long long)v);
	}
}
END_TEST

START_TEST(no_sizes)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "M", "1X", "1.", ".5", "1.5.5", "1MiBs", "1M/", "1M/ss", "0x10",
		"16E", "18446744073709551616", "99999999999999999999M", "1e3", "1KK", "nan", "inf",
	};
	uint64_t v = 4711;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		ck_assert_msg(parse_size(bad[i], 1, &v) < 0, "\"%s\"", bad[i]);
	ck_assert_int_eq(parse_size("17592186044416", MIB, &v), -ERANGE);
	ck_assert_int_eq(parse_size("1.5", 1, &v), -EINVAL);	/* half a byte */
	ck_assert_uint_eq(v, 4711);
}
END_TEST

START_TEST(numbers)
{
	uint64_t v = 4711;

	ck_assert_int_eq(parse_number("60000", 60000, &v), 0);
	ck_assert_uint_eq(v, 60000);
	ck_assert_int_eq(parse_number("60001", 60000, &v), -ERANGE);
	ck_assert_int_eq(parse_number("1s", 60000, &v), -EINVAL);
	ck_assert_int_eq(parse_number("-1", 60000, &v), -EINVAL);
	ck_assert_int_eq(parse_number("", 60000, &v), -EINVAL);
}
END_TEST

START_TEST(formats)
{
	char buf[SIZE_TEXT];

	ck_assert_str_eq(format_size(0, buf), "0 B");
	ck_assert_str_eq(format_size(1023, buf), "1023 B");
	ck_assert_str_eq(format_size(1024, buf), "1.0 KiB");
	ck_assert_str_eq(format_size(3ULL << 29, buf), "1.5 GiB");
	ck_assert_str_eq(format_size(UINT64_MAX, buf), "16.0 EiB");
}
END_TEST

START_TEST(times_left)
{
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {
		{ -1, "--:--" }, { 0, "0:00" }, { 59, "0:59" }, { 61, "1:01" }, { 3599, "59:59" },
		{ 3600, "1:00:00" }, { 359999, "99:59:59" }, { 360000, "4 days" }, { 86400LL * 9999, "9999 days" },
		{ 86400LL * 10000, "years" }, { INT64_MAX, "years" },
	};
	char buf[SIZE_TEXT];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		ck_assert_str_eq(format_eta(cases[i].s, buf), cases[i].text);
}
END_TEST

START_TEST(garbage)
{
	static const char alphabet[] = "0123456789.KMGTPEiBbks/ -\xff";
	uint64_t seed = unit_seed();
	unsigned long n = unit_scaled(200000);

	while (n--) {
		char text[16];
		size_t len = unit_below(&seed, sizeof(text));
		uint64_t v;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[unit_below(&seed, sizeof(alphabet) - 1)];
		text[len] = '\0';
		if (parse_size(text, 1, &v) == 0)
			unit_assert(text[0] >= '0' && text[0] <= '9');
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl-size");
	TCase *t = tcase_create("size");

	tcase_set_timeout(t, 0);
	tcase_add_test(t, sizes);
	tcase_add_test(t, no_sizes);
	tcase_add_test(t, numbers);
	tcase_add_test(t, formats);
	tcase_add_test(t, times_left);
	tcase_add_test(t, garbage);
	suite_add_tcase(s, t);
	return unit_main(s);
}

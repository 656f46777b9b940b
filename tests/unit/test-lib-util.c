// SPDX-License-Identifier: GPL-2.0-only
/* Numbers and lists of lib/util.c. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "unit.h"
#include "util.h"

START_TEST(numbers)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} cases[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t v = 4711;

		ck_assert_msg(bcl_parse_u64(cases[i].text, &v) == cases[i].r, "%s", cases[i].text);
		ck_assert_uint_eq(v, cases[i].r ? 4711 : cases[i].v);
	}
}
END_TEST

START_TEST(devnos)
{
	static const char *const bad[] = {
		"", ":", "8", "8:", ":1", "8:1 ", " 8:1", "8:1:2", "-8:1", "8:-1", "a:b", "4096:0",
		"0:1048576", "8:99999999999999999999", "/dev/sda", "8:1111111111111111111111111111111",
	};
	dev_t dev = 77;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		ck_assert_msg(bcl_parse_devno(bad[i], &dev) == -EINVAL, "\"%s\"", bad[i]);
	ck_assert_uint_eq(dev, 77);
	ck_assert_int_eq(bcl_parse_devno("253:1048575", &dev), 0);
	ck_assert_uint_eq(major(dev), 253);
	ck_assert_uint_eq(minor(dev), 1048575);
}
END_TEST

START_TEST(lists)
{
	struct bcl_devs d = {};

	ck_assert(!bcl_devs_has(&d, 1));
	ck_assert_int_eq(bcl_devs_add(&d, 1), 1);
	ck_assert_int_eq(bcl_devs_add(&d, 2), 1);
	ck_assert_int_eq(bcl_devs_add(&d, 1), 0);
	ck_assert_uint_eq(d.n, 2);
	ck_assert(bcl_devs_has(&d, 2));
	bcl_devs_done(&d);
	ck_assert(!bcl_devs_has(&d, 2));
}
END_TEST

/* A file with these bytes; the caller frees the name and unlinks. */
static char *file_with(const char *text)
{
	char *name = strdup("/tmp/test-lib-util.XXXXXX");
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return name;
}

START_TEST(lines)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "one\ntwo\n", "one" }, { "no newline", "no newline" }, { "", "" }, { "\n", "" },
	};
	char *line = NULL;

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		char *name = file_with(cases[i].text);

		ck_assert_int_eq(bcl_read_line(name, &line), 0);
		ck_assert_str_eq(line, cases[i].line);
		free(line);
		unlink(name);
		free(name);
	}
	ck_assert_int_eq(bcl_read_line("/nonexistent/file", &line), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-util");
	TCase *t = tcase_create("util");

	tcase_add_test(t, numbers);
	tcase_add_test(t, devnos);
	tcase_add_test(t, lists);
	tcase_add_test(t, lines);
	suite_add_tcase(s, t);
	return unit_main(s);
}

// SPDX-License-Identifier: GPL-2.0-only
/* Lines of blockcopytab. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tab.h"
#include "unit.h"

static FILE *file(const char *content)
{
	FILE *f = fmemopen((void *)content, strlen(content), "r");

	ck_assert_ptr_nonnull(f);
	return f;
}

START_TEST(lines)
{
	FILE *f = file("# a comment\n"
		       "\n"
		       "vm1 /dev/sda UUID=1-2 /dev/sdc bandwidth=10M,nofail\t# and one more\n"
		       "  vm-2\tLABEL=x  -   none\n"
		       "vm3 /dev/sdd");
	struct tab_entry e = {};
	const char *what;

	ck_assert_int_eq(tab_next(f, &e, &what), 1);
	ck_assert_str_eq(e.name, "vm1");
	ck_assert_str_eq(e.device, "/dev/sda");
	ck_assert_str_eq(e.destination, "UUID=1-2");
	ck_assert_str_eq(e.metadata, "/dev/sdc");
	ck_assert_str_eq(e.options, "bandwidth=10M,nofail");
	ck_assert_uint_eq(e.line, 3);
	ck_assert_int_eq(tab_next(f, &e, &what), 1);
	ck_assert_str_eq(e.name, "vm-2");
	ck_assert_str_eq(e.device, "LABEL=x");
	ck_assert_ptr_null(e.destination);
	ck_assert_ptr_null(e.metadata);
	ck_assert_str_eq(e.options, "");
	ck_assert_int_eq(tab_next(f, &e, &what), 1);
	ck_assert_str_eq(e.name, "vm3");
	ck_assert_ptr_null(e.destination);
	ck_assert_int_eq(tab_next(f, &e, &what), 0);
	tab_entry_done(&e);
	fclose(f);
}
END_TEST

static const char *const bad_lines[] = {
	"vm1\n",
	"vm1 /dev/sda /dev/sdb\n",
	"vm1 /dev/sda /dev/sdb -\n",
	"vm1 /dev/sda none /dev/sdc\n",
	"vm1 /dev/sda /dev/sdb /dev/sdc nofail too\n",
	"vm/1 /dev/sda\n",
	"vm1 -\n",
};

START_TEST(bad)
{
	FILE *f = file(bad_lines[_i]);
	struct tab_entry e = {};
	const char *what = NULL;

	ck_assert_int_eq(tab_next(f, &e, &what), -EINVAL);
	ck_assert_uint_eq(e.line, 1);
	ck_assert_ptr_nonnull(what);
	tab_entry_done(&e);
	fclose(f);
}
END_TEST

START_TEST(options)
{
	char words[] = "nofailure,timeout=30,bandwidth=5,initramfs";
	struct tab_entry e = { .options = words };

	ck_assert_ptr_null(tab_option(&e, "nofail"));
	ck_assert_ptr_null(tab_option(&e, "time"));
	ck_assert_int_eq(strncmp(tab_option(&e, "timeout"), "30,", 3), 0);
	ck_assert_ptr_nonnull(tab_option(&e, "initramfs"));
	ck_assert(tab_is_boot_option("timeout=30", 10));
	ck_assert(!tab_is_boot_option("timeout", 7));
	ck_assert(tab_is_boot_option("noauto", 6));
	ck_assert(!tab_is_boot_option("noauto=1", 8));
	ck_assert(!tab_is_boot_option("bandwidth=5", 11));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl-tab");
	TCase *t = tcase_create("ctl-tab");

	tcase_add_test(t, lines);
	tcase_add_loop_test(t, bad, 0, sizeof(bad_lines) / sizeof(*bad_lines));
	tcase_add_test(t, options);
	suite_add_tcase(s, t);
	return unit_main(s);
}

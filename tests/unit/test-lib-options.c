// SPDX-License-Identifier: GPL-2.0-only
/* The handle and the options of lib/handle.c. */
#include "internal.h"
#include "unit.h"

START_TEST(errors)
{
	struct blockcopy *bc;
	struct bcl_saved_error saved;

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_OK);
	ck_assert_str_eq(blockcopy_error_message(bc), "no error");

	ck_assert_int_eq(bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY, "%s: %d", "x", 5), -EBUSY);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_REFUSED);
	ck_assert_str_eq(blockcopy_error_message(bc), "x: 5");
	/* The old message as an argument of the new one. */
	bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "again: %s", blockcopy_error_message(bc));
	ck_assert_str_eq(blockcopy_error_message(bc), "again: x: 5");

	bcl_error_save(bc, &saved);
	bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "other");
	bcl_error_restore(bc, &saved);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_FAILED);
	ck_assert_str_eq(blockcopy_error_message(bc), "again: x: 5");
	bcl_begin(bc);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_OK);
	blockcopy_free(bc);
	blockcopy_free(NULL);
}
END_TEST

static void remember(void *userdata, enum blockcopy_log_level level, const char *line)
{
	ck_assert_int_eq(level, BLOCKCOPY_LOG_INFO);
	strcpy(userdata, line);
}

START_TEST(logs)
{
	struct blockcopy *bc;
	char line[32] = "";

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "nobody listens");
	blockcopy_set_log(bc, remember, line);
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s", "somebody does");
	ck_assert_str_eq(line, "somebody does");
	blockcopy_free(bc);
}
END_TEST

START_TEST(options)
{
	static const char *const policies[] = { "report", "ignore", "enospc", "stop" };
	struct blockcopy_options *o;

	ck_assert_int_eq(blockcopy_options_new(&o), 0);
	ck_assert_uint_eq(o->args.region_sectors, 128);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 4096), 0);
	ck_assert_uint_eq(o->args.region_sectors, 8);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 64 << 20), 0);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 2048), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 128 << 20), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 65536 + 512), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 65537), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_granularity(o, 0), -EINVAL);
	ck_assert_uint_eq(o->args.region_sectors, 131072);

	ck_assert_int_eq(blockcopy_options_set_buf_size(o, (1 << 20) - 1), -EINVAL);
	ck_assert(!o->args.buf_size_set);
	ck_assert_int_eq(blockcopy_options_set_buf_size(o, 1 << 20), 0);
	ck_assert_int_eq(blockcopy_options_set_buf_size(o, 257 << 20), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_copy_mode(o, "background"), 0);
	ck_assert_int_eq(blockcopy_options_set_copy_mode(o, "auto"), 0);
	ck_assert_int_eq(blockcopy_options_set_copy_mode(o, "write-blocking"), 0);
	ck_assert_int_eq(blockcopy_options_set_copy_mode(o, "write_blocking"), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_copy_mode(o, ""), -EINVAL);
	ck_assert_str_eq(o->args.copy_mode, "write-blocking");
	ck_assert_int_eq(blockcopy_options_set_write_timeout(o, 9), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_write_timeout(o, 60001), -EINVAL);
	ck_assert(!o->args.write_timeout_set);
	ck_assert_int_eq(blockcopy_options_set_write_timeout(o, 10), 0);
	ck_assert_int_eq(blockcopy_options_set_write_timeout(o, 60000), 0);
	ck_assert_int_eq(blockcopy_options_set_write_timeout(o, 0), -EINVAL);
	ck_assert(o->args.write_timeout_set);
	ck_assert_uint_eq(o->args.write_timeout, 60000);
	for (size_t i = 0; i < ELEMENTSOF(policies); i++) {
		ck_assert_int_eq(blockcopy_options_set_on_source_error(o, policies[i]), 0);
		ck_assert_str_eq(o->args.on_source_error, policies[i]);
		ck_assert_int_eq(blockcopy_options_set_on_target_error(o, policies[i]), 0);
		ck_assert_str_eq(o->args.on_target_error, policies[i]);
	}
	ck_assert_int_eq(blockcopy_options_set_on_source_error(o, "retry"), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_on_target_error(o, ""), -EINVAL);
	ck_assert_str_eq(o->args.on_target_error, "stop");
	ck_assert_int_eq(blockcopy_options_set_sync(o, "top"), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_sync(o, "none"), 0);
	ck_assert_int_eq(blockcopy_options_set_sync(o, "full"), 0);
	ck_assert_str_eq(o->args.sync, "full");
	ck_assert_int_eq(blockcopy_options_set_detect_zeroes(o, ""), -EINVAL);
	ck_assert_int_eq(blockcopy_options_set_detect_zeroes(o, "unmap"), 0);
	blockcopy_options_free(o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-options");
	TCase *t = tcase_create("options");

	tcase_add_test(t, errors);
	tcase_add_test(t, logs);
	tcase_add_test(t, options);
	suite_add_tcase(s, t);
	return unit_main(s);
}

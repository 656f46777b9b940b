// SPDX-License-Identifier: GPL-2.0-only
/* From the command line to the table line or the message: ctl/options.c, ctl/settings.c. */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "internal.h"
#include "unit.h"

/* ---- in place of what prints and of what asks the kernel ---- */

static char said[512];

int complain(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	return status;
}

/* "key value;" for each change that was asked for. */
static char changes[512];

static int changed(const char *key, const char *value)
{
	size_t n = strlen(changes);

	snprintf(changes + n, sizeof(changes) - n, "%s %s;", key, value);
	return 0;
}

static int changed_number(const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return changed(key, text);
}

int blockcopy_set_bandwidth(struct blockcopy *bc, const char *name, uint64_t v)
{
	return changed_number("bandwidth", v);
}

int blockcopy_set_buf_size(struct blockcopy *bc, const char *name, uint64_t v)
{
	return changed_number("buf_size", v);
}

int blockcopy_set_write_timeout(struct blockcopy *bc, const char *name, unsigned int v)
{
	return changed_number("write_timeout", v);
}

int blockcopy_set_copy_mode(struct blockcopy *bc, const char *name, const char *word)
{
	return changed("copy_mode", word);
}

int blockcopy_set_on_source_error(struct blockcopy *bc, const char *name, const char *word)
{
	return changed("on_source_error", word);
}

int blockcopy_set_on_target_error(struct blockcopy *bc, const char *name, const char *word)
{
	return changed("on_target_error", word);
}

/* ---- */

#define MAX_WORDS 20

/* Parse "blockcopy <line>" into a fresh ctl. Return: what parse_command_line() does. */
static int command_line(struct ctl *c, const char *line)
{
	static char copy[512];
	static char *argv[MAX_WORDS + 2];
	char *rest;
	int argc = 0;

	*c = (struct ctl) {};
	*said = '\0';
	strcpy(copy, line);
	argv[argc++] = "blockcopy";
	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		ck_assert_int_lt(argc, MAX_WORDS);
		argv[argc++] = w;
	}
	argv[argc] = NULL;
	optind = 0;	/* glibc: begin anew */
	return parse_command_line(c, argc, argv);
}

/* "start d e <options>": the arguments of the table line that come of it. */
static int start_with(const char *options, char **ret_args)
{
	struct blockcopy_options *o;
	char line[512], *all;
	struct ctl c;
	int r;

	snprintf(line, sizeof(line), "start d e %s", options);
	r = command_line(&c, line);
	if (r >= 0)
		return r;
	ck_assert_int_eq(blockcopy_options_new(&o), 0);
	r = fill_settings(&c, o);
	if (!r) {
		o->args.source = strdup("1:0");
		o->args.destination = strdup("1:1");
		ck_assert_int_eq(bcl_args_format(&o->args, &all), 0);
		ck_assert_int_eq(strncmp(all, "1:0 0 1:1 0 128", 15), 0);
		*ret_args = strdup(all + 15);
		free(all);
	}
	blockcopy_options_free(o);
	return r;
}

START_TEST(start_options)
{
	static const struct {
		const char *options, *args;
	} cases[] = {
		{ "", "" },
		{ "--copy-mode background", " 2 copy_mode background" },
		{ "--copy-mode=write-blocking", " 2 copy_mode write-blocking" },
		{ "--copy-mode auto", " 2 copy_mode auto" },
		{ "--write-timeout 10", " 2 write_timeout 10" },
		{ "--write-timeout 60000", " 2 write_timeout 60000" },
		{ "--on-source-error stop", " 2 on_source_error stop" },
		{ "--on-source-error ignore", " 2 on_source_error ignore" },
		{ "--on-target-error enospc", " 2 on_target_error enospc" },
		{ "--on-target-error report", " 2 on_target_error report" },
		{ "--bandwidth 2", " 2 bandwidth 2097152" },
		{ "--bandwidth 2 --bytes", " 2 bandwidth 2" },
		{ "--bandwidth 0", " 2 bandwidth 0" },
		{ "--bandwidth 1.5GiB", " 2 bandwidth 1610612736" },
		{ "--buf-size 4M", " 2 buf_size 4194304" },
		{ "--on-target-error stop --on-source-error enospc --write-timeout 250 "
		  "--copy-mode auto --buf-size 1M --bandwidth 1K",
		  " 12 copy_mode auto on_source_error enospc on_target_error stop bandwidth 1024 "
		  "buf_size 1048576 write_timeout 250" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		char *args = NULL;

		ck_assert_msg(start_with(cases[i].options, &args) == 0, "%s: %s",
			      cases[i].options, said);
		ck_assert_str_eq(args, cases[i].args);
		free(args);
	}
}
END_TEST

START_TEST(start_refused)
{
	static const struct {
		const char *options, *told;
	} cases[] = {
		{ "--copy-mode sync", "copy-mode: found \"sync\", needed background, " },
		{ "--copy-mode Auto", "copy-mode: " },
		{ "--copy-mode=", "copy-mode: " },
		{ "--copy-mode", "needs a value" },
		{ "--write-timeout 9", "write-timeout: found \"9\", needed 10 to 60000" },
		{ "--write-timeout 60001", "write-timeout: " },
		{ "--write-timeout 1s", "write-timeout: " },
		{ "--write-timeout -10", "write-timeout: " },
		{ "--write-timeout 4294967306", "write-timeout: " },	/* 10 modulo 2^32 */
		{ "--write-timeout 99999999999999999999", "write-timeout: " },
		{ "--on-source-error retry", "on-source-error: found \"retry\", needed report, " },
		{ "--on-target-error ENOSPC", "on-target-error: found \"ENOSPC\"" },
		{ "--bandwidth -1", "bandwidth: " },
		{ "--bandwidth 8E", "bandwidth: " },
		{ "--buf-size 4K", "buf-size: found \"4K\", needed 1M to 256M" },
		{ "--buf-size 257M", "buf-size: " },
		{ "--mirroring", "unknown" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		char *args;

		ck_assert_msg(start_with(cases[i].options, &args) == BLOCKCOPY_USAGE, "%s",
			      cases[i].options);
		ck_assert_msg(strstr(said, cases[i].told) != NULL, "%s: %s", cases[i].options, said);
	}
}
END_TEST

/* Which commands take what. */
START_TEST(applies)
{
	static const struct {
		const char *line;
		int r;
	} cases[] = {
		{ "start d e --synchronous-writes", -1 },
		{ "start d e --raw --json --wait", -1 },
		{ "job d --raw", -1 },
		{ "info d --raw", BLOCKCOPY_USAGE },
		{ "start d e --synchronous-writes=yes", BLOCKCOPY_USAGE },
		{ "abort d --async", -1 },
		{ "abort d --wait", BLOCKCOPY_USAGE },
		{ "pivot d --async", BLOCKCOPY_USAGE },
		{ "pivot d --max-blackout 5", -1 },
		{ "finish d --max-blackout 5", -1 },
		{ "pivot d e --group", -1 },
		{ "finish --group d e f --keep-tracking", -1 },
		{ "abort d --group", BLOCKCOPY_USAGE },
		{ "start d e --pivot --max-blackout 5", -1 },
		{ "wait d --copy-mode auto", BLOCKCOPY_USAGE },
		{ "set d copy-mode=auto --bytes", -1 },
		{ "set d", BLOCKCOPY_USAGE },
	};
	struct ctl c;

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		ck_assert_msg(command_line(&c, cases[i].line) == cases[i].r, "%s: %s",
			      cases[i].line, said);
}
END_TEST

START_TEST(max_blackout)
{
	static const struct {
		const char *line;
		unsigned int ms;	/* 0: refused */
	} cases[] = {
		{ "pivot d", 500 }, { "finish d", 500 }, { "start d e --pivot", 500 },
		{ "pivot d --max-blackout 1", 1 }, { "pivot d --max-blackout 60000", 60000 },
		{ "pivot d --max-blackout 0", 0 }, { "pivot d --max-blackout 60001", 0 },
		{ "finish d --max-blackout 5ms", 0 }, { "finish d --max-blackout -5", 0 },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		unsigned int ms = 0;
		struct ctl c;

		ck_assert_int_eq(command_line(&c, cases[i].line), -1);
		ck_assert_int_eq(get_max_blackout(&c, &ms), cases[i].ms ? 0 : BLOCKCOPY_USAGE);
		ck_assert_uint_eq(ms, cases[i].ms);
	}
}
END_TEST

/* "set d <settings>", as cmd_set() does it. */
static int set(const char *settings)
{
	struct blockcopy_options *scratch;
	struct setting parsed[MAX_WORDS];
	char line[512];
	struct ctl c;
	int r;

	snprintf(line, sizeof(line), "set d %s", settings);
	*changes = '\0';
	r = command_line(&c, line);
	if (r >= 0)
		return r;
	r = 0;
	ck_assert_int_eq(blockcopy_options_new(&scratch), 0);
	for (int i = 1; i < c.n_arg && !r; i++)
		r = parse_setting(&c, c.arg[i], scratch, &parsed[i]);
	blockcopy_options_free(scratch);
	for (int i = 1; i < c.n_arg && !r; i++)
		ck_assert_int_eq(apply_setting(&c, &parsed[i]), 0);
	return r;
}

START_TEST(settings)
{
	static const struct {
		const char *settings, *changes;
	} cases[] = {
		{ "bandwidth=2", "bandwidth 2097152;" },
		{ "bandwidth=2 --bytes", "bandwidth 2;" },
		{ "buf-size=1M", "buf_size 1048576;" },
		{ "copy-mode=background", "copy_mode background;" },
		{ "copy-mode=write-blocking", "copy_mode write-blocking;" },
		{ "copy-mode=auto", "copy_mode auto;" },
		{ "write-timeout=10", "write_timeout 10;" },
		{ "on-source-error=ignore", "on_source_error ignore;" },
		{ "on-target-error=stop", "on_target_error stop;" },
		/* In the order that they were given in; one key may come again. */
		{ "write-timeout=99 copy-mode=auto on-target-error=enospc write-timeout=98",
		  "write_timeout 99;copy_mode auto;on_target_error enospc;write_timeout 98;" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		ck_assert_msg(set(cases[i].settings) == 0, "%s: %s", cases[i].settings, said);
		ck_assert_str_eq(changes, cases[i].changes);
	}
}
END_TEST

/* None is made where one of them is not understood, be it the last. */
START_TEST(settings_refused)
{
	static const struct {
		const char *settings, *told;
	} cases[] = {
		{ "bandwidth", "KEY=VALUE" },
		{ "=5", "KEY=VALUE" },
		{ "colour=red", "copy-mode= write-timeout= on-source-error= on-target-error=" },
		{ "copy_mode=auto", "needed one of bandwidth= " },
		{ "copy-mod=auto", "needed one of" },
		{ "copy-modes=auto", "needed one of" },
		{ "sync=none", "needed one of" },
		{ "granularity=64K", "needed one of" },
		{ "copy-mode=", "copy-mode: " },
		{ "copy-mode=sideways", "copy-mode: found \"sideways\"" },
		{ "write-timeout=5", "write-timeout: found \"5\", needed 10 to 60000" },
		{ "on-source-error=fail", "on-source-error: " },
		{ "on-target-error=none", "on-target-error: " },
		{ "buf-size=4K", "buf-size: found \"4K\", needed 1M to 256M" },
		{ "bandwidth=fast", "bandwidth: " },
		{ "bandwidth=1 copy-mode=auto buf-size=257M", "buf-size: " },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		ck_assert_msg(set(cases[i].settings) == BLOCKCOPY_USAGE, "%s", cases[i].settings);
		ck_assert_msg(strstr(said, cases[i].told) != NULL, "%s: %s", cases[i].settings, said);
		ck_assert_str_eq(changes, "");
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl-options");
	TCase *t = tcase_create("options");

	tcase_add_test(t, start_options);
	tcase_add_test(t, start_refused);
	tcase_add_test(t, applies);
	tcase_add_test(t, max_blackout);
	tcase_add_test(t, settings);
	tcase_add_test(t, settings_refused);
	suite_add_tcase(s, t);
	return unit_main(s);
}

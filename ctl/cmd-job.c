// SPDX-License-Identifier: GPL-2.0-only
/* Commands for a job that runs: pivot, finish, abort, pause, resume, set. */
#include <stdlib.h>

#include "ctl.h"

/* What is done to several devices is done to all of them at once: that has to be said. */
static int check_names(struct ctl *c, const char *command)
{
	if (c->n_arg > 1 && !c->opt.group)
		return complain(BLOCKCOPY_USAGE,
				"%s: found %d NAMEs, needed one, or --group to do it to all at one instant",
				command, c->n_arg);
	return BLOCKCOPY_OK;
}

/* One line a device. */
static void print_group(struct ctl *c, const char *word, const char *phrase, const uint64_t *blackout_us)
{
	for (int i = 0; i < c->n_arg; i++) {
		/* Taken down by an earlier call, which was interrupted. */
		bool known = blackout_us[i] != UINT64_MAX;

		if (c->opt.json)
			json_print_result(stdout, c->arg[i], word, known ? &blackout_us[i] : NULL);
		else if (known)
			printf("%s: %s. Writes were held for %.3f ms\n", c->arg[i], phrase,
			       blackout_us[i] / 1000.0);
		else
			printf("%s: %s before\n", c->arg[i], phrase);
	}
	fflush(stdout);
}

static int verify_all(struct ctl *c)
{
	char **args = c->arg;
	int r = BLOCKCOPY_OK;

	for (int i = 0; i < c->n_arg && !r; i++) {
		c->arg = args + i;
		r = verify_first(c);
	}
	c->arg = args;
	return r;
}

/* "@warning" may be NULL, and is freed. */
static void warn_of_tab(char *warning, bool pivoted)
{
	if (warning && pivoted)
		complain(BLOCKCOPY_OK, "%s", warning);
	free(warning);
}

static int pivot_group(struct ctl *c, unsigned int max_blackout_ms)
{
	uint64_t blackout_us[GROUP_MAX];
	char *warning[GROUP_MAX] = {};
	int r;

	for (int i = 0; i < c->n_arg; i++)
		warning[i] = stale_tab_line(c, c->arg[i]);
	r = blockcopy_pivot_group(c->bc, (const char *const *)c->arg, c->n_arg, max_blackout_ms,
				  blackout_us);
	if (r < 0)
		r = failed(c);
	else
		print_group(c, "pivoted", "Successfully pivoted", blackout_us);
	for (int i = 0; i < c->n_arg; i++)
		warn_of_tab(warning[i], r == 0);
	return r;
}

int pivot_job(struct ctl *c, unsigned int max_blackout_ms)
{
	const char *text = "Successfully pivoted";
	uint64_t blackout;
	char *warning;
	int r;

	warning = stale_tab_line(c, c->arg[0]);
	if (c->opt.keep_source) {
		r = blockcopy_pivot_keep_source(c->bc, c->arg[0], max_blackout_ms, &blackout);
		text = "Successfully pivoted, and the source is kept as the destination";
	} else if (c->opt.source_failed) {
		r = blockcopy_pivot_source_failed(c->bc, c->arg[0], max_blackout_ms, &blackout);
		text = "Successfully gone back, without the source";
	} else {
		r = blockcopy_pivot(c->bc, c->arg[0], max_blackout_ms, &blackout);
	}
	if (r < 0)
		r = failed(c);
	else
		print_result(c, "pivoted", text, &blackout);
	warn_of_tab(warning, r == 0);
	return r;
}

int cmd_pivot(struct ctl *c)
{
	unsigned int ms;
	int r = check_names(c, "pivot");

	if (!r && c->opt.source_failed && (c->opt.keep_source || c->opt.verify))
		r = complain(BLOCKCOPY_USAGE, "--source-failed excludes --keep-source and --verify");
	if (!r && c->opt.group && (c->opt.source_failed || c->opt.keep_source))
		r = complain(BLOCKCOPY_USAGE, "--group excludes --keep-source and --source-failed");
	if (!r)
		r = get_max_blackout(c, &ms);
	if (!r && c->opt.verify)
		r = verify_all(c);
	if (r)
		return r;
	return c->opt.group ? pivot_group(c, ms) : pivot_job(c, ms);
}

int finish_job(struct ctl *c, unsigned int max_blackout_ms, uint64_t *ret_blackout_us)
{
	int r;

	if (c->opt.keep_tracking)
		r = blockcopy_finish_tracking(c->bc, c->arg[0], max_blackout_ms, ret_blackout_us);
	else
		r = blockcopy_finish(c->bc, c->arg[0], max_blackout_ms, ret_blackout_us);
	return r < 0 ? failed(c) : BLOCKCOPY_OK;
}

static int finish_group(struct ctl *c, unsigned int max_blackout_ms)
{
	uint64_t blackout_us[GROUP_MAX];

	if (blockcopy_finish_group(c->bc, (const char *const *)c->arg, c->n_arg, max_blackout_ms,
				   c->opt.keep_tracking, blackout_us) < 0)
		return failed(c);
	print_group(c, "finished", "Successfully copied", blackout_us);
	return BLOCKCOPY_OK;
}

int cmd_finish(struct ctl *c)
{
	unsigned int ms;
	uint64_t blackout;
	int r = check_names(c, "finish");

	if (!r)
		r = get_max_blackout(c, &ms);
	if (r)
		return r;
	if (c->opt.group)
		return finish_group(c, ms);
	r = finish_job(c, ms, &blackout);
	if (r)
		return r;
	print_result(c, "finished", "Successfully copied", &blackout);
	return BLOCKCOPY_OK;
}

int cmd_abort(struct ctl *c)
{
	int status = BLOCKCOPY_OK;

	if (c->opt.keep_tracking) {
		if (blockcopy_abort_tracking(c->bc, c->arg[0]) < 0)
			return failed(c);
		print_result(c, "tracking", "Copy stopped, writes are tracked", NULL);
		return BLOCKCOPY_OK;
	}
	/* Idempotent: a device without a job is what abort is to bring about. */
	if (c->opt.async)
		status = abort_in_background(c);
	else if (blockcopy_abort(c->bc, c->arg[0], true) < 0)
		status = failed(c);
	if (!status)
		print_result(c, "aborted", "Copy aborted", NULL);
	return status;
}

int cmd_pause(struct ctl *c)
{
	return blockcopy_pause(c->bc, c->arg[0]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_resume(struct ctl *c)
{
	return blockcopy_resume(c->bc, c->arg[0]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_set(struct ctl *c)
{
	struct blockcopy_options *scratch;
	struct setting settings[100];
	int n = c->n_arg - 1, r = BLOCKCOPY_OK;

	if (blockcopy_options_new(&scratch) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	/* All are understood before the first is made. */
	for (int i = 0; i < n && r == BLOCKCOPY_OK; i++)
		r = parse_setting(c, c->arg[i + 1], scratch, &settings[i]);
	blockcopy_options_free(scratch);
	for (int i = 0; i < n && r == BLOCKCOPY_OK; i++)
		if (apply_setting(c, &settings[i]) < 0)
			r = failed(c);
	return r;
}

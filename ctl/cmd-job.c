// SPDX-License-Identifier: GPL-2.0-only
/* Commands for a job that runs: pivot, finish, abort, pause, resume, set. */
#include <string.h>

#include "ctl.h"

int cmd_pivot(struct ctl *c)
{
	unsigned int ms;
	uint64_t blackout;
	int r = get_max_blackout(c, &ms);

	if (r)
		return r;
	if (blockcopy_pivot(c->bc, c->arg[0], ms, &blackout) < 0)
		return failed(c);
	print_result(c, "pivoted", "Successfully pivoted", &blackout);
	return BLOCKCOPY_OK;
}

int cmd_finish(struct ctl *c)
{
	unsigned int ms;
	uint64_t blackout;
	int r = get_max_blackout(c, &ms);

	if (r)
		return r;
	if (blockcopy_finish(c->bc, c->arg[0], ms, &blackout) < 0)
		return failed(c);
	print_result(c, "finished", "Successfully copied", &blackout);
	return BLOCKCOPY_OK;
}

int cmd_abort(struct ctl *c)
{
	/* Idempotent: a device without a job is what abort is to bring about. */
	if (blockcopy_abort(c->bc, c->arg[0], true) < 0)
		return failed(c);
	print_result(c, "aborted", "Copy aborted", NULL);
	return BLOCKCOPY_OK;
}

int cmd_pause(struct ctl *c)
{
	return blockcopy_pause(c->bc, c->arg[0]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_resume(struct ctl *c)
{
	return blockcopy_resume(c->bc, c->arg[0]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

struct setting {
	const char *key;
	int (*set)(struct blockcopy *bc, const char *name, uint64_t v);
	uint64_t value;
};

/* Return: exit status. */
static int parse_setting(struct ctl *c, const char *arg, struct setting *ret)
{
	static const char *const later[] = { "copy-mode", "on-source-error", "on-target-error",
					     "write-timeout" };
	const char *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value - arg) : 0;

	if (!n)
		return complain(BLOCKCOPY_USAGE, "set: found \"%s\", needed KEY=VALUE", arg);
	value++;
	if (n == strlen("bandwidth") && !strncmp(arg, "bandwidth", n)) {
		*ret = (struct setting) { "bandwidth", blockcopy_set_bandwidth, 0 };
		return get_bandwidth(value, c->opt.bytes, &ret->value);
	}
	if (n == strlen("buf-size") && !strncmp(arg, "buf-size", n)) {
		*ret = (struct setting) { "buf-size", blockcopy_set_buf_size, 0 };
		return get_buf_size(value, &ret->value);
	}
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
		if (n == strlen(later[i]) && !strncmp(arg, later[i], n))
			return complain(BLOCKCOPY_USAGE, "set %s: not supported by this version",
					later[i]);
	return complain(BLOCKCOPY_USAGE, "set: found \"%s\", needed bandwidth= or buf-size=", arg);
}

int cmd_set(struct ctl *c)
{
	struct setting settings[100];
	int n = c->n_arg - 1;

	/* All are understood before the first is made. */
	for (int i = 0; i < n; i++) {
		int r = parse_setting(c, c->arg[i + 1], &settings[i]);

		if (r)
			return r;
	}
	for (int i = 0; i < n; i++)
		if (settings[i].set(c->bc, c->arg[0], settings[i].value) < 0)
			return failed(c);
	return BLOCKCOPY_OK;
}

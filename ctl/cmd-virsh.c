// SPDX-License-Identifier: GPL-2.0-only
/* `virsh blockjob`, word for word: for scripts and fingers that know it. */
#include <errno.h>
#include <inttypes.h>

#include "ctl.h"

static uint64_t mib_rounded_up(uint64_t bytes)
{
	return (bytes >> 20) + !!(bytes & ((1 << 20) - 1));
}

/* libvirt's numbers: never equal before it is ready, and never 0 of 0. */
static void print_raw(const struct ctl *c, const struct blockcopy_info *i)
{
	uint64_t speed = blockcopy_info_bandwidth(i);

	printf(" type=Block Copy\n bandwidth=%" PRIu64 "\n cur=%" PRIu64 "\n end=%" PRIu64 "\n",
	       c->opt.bytes ? speed : mib_rounded_up(speed), blockcopy_info_offset(i),
	       blockcopy_info_len(i));
}

static void print_human(const struct blockcopy_info *i)
{
	uint64_t speed = blockcopy_info_bandwidth(i);
	char buf[SIZE_TEXT];

	printf("Block Copy: [%3u %%]", blockcopy_info_percent(i));
	if (speed)
		printf("    Bandwidth limit: %" PRIu64 " bytes/s (%s/s)", speed,
		       format_size(speed, buf));
	printf("\n");
}

/* A device without a job is an answer, as in virsh, and no error. */
static int job_info(struct ctl *c)
{
	struct blockcopy_info *i;
	dev_t dev;
	bool exists = blockcopy_resolve(c->bc, c->arg[0], &dev) == 0;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0) {
		if (blockcopy_error(c->bc) != BLOCKCOPY_NOT_FOUND || !exists)
			return failed(c);
		if (!c->opt.raw)
			printf("No current block job for %s\n", c->arg[0]);
		return BLOCKCOPY_OK;
	}
	if (c->opt.raw)
		print_raw(c, i);
	else
		print_human(i);
	blockcopy_info_free(i);
	return BLOCKCOPY_OK;
}

/* Libvirt's abort without pivot leaves a copy of one instant, if the job was ready for that. */
static int job_abort(struct ctl *c)
{
	struct blockcopy_info *i;
	bool ready;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return failed(c);
	ready = blockcopy_info_ready(i);
	blockcopy_info_free(i);
	return ready ? cmd_finish(c) : cmd_abort(c);
}

static int job_bandwidth(struct ctl *c)
{
	const char *rate = c->opt.bandwidth ? c->opt.bandwidth : c->arg[1];
	struct blockcopy_options *scratch;
	struct setting s;
	char key[64];
	int r;

	if ((size_t)snprintf(key, sizeof(key), "bandwidth=%s", rate) >= sizeof(key))
		return complain(BLOCKCOPY_USAGE, "bandwidth: found \"%s\", needed a rate", rate);
	if (blockcopy_options_new(&scratch) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	r = parse_setting(c, key, scratch, &s);
	blockcopy_options_free(scratch);
	if (r)
		return r;
	return apply_setting(c, &s) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_job(struct ctl *c)
{
	bool end = c->opt.abort || c->opt.pivot || c->opt.async;
	bool speed = c->opt.bandwidth || c->n_arg > 1;

	if (end + speed + (c->opt.info || c->opt.raw) > 1 || (c->opt.bandwidth && c->n_arg > 1))
		return complain(BLOCKCOPY_USAGE,
				"job: found more than one of --abort (with --async, --pivot), "
				"--info (with --raw) and a bandwidth, needed one");
	if (end && c->opt.bytes)
		return complain(BLOCKCOPY_USAGE, "job: --bytes is for a bandwidth, not for an end");
	if (c->opt.pivot)
		return cmd_pivot(c);
	if (end)
		return job_abort(c);
	return speed ? job_bandwidth(c) : job_info(c);
}

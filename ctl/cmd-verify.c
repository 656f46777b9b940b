// SPDX-License-Identifier: GPL-2.0-only
/* verify, and what pivot --verify does first. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static int get_bandwidth(struct ctl *c, uint64_t *ret)
{
	*ret = 0;
	if (c->opt.bandwidth && (parse_size(c->opt.bandwidth, c->opt.bytes ? 1 : 1 << 20, ret) < 0 ||
				 *ret > INT64_MAX))
		return complain(BLOCKCOPY_USAGE, "bandwidth: found \"%s\", needed a rate like 100M, 0 for none",
				c->opt.bandwidth);
	return BLOCKCOPY_OK;
}

/* Stop what was begun; the first error is the one that counts. */
static int give_up(struct ctl *c, int status)
{
	if (blockcopy_verify_stop(c->bc, c->arg[0]) < 0)
		failed(c);
	return status;
}

/* Begin, and wait with progress. Return: exit status. */
static int run(struct ctl *c, uint64_t bandwidth, int64_t timeout_ms)
{
	struct progress progress;
	int r;

	if (cancel_on_signals(c) < 0)
		return complain(BLOCKCOPY_FAILED, "signals: %s", strerror(errno));
	if (blockcopy_verify(c->bc, c->arg[0], c->opt.repair, bandwidth) < 0)
		return failed(c);
	progress_begin(&progress, stderr);
	progress.verify = true;
	c->progress = &progress;
	r = blockcopy_verify_wait(c->bc, c->arg[0], timeout_ms, progress_interval(&progress),
				  c->opt.verbose ? progress_show : NULL, &progress);
	c->progress = NULL;
	progress_end(&progress);
	if (r == -ETIMEDOUT || r == -EINTR)
		return give_up(c, failed(c));
	return r < 0 ? failed(c) : BLOCKCOPY_OK;
}

/* Worth knowing, though what is dirty is about to be copied. */
static void tell_rest(const struct blockcopy_info *i)
{
	uint64_t rest = blockcopy_info_verify_total_bytes(i) - blockcopy_info_verify_bytes(i) -
			blockcopy_info_verify_unread_bytes(i);
	char buf[SIZE_TEXT];

	if (rest)
		fprintf(stderr, "blockcopy: warning: %s: %s were not compared: they were dirty or written to "
			"each time\n", blockcopy_info_name(i), format_size(rest, buf));
}

static void print_found(const struct blockcopy_info *i, const struct blockcopy_range *ranges, size_t n)
{
	for (size_t k = 0; k < n; k++)
		printf("%" PRIu64 " %" PRIu64 "\n", ranges[k].offset, ranges[k].length);
	if (blockcopy_info_verify_ranges(i) > n)
		fprintf(stderr, "blockcopy: warning: %s: %" PRIu64 " ranges differ, of which %zu are listed\n",
			blockcopy_info_name(i), blockcopy_info_verify_ranges(i), n);
}

/* Return: exit status. */
static int result(struct ctl *c)
{
	struct blockcopy_range *ranges;
	struct blockcopy_info *i;
	int status = BLOCKCOPY_OK;
	size_t n;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return failed(c);
	if (blockcopy_verify_ranges(c->bc, c->arg[0], &ranges, &n) < 0) {
		blockcopy_info_free(i);
		return failed(c);
	}
	if (c->opt.json)
		json_print_verify(stdout, i, ranges, n);
	else
		print_found(i, ranges, n);
	fflush(stdout);
	tell_rest(i);
	if (blockcopy_info_verify_unread_bytes(i))
		status = complain(BLOCKCOPY_FAILED, "%s: %" PRIu64 " bytes could not be read", c->arg[0],
				  blockcopy_info_verify_unread_bytes(i));
	if (blockcopy_info_verify_differing_bytes(i))
		status = BLOCKCOPY_FAILED;
	free(ranges);
	blockcopy_info_free(i);
	return status;
}

/* May it be pivoted as it is? Return: exit status; *ret_pivoted: it has been, and only lacks its end. */
static int check_ready(struct ctl *c, bool *ret_pivoted)
{
	struct blockcopy_info *i;
	int status = BLOCKCOPY_OK;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return failed(c);
	/* It may be ready when it has been compared; who asked wants to know now. */
	if (!blockcopy_info_ready(i) || blockcopy_info_paused(i))
		status = complain(BLOCKCOPY_WRONG_STATE, "%s: found the job %s%s, needed it ready to pivot",
				  blockcopy_info_name(i), blockcopy_info_state_word(i),
				  blockcopy_info_paused(i) ? " and paused" : "");
	*ret_pivoted = blockcopy_info_state(i) == BLOCKCOPY_STATE_ID_PIVOTED;
	blockcopy_info_free(i);
	return status;
}

int verify_first(struct ctl *c)
{
	struct blockcopy_info *i;
	bool pivoted = false;
	int r = check_ready(c, &pivoted);

	if (r || pivoted)
		return r;
	r = run(c, 0, -1);
	if (r)
		return r;
	if (blockcopy_verify_check(c->bc, c->arg[0]) < 0 || blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return failed(c);
	tell_rest(i);
	blockcopy_info_free(i);
	return BLOCKCOPY_OK;
}

int cmd_verify(struct ctl *c)
{
	uint64_t bandwidth;
	int64_t timeout_ms;
	int r = get_timeout(c, &timeout_ms);

	if (!r)
		r = get_bandwidth(c, &bandwidth);
	if (r)
		return r;
	if (c->opt.async) {
		if (c->opt.wait || c->opt.timeout)
			return complain(BLOCKCOPY_USAGE, "--async excludes --wait and --timeout");
		return blockcopy_verify(c->bc, c->arg[0], c->opt.repair, bandwidth) < 0 ? failed(c) :
			BLOCKCOPY_OK;
	}
	r = run(c, bandwidth, timeout_ms);
	return r ? r : result(c);
}

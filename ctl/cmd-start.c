// SPDX-License-Identifier: GPL-2.0-only
/* start, and what virsh's blockcopy does after it: wait, pivot, finish, cancel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

/* Words that a later version will know. */
static int word_option(const char *option, const char *word, const char *const *later,
		       int (*set)(struct blockcopy_options *o, const char *w),
		       struct blockcopy_options *o)
{
	if (!word || set(o, word) == 0)
		return BLOCKCOPY_OK;
	for (; *later; later++)
		if (!strcmp(*later, word))
			return complain(BLOCKCOPY_USAGE, "%s %s: not supported by this version",
					option, word);
	return complain(BLOCKCOPY_USAGE, "%s: found \"%s\", see `blockcopy help start` for its "
					 "values",
			option, word);
}

/* Return: exit status. */
static int fill_options(struct ctl *c, struct blockcopy_options *o)
{
	static const char *const modes[] = { "write-blocking", "auto", NULL };
	static const char *const syncs[] = { "bitmap", "top", "incremental", NULL };
	static const char *const none[] = { NULL };
	const struct options *opt = &c->opt;
	uint64_t v;
	int r;

	if (opt->bandwidth) {
		r = get_bandwidth(opt->bandwidth, opt->bytes, &v);
		if (r)
			return r;
		blockcopy_options_set_bandwidth(o, v);
	}
	if (opt->buf_size) {
		r = get_buf_size(opt->buf_size, &v);
		if (r)
			return r;
		if (blockcopy_options_set_buf_size(o, v) < 0)
			return complain(BLOCKCOPY_USAGE, "buf-size: found %s, needed 1M to 256M",
					opt->buf_size);
	}
	if (opt->granularity &&
	    (parse_size(opt->granularity, 1, &v) < 0 ||
	     blockcopy_options_set_granularity(o, v) < 0))
		return complain(BLOCKCOPY_USAGE,
				"granularity: found \"%s\", needed a power of two from 4K to 64M",
				opt->granularity);
	r = word_option("copy-mode", opt->copy_mode, modes, blockcopy_options_set_copy_mode, o);
	if (!r)
		r = word_option("sync", opt->sync, syncs, blockcopy_options_set_sync, o);
	if (!r)
		r = word_option("detect-zeroes", opt->detect_zeroes, none,
				blockcopy_options_set_detect_zeroes, o);
	blockcopy_options_set_force(o, opt->force);
	return r;
}

static int dry_run(struct ctl *c, const struct blockcopy_options *o)
{
	char *text;

	if (blockcopy_plan(c->bc, c->arg[0], c->arg[1], o, c->opt.show_keys, &text) < 0)
		return failed(c);
	fputs(text, stdout);
	explicit_bzero(text, strlen(text));
	free(text);
	return BLOCKCOPY_OK;
}

/* Out of time or interrupted: as virsh does, the copy goes. "@status" is why. */
static int cancel(struct ctl *c, int status)
{
	if (c->opt.async) {
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			cancel_restore();
			_exit(blockcopy_abort(c->bc, c->arg[0], true) < 0);
		}
		if (pid > 0) {
			print_result(c, "cancelling", "Copy is being aborted", NULL);
			return status;
		}
		/* Without a child it takes as long as it takes. */
	}
	blockcopy_set_cancel_fd(c->bc, -1);
	if (blockcopy_abort(c->bc, c->arg[0], true) < 0)
		failed(c);
	else
		print_result(c, "aborted", "Copy aborted", NULL);
	return status;
}

static int wait_for_it(struct ctl *c, int64_t timeout_ms, unsigned int max_blackout_ms)
{
	struct progress progress;
	uint64_t blackout;
	int r;

	progress_begin(&progress, stderr);
	r = blockcopy_wait(c->bc, c->arg[0], timeout_ms, progress_interval(&progress),
			   c->opt.verbose ? progress_show : NULL, &progress);
	progress_end(&progress);
	if (r == -ETIMEDOUT || r == -EINTR)
		return cancel(c, failed(c));
	if (r < 0)
		return failed(c);

	if (c->opt.pivot) {
		if (blockcopy_pivot(c->bc, c->arg[0], max_blackout_ms, &blackout) < 0)
			return failed(c);
		print_result(c, "pivoted", "Successfully pivoted", &blackout);
	} else if (c->opt.finish) {
		if (blockcopy_finish(c->bc, c->arg[0], max_blackout_ms, &blackout) < 0)
			return failed(c);
		print_result(c, "finished", "Successfully copied", &blackout);
	} else {
		print_result(c, "ready", "Now in mirroring phase", NULL);
	}
	return BLOCKCOPY_OK;
}

static int start(struct ctl *c, const struct blockcopy_options *o)
{
	bool wait = c->opt.wait || c->opt.pivot || c->opt.finish || c->opt.timeout;
	unsigned int max_blackout_ms;
	int64_t timeout_ms;
	int r;

	r = get_timeout(c, &timeout_ms);
	if (!r)
		r = get_max_blackout(c, &max_blackout_ms);
	if (r)
		return r;
	if (c->opt.pivot && c->opt.finish)
		return complain(BLOCKCOPY_USAGE, "--pivot and --finish exclude each other");
	if (c->opt.dry_run)
		return dry_run(c, o);
	/* Before the start, so that an interrupt right after it finds us ready to undo it. */
	if (wait && cancel_on_signals(c) < 0)
		return complain(BLOCKCOPY_FAILED, "signals: %s", strerror(errno));
	if (blockcopy_start(c->bc, c->arg[0], c->arg[1], o) < 0)
		return failed(c);
	if (wait)
		return wait_for_it(c, timeout_ms, max_blackout_ms);
	print_result(c, "started", "Block Copy started", NULL);
	return BLOCKCOPY_OK;
}

int cmd_start(struct ctl *c)
{
	struct blockcopy_options *o;
	int status;

	if (blockcopy_options_new(&o) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	status = fill_options(c, o);
	if (!status)
		status = start(c, o);
	blockcopy_options_free(o);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-only
/* start, and what virsh's blockcopy does after it: wait, pivot, finish, cancel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ctl.h"

/* A word of an option that only start has; "@later" are those that a later version will know. */
static int word_option(const char *option, const char *word, const char *needed,
		       const char *const *later,
		       int (*set)(struct blockcopy_options *o, const char *w),
		       struct blockcopy_options *o)
{
	int r = word ? set(o, word) : 0;

	if (r == 0)
		return BLOCKCOPY_OK;
	if (r == -ENOMEM)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	for (; *later; later++)
		if (!strcmp(*later, word))
			return complain(BLOCKCOPY_USAGE, "%s %s: not supported by this version",
					option, word);
	return complain(BLOCKCOPY_USAGE, "%s: found \"%s\", needed %s", option, word, needed);
}

/* virsh's word for a mode of ours. */
static int take_synchronous_writes(struct ctl *c)
{
	if (!c->opt.synchronous_writes)
		return BLOCKCOPY_OK;
	if (c->opt.copy_mode && strcmp(c->opt.copy_mode, "write-blocking"))
		return complain(BLOCKCOPY_USAGE,
				"--synchronous-writes and --copy-mode %s exclude each other",
				c->opt.copy_mode);
	c->opt.copy_mode = "write-blocking";
	return BLOCKCOPY_OK;
}

int fill_granularity(const struct ctl *c, struct blockcopy_options *o)
{
	const char *word = c->opt.granularity;
	uint64_t v;

	if (word && (parse_size(word, 1, &v) < 0 || blockcopy_options_set_granularity(o, v) < 0))
		return complain(BLOCKCOPY_USAGE,
				"granularity: found \"%s\", needed a power of two from 4K to 64M",
				word);
	return BLOCKCOPY_OK;
}

int fill_options(struct ctl *c, struct blockcopy_options *o)
{
	static const char *const syncs[] = { "top", "incremental", NULL };
	static const char *const none[] = { NULL };
	const struct options *opt = &c->opt;
	int r;

	r = fill_granularity(c, o);
	if (r)
		return r;
	r = take_synchronous_writes(c);
	if (!r)
		r = fill_settings(c, o);
	if (!r)
		r = word_option("sync", opt->sync, "full, none or bitmap", syncs,
				blockcopy_options_set_sync, o);
	if (!r)
		r = word_option("detect-zeroes", opt->detect_zeroes, "off, on or unmap", none,
				blockcopy_options_set_detect_zeroes, o);
	if (!r && opt->metadata && blockcopy_options_set_metadata(o, opt->metadata) < 0)
		r = complain(BLOCKCOPY_FAILED, "out of memory");
	if (!r && opt->format && blockcopy_options_set_format(o, opt->format) < 0)
		r = complain(BLOCKCOPY_USAGE, "format: found \"%s\", needed raw, qcow2, qed, vmdk, vdi, "
					      "vhdx, vpc or parallels", opt->format);
	if (!r && opt->raw && opt->format && strcmp(opt->format, "raw"))
		r = complain(BLOCKCOPY_USAGE, "--raw and --format %s exclude each other", opt->format);
	else if (!r && opt->raw && blockcopy_options_set_format(o, "raw") < 0)
		r = complain(BLOCKCOPY_FAILED, "out of memory");
	if (!r && opt->target_is_zero && opt->sync && strcmp(opt->sync, "full"))
		r = complain(BLOCKCOPY_USAGE, "--target-is-zero and --sync %s exclude each other", opt->sync);
	blockcopy_options_set_target_is_zero(o, opt->target_is_zero);
	blockcopy_options_set_compare(o, opt->compare);
	blockcopy_options_set_shallow(o, opt->shallow);
	if (!r && opt->base && blockcopy_options_set_base(o, opt->base) < 0)
		r = complain(BLOCKCOPY_FAILED, "out of memory");
	blockcopy_options_set_force(o, opt->force);
	blockcopy_options_set_reuse_external(o, opt->reuse_external);
	blockcopy_options_set_blockdev(o, opt->blockdev);
	return r;
}

static int dry_run(struct ctl *c, const struct blockcopy_options *o)
{
	char *text;

	if (blockcopy_plan(c->bc, c->arg[0], c->opt.dest, o, c->opt.show_keys, &text) < 0)
		return failed(c);
	fputs(text, stdout);
	explicit_bzero(text, strlen(text));
	free(text);
	return BLOCKCOPY_OK;
}

/* Out of time or interrupted: as virsh does, the copy goes. "@status" is why. */
static int cancel(struct ctl *c, int status)
{
	blockcopy_set_cancel_fd(c->bc, -1);
	if (c->opt.async) {
		if (!abort_in_background(c))
			print_result(c, "cancelling", "Copy is being aborted", NULL);
	} else if (c->opt.keep_tracking && c->opt.sync && !strcmp(c->opt.sync, "bitmap")) {
		/* A refresh: what it has tracked is not lost. */
		if (blockcopy_abort_tracking(c->bc, c->arg[0]) < 0)
			failed(c);
		else
			print_result(c, "tracking", "Copy stopped, writes are tracked", NULL);
	} else if (blockcopy_abort(c->bc, c->arg[0], true) < 0) {
		failed(c);
	} else {
		print_result(c, "aborted", "Copy aborted", NULL);
	}
	return status;
}

static int wait_for_it(struct ctl *c, int64_t timeout_ms, unsigned int max_blackout_ms)
{
	uint64_t blackout;
	int r;

	r = wait_with_progress(c, timeout_ms);
	if (r == -ETIMEDOUT || r == -EINTR)
		return cancel(c, failed(c));
	if (r < 0)
		return failed(c);

	if (c->opt.pivot) {
		return pivot_job(c, max_blackout_ms);
	} else if (c->opt.finish) {
		r = finish_job(c, max_blackout_ms, &blackout);
		if (r)
			return r;
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
	if (c->opt.async && !wait)
		return complain(BLOCKCOPY_USAGE, "--async needs --wait, --timeout, --pivot or --finish");
	if (c->opt.keep_tracking && !(c->opt.finish && c->opt.metadata))
		return complain(BLOCKCOPY_USAGE, "--keep-tracking needs --finish and --metadata");
	if (c->opt.keep_source && (!c->opt.pivot || c->opt.metadata))
		return complain(BLOCKCOPY_USAGE, "--keep-source needs --pivot, and excludes --metadata");
	r = check_tab(c, c->arg[0]);
	if (r)
		return r;
	if (c->opt.dry_run)
		return dry_run(c, o);
	/* Before the start, so that an interrupt right after it finds us ready to undo it. */
	if (wait && cancel_on_signals(c) < 0)
		return complain(BLOCKCOPY_FAILED, "signals: %s", strerror(errno));
	if (blockcopy_start(c->bc, c->arg[0], c->opt.dest, o) < 0)
		return failed(c);
	if (wait)
		return wait_for_it(c, timeout_ms, max_blackout_ms);
	print_result(c, "started", "Block Copy started", NULL);
	return BLOCKCOPY_OK;
}

/* Larger is no description of a disk. */
#define XML_MAX (1 << 20)

/* The destination in a file of libvirt's. */
static int take_xml(struct ctl *c, struct blockcopy_options *o)
{
	FILE *f = strcmp(c->opt.xml, "-") ? fopen(c->opt.xml, "re") : stdin;
	char *text = malloc(XML_MAX), *destination = NULL;
	int status = BLOCKCOPY_OK;
	size_t n;

	if (!f)
		status = complain(BLOCKCOPY_FAILED, "%s: %s", c->opt.xml, strerror(errno));
	else if (!text)
		status = complain(BLOCKCOPY_FAILED, "out of memory");
	if (!status) {
		n = fread(text, 1, XML_MAX, f);
		if (blockcopy_destination_from_xml(c->bc, text, n, o, &destination) < 0)
			status = failed(c);
	}
	/* Kept until the process ends, as the words of the command line are. */
	c->opt.dest = destination;
	free(text);
	if (f && f != stdin)
		fclose(f);
	return status;
}

/* Bytes of a device, for messages about what is not within them; whoever starts the copy looks, too. */
static uint64_t size_of(struct ctl *c, const char *name)
{
	unsigned long long sectors = 0;
	char path[64];
	dev_t dev;
	FILE *f;

	if (blockcopy_resolve(c->bc, name, &dev) < 0)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(dev), minor(dev));
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &sectors) != 1)
		sectors = UINT64_MAX / 512;
	if (f)
		fclose(f);
	return sectors * 512;
}

static int take_ranges(struct ctl *c, struct blockcopy_options *o)
{
	struct blockcopy_range *ranges = NULL;
	size_t n = 0;
	int status = read_ranges(c->opt.ranges, size_of(c, c->arg[0]), c->opt.target_is_zero, &ranges, &n);

	if (!status && blockcopy_options_set_ranges(o, ranges, n) < 0)
		status = complain(BLOCKCOPY_FAILED, "out of memory");
	free(ranges);
	return status;
}

static int print_xml(struct ctl *c, const struct blockcopy_options *o)
{
	struct stat st;
	bool device = c->opt.blockdev || (stat(c->opt.dest, &st) == 0 && S_ISBLK(st.st_mode));
	char *text;

	if (blockcopy_destination_to_xml(c->bc, c->opt.dest, device, o, &text) < 0)
		return failed(c);
	puts(text);
	free(text);
	return BLOCKCOPY_OK;
}

int cmd_start(struct ctl *c)
{
	int given = (c->n_arg > 1) + !!c->opt.dest + !!c->opt.xml;
	struct blockcopy_options *o;
	int status;

	if (given != 1)
		return complain(BLOCKCOPY_USAGE, "start: found %s, needed NAME DEST, NAME --dest DEST, or "
						 "NAME --xml FILE",
				given ? "more than one destination" : "no destination");
	if (c->opt.xml && (c->opt.format || c->opt.raw || c->opt.blockdev))
		return complain(BLOCKCOPY_USAGE, "--xml says what the destination is: --format, --raw and "
						 "--blockdev exclude it");
	if (c->n_arg > 1)
		c->opt.dest = c->arg[1];
	if (blockcopy_options_new(&o) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	status = fill_options(c, o);
	if (!status && c->opt.xml)
		status = take_xml(c, o);
	if (!status && c->opt.ranges)
		status = take_ranges(c, o);
	if (!status)
		status = c->opt.print_xml ? print_xml(c, o) : start(c, o);
	blockcopy_options_free(o);
	return status;
}

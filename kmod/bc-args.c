// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arguments of a table line, in and out. See blockcopy-abi.h for the words.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/string.h>

#include "bc-args.h"

const char *const bc_copy_mode_names[BC_COPY_MODE_MAX] = {
	[BC_COPY_MODE_BACKGROUND] = "background",
	[BC_COPY_MODE_WRITE_BLOCKING] = "write-blocking",
	[BC_COPY_MODE_AUTO] = "auto",
};

static const char *const sync_names[BC_SYNC_MAX] = {
	[BC_SYNC_FULL] = "full",
	[BC_SYNC_NONE] = "none",
	[BC_SYNC_BITMAP] = "bitmap",
	[BC_SYNC_RANGES] = "ranges",
};

static const char *const detect_zeroes_names[BC_DETECT_ZEROES_MAX] = {
	[BC_DETECT_ZEROES_OFF] = "off",
	[BC_DETECT_ZEROES_ON] = "on",
	[BC_DETECT_ZEROES_UNMAP] = "unmap",
};

const char *const bc_policy_names[BC_POLICY_MAX] = {
	[BC_POLICY_REPORT] = "report",
	[BC_POLICY_IGNORE] = "ignore",
	[BC_POLICY_ENOSPC] = "enospc",
	[BC_POLICY_STOP] = "stop",
};

static int parse_word(const char *word, const char *const *names, unsigned int nr_names)
{
	return match_string(names, nr_names, word);
}

static int parse_bandwidth(struct bc_args *args, const char *word, char **error)
{
	u64 rate;

	if (kstrtou64(word, 10, &rate)) {
		*error = "bandwidth: need bytes per second, or 0 for no limit";
		return -EINVAL;
	}
	args->bandwidth = rate;
	return 0;
}

static int parse_buf_size(struct bc_args *args, const char *word, char **error)
{
	u64 size;

	if (kstrtou64(word, 10, &size) || size < BLOCKCOPY_BUF_SIZE_MIN ||
	    size > BLOCKCOPY_BUF_SIZE_MAX) {
		*error = "buf_size: need 1048576 to 268435456 bytes";
		return -EINVAL;
	}
	args->buf_size = size;
	return 0;
}

static int parse_write_timeout(struct bc_args *args, const char *word, char **error)
{
	u32 ms;

	if (kstrtou32(word, 10, &ms) || ms < BLOCKCOPY_WRITE_TIMEOUT_MIN ||
	    ms > BLOCKCOPY_WRITE_TIMEOUT_MAX) {
		*error = "write_timeout: need 10 to 60000 milliseconds";
		return -EINVAL;
	}
	args->write_timeout = ms;
	return 0;
}

static int parse_copy_mode(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, bc_copy_mode_names, BC_COPY_MODE_MAX);

	if (r < 0) {
		*error = "copy_mode: need background, write-blocking or auto";
		return r;
	}
	args->copy_mode = r;
	return 0;
}

static int parse_sync(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, sync_names, BC_SYNC_MAX);

	if (r < 0) {
		*error = "sync: need full, none, bitmap or ranges";
		return r;
	}
	args->sync = r;
	return 0;
}

static int parse_detect_zeroes(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, detect_zeroes_names, BC_DETECT_ZEROES_MAX);

	if (r < 0) {
		*error = "detect_zeroes: need off, on or unmap";
		return r;
	}
	args->detect_zeroes = r;
	return 0;
}

static int parse_on_source_error(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, bc_policy_names, BC_POLICY_MAX);

	if (r < 0) {
		*error = "on_source_error: need report, ignore, enospc or stop";
		return r;
	}
	args->on_source_error = r;
	return 0;
}

static int parse_on_target_error(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, bc_policy_names, BC_POLICY_MAX);

	if (r < 0) {
		*error = "on_target_error: need report, ignore, enospc or stop";
		return r;
	}
	args->on_target_error = r;
	return 0;
}

static int parse_target_is_zero(struct bc_args *args, const char *word, char **error)
{
	args->target_is_zero = true;
	return 0;
}

static int parse_compare(struct bc_args *args, const char *word, char **error)
{
	args->compare = true;
	return 0;
}

static int parse_paused(struct bc_args *args, const char *word, char **error)
{
	args->paused = true;
	return 0;
}

static int parse_pivoted(struct bc_args *args, const char *word, char **error)
{
	args->pivoted = true;
	return 0;
}

static int parse_finished(struct bc_args *args, const char *word, char **error)
{
	args->finished = true;
	return 0;
}

static int parse_metadata(struct bc_args *args, const char *word, char **error)
{
	args->metadata = word;
	return 0;
}

static const struct {
	const char *name;
	bool has_value;
	bool live;			/* may change while the job runs */
	int (*parse)(struct bc_args *args, const char *word, char **error);
} keywords[] = {
	{ "copy_mode",		true,	true,	parse_copy_mode },
	{ "sync",		true,	false,	parse_sync },
	{ "bandwidth",		true,	true,	parse_bandwidth },
	{ "buf_size",		true,	true,	parse_buf_size },
	{ "write_timeout",	true,	true,	parse_write_timeout },
	{ "detect_zeroes",	true,	false,	parse_detect_zeroes },
	{ "on_source_error",	true,	true,	parse_on_source_error },
	{ "on_target_error",	true,	true,	parse_on_target_error },
	{ "target_is_zero",	false,	false,	parse_target_is_zero },
	{ "compare",		false,	false,	parse_compare },
	{ "paused",		false,	false,	parse_paused },
	{ "pivoted",		false,	false,	parse_pivoted },
	{ "finished",		false,	false,	parse_finished },
	{ "metadata",		true,	false,	parse_metadata },
};

int bc_args_set(struct bc_args *args, const char *name, const char *word, char **error)
{
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(keywords); k++)
		if (keywords[k].live && !strcmp(name, keywords[k].name))
			return keywords[k].parse(args, word, error);
	*error = "need bandwidth, buf_size, copy_mode, write_timeout or an error policy";
	return -EINVAL;
}

static int parse_keywords(struct bc_args *args, unsigned int argc, char **argv, char **error)
{
	unsigned long seen = 0;
	unsigned int i, k;
	int r;

	for (i = 0; i < argc; i++) {
		for (k = 0; k < ARRAY_SIZE(keywords); k++)
			if (!strcmp(argv[i], keywords[k].name))
				break;
		if (k == ARRAY_SIZE(keywords)) {
			*error = "Unknown argument";
			return -EINVAL;
		}
		if (seen & (1UL << k)) {
			*error = "Argument given twice";
			return -EINVAL;
		}
		seen |= 1UL << k;
		if (keywords[k].has_value && ++i == argc) {
			*error = "Last argument lacks its value";
			return -EINVAL;
		}
		r = keywords[k].parse(args, argv[i], error);
		if (r)
			return r;
	}
	if (args->pivoted && args->finished) {
		*error = "pivoted and finished exclude each other";
		return -EINVAL;
	}
	if (args->sync == BC_SYNC_BITMAP && !args->metadata) {
		*error = "sync bitmap: need metadata";
		return -EINVAL;
	}
	if (args->target_is_zero && args->sync != BC_SYNC_FULL && args->sync != BC_SYNC_RANGES) {
		*error = "target_is_zero: need sync full or ranges";
		return -EINVAL;
	}
	return 0;
}

static int parse_region(struct bc_args *args, const char *word, char **error)
{
	u32 sectors;

	if (kstrtou32(word, 10, &sectors) || sectors < BLOCKCOPY_REGION_SECTORS_MIN ||
	    sectors > BLOCKCOPY_REGION_SECTORS_MAX || !is_power_of_2(sectors)) {
		*error = "Region size: need a power of two of 8 to 131072 sectors";
		return -EINVAL;
	}
	args->region_sectors = sectors;
	return 0;
}

int bc_args_parse(struct bc_args *args, unsigned int argc, char **argv, char **error)
{
	unsigned int nr;
	int r;

	*args = (struct bc_args) {
		.copy_mode = BC_COPY_MODE_AUTO,
		.buf_size = BLOCKCOPY_BUF_SIZE_DEFAULT,
		.write_timeout = BLOCKCOPY_WRITE_TIMEOUT_DEFAULT,
		.detect_zeroes = BC_DETECT_ZEROES_UNMAP,
	};

	if (!argc) {
		*error = "Region size missing";
		return -EINVAL;
	}
	r = parse_region(args, argv[0], error);
	if (r || argc == 1)
		return r;

	if (kstrtouint(argv[1], 10, &nr)) {
		*error = "Number of arguments: need a number";
		return -EINVAL;
	}
	if (nr != argc - 2) {
		*error = "Number of arguments is not how many follow";
		return -EINVAL;
	}
	return parse_keywords(args, nr, argv + 2, error);
}

unsigned int bc_args_format(const struct bc_args *args, char *buf, unsigned int size)
{
	char words[384];
	unsigned int nr = 0, n = 0;

	words[0] = '\0';
	if (args->sync != BC_SYNC_FULL) {
		n += scnprintf(words + n, sizeof(words) - n, " sync %s", sync_names[args->sync]);
		nr += 2;
	}
	if (args->bandwidth) {
		n += scnprintf(words + n, sizeof(words) - n, " bandwidth %llu",
			       (unsigned long long)args->bandwidth);
		nr += 2;
	}
	if (args->buf_size != BLOCKCOPY_BUF_SIZE_DEFAULT) {
		n += scnprintf(words + n, sizeof(words) - n, " buf_size %llu",
			       (unsigned long long)args->buf_size);
		nr += 2;
	}
	if (args->write_timeout != BLOCKCOPY_WRITE_TIMEOUT_DEFAULT) {
		n += scnprintf(words + n, sizeof(words) - n, " write_timeout %u",
			       args->write_timeout);
		nr += 2;
	}
	if (args->on_source_error != BC_POLICY_REPORT) {
		n += scnprintf(words + n, sizeof(words) - n, " on_source_error %s",
			       bc_policy_names[args->on_source_error]);
		nr += 2;
	}
	if (args->on_target_error != BC_POLICY_REPORT) {
		n += scnprintf(words + n, sizeof(words) - n, " on_target_error %s",
			       bc_policy_names[args->on_target_error]);
		nr += 2;
	}
	if (args->detect_zeroes != BC_DETECT_ZEROES_UNMAP) {
		n += scnprintf(words + n, sizeof(words) - n, " detect_zeroes %s",
			       detect_zeroes_names[args->detect_zeroes]);
		nr += 2;
	}
	if (args->target_is_zero) {
		n += scnprintf(words + n, sizeof(words) - n, " target_is_zero");
		nr++;
	}
	if (args->compare) {
		n += scnprintf(words + n, sizeof(words) - n, " compare");
		nr++;
	}
	if (args->paused) {
		n += scnprintf(words + n, sizeof(words) - n, " paused");
		nr++;
	}
	if (args->pivoted) {
		n += scnprintf(words + n, sizeof(words) - n, " pivoted");
		nr++;
	}
	if (args->finished) {
		n += scnprintf(words + n, sizeof(words) - n, " finished");
		nr++;
	}
	if (args->metadata) {
		n += scnprintf(words + n, sizeof(words) - n, " metadata %s", args->metadata);
		nr += 2;
	}
	/* The mode is always told: a later version may have another default. */
	return scnprintf(buf, size, "%u %u copy_mode %s%s", args->region_sectors, nr + 2,
			 bc_copy_mode_names[args->copy_mode], words);
}

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
};

static const char *const sync_names[BC_SYNC_MAX] = {
	[BC_SYNC_FULL] = "full",
	[BC_SYNC_NONE] = "none",
};

static const char *const detect_zeroes_names[BC_DETECT_ZEROES_MAX] = {
	[BC_DETECT_ZEROES_OFF] = "off",
	[BC_DETECT_ZEROES_ON] = "on",
	[BC_DETECT_ZEROES_UNMAP] = "unmap",
};

/* There is one policy so far; the words are fixed for those to come. */
static const char *const on_error_names[] = { "report" };

static int parse_word(const char *word, const char *const *names, unsigned int nr_names)
{
	return match_string(names, nr_names, word);
}

int bc_args_bandwidth(const char *word, u64 *ret, char **error)
{
	if (kstrtou64(word, 10, ret)) {
		*error = "bandwidth: need bytes per second, or 0 for no limit";
		return -EINVAL;
	}
	return 0;
}

int bc_args_buf_size(const char *word, u64 *ret, char **error)
{
	u64 size;

	if (kstrtou64(word, 10, &size) || size < BLOCKCOPY_BUF_SIZE_MIN ||
	    size > BLOCKCOPY_BUF_SIZE_MAX) {
		*error = "buf_size: need 1048576 to 268435456 bytes";
		return -EINVAL;
	}
	*ret = size;
	return 0;
}

static int parse_copy_mode(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, bc_copy_mode_names, BC_COPY_MODE_MAX);

	if (r < 0) {
		*error = "copy_mode: only background is supported by this version";
		return r;
	}
	args->copy_mode = r;
	return 0;
}

static int parse_sync(struct bc_args *args, const char *word, char **error)
{
	int r = parse_word(word, sync_names, BC_SYNC_MAX);

	if (r < 0) {
		*error = "sync: need full or none";
		return r;
	}
	args->sync = r;
	return 0;
}

static int parse_bandwidth(struct bc_args *args, const char *word, char **error)
{
	return bc_args_bandwidth(word, &args->bandwidth, error);
}

static int parse_buf_size(struct bc_args *args, const char *word, char **error)
{
	return bc_args_buf_size(word, &args->buf_size, error);
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

static int parse_on_error(struct bc_args *args, const char *word, char **error)
{
	if (parse_word(word, on_error_names, ARRAY_SIZE(on_error_names)) < 0) {
		*error = "error policies: only report is supported by this version";
		return -EINVAL;
	}
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

static const struct {
	const char *name;
	bool has_value;
	int (*parse)(struct bc_args *args, const char *word, char **error);
} keywords[] = {
	{ "copy_mode",		true,	parse_copy_mode },
	{ "sync",		true,	parse_sync },
	{ "bandwidth",		true,	parse_bandwidth },
	{ "buf_size",		true,	parse_buf_size },
	{ "detect_zeroes",	true,	parse_detect_zeroes },
	{ "on_source_error",	true,	parse_on_error },
	{ "on_target_error",	true,	parse_on_error },
	{ "paused",		false,	parse_paused },
	{ "pivoted",		false,	parse_pivoted },
	{ "finished",		false,	parse_finished },
};

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
		.buf_size = BLOCKCOPY_BUF_SIZE_DEFAULT,
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
	char words[192];
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
	if (args->detect_zeroes != BC_DETECT_ZEROES_UNMAP) {
		n += scnprintf(words + n, sizeof(words) - n, " detect_zeroes %s",
			       detect_zeroes_names[args->detect_zeroes]);
		nr += 2;
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
	/* The mode is always told: a later version may have another default. */
	return scnprintf(buf, size, "%u %u copy_mode %s%s", args->region_sectors, nr + 2,
			 bc_copy_mode_names[args->copy_mode], words);
}

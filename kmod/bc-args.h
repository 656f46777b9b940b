/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arguments of a table line after the two legs: "<region_sectors> [<#args> <arg>...]". Pure
 * logic.
 */
#ifndef BC_ARGS_H
#define BC_ARGS_H

#include <linux/types.h>

#include "blockcopy-abi.h"

enum bc_copy_mode {
	BC_COPY_MODE_BACKGROUND,
	BC_COPY_MODE_MAX,
};

enum bc_sync {
	BC_SYNC_FULL,
	BC_SYNC_NONE,
	BC_SYNC_MAX,
};

enum bc_detect_zeroes {
	BC_DETECT_ZEROES_OFF,
	BC_DETECT_ZEROES_ON,
	BC_DETECT_ZEROES_UNMAP,
	BC_DETECT_ZEROES_MAX,
};

/* What the words of a table line mean; what is not given has the default of blockcopy-abi.h. */
struct bc_args {
	u32 region_sectors;
	enum bc_copy_mode copy_mode;
	enum bc_sync sync;
	enum bc_detect_zeroes detect_zeroes;
	u64 bandwidth;			/* bytes per second, 0 is unlimited */
	u64 buf_size;			/* bytes */
	bool paused;
	bool pivoted;
	bool finished;
};

extern const char *const bc_copy_mode_names[BC_COPY_MODE_MAX];

/*
 * Parse @argc words.
 *
 * Return: 0, or -EINVAL with a sentence in @error (static text); @args is undefined then.
 */
int bc_args_parse(struct bc_args *args, unsigned int argc, char **argv, char **error);

/*
 * Write the words that bc_args_parse() turns into @args again, defaults left out, into @buf of
 * @size bytes, beginning with the region size.
 *
 * Return: how many bytes that took without the NUL, as scnprintf() counts.
 */
unsigned int bc_args_format(const struct bc_args *args, char *buf, unsigned int size);

/*
 * Parse the value of "bandwidth" or "buf_size", of a table line or a message alike. Return: 0 or
 * -EINVAL.
 */
int bc_args_bandwidth(const char *word, u64 *ret, char **error);
int bc_args_buf_size(const char *word, u64 *ret, char **error);

#endif /* BC_ARGS_H */

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
	BC_COPY_MODE_WRITE_BLOCKING,
	BC_COPY_MODE_AUTO,
	BC_COPY_MODE_MAX,
};

enum bc_sync {
	BC_SYNC_FULL,
	BC_SYNC_NONE,
	BC_SYNC_BITMAP,
	BC_SYNC_RANGES,
	BC_SYNC_MAX,
};

enum bc_detect_zeroes {
	BC_DETECT_ZEROES_OFF,
	BC_DETECT_ZEROES_ON,
	BC_DETECT_ZEROES_UNMAP,
	BC_DETECT_ZEROES_MAX,
};

/* What an error does. The words are those of virsh. */
enum bc_policy {
	BC_POLICY_REPORT,
	BC_POLICY_IGNORE,
	BC_POLICY_ENOSPC,
	BC_POLICY_STOP,
	BC_POLICY_MAX,
};

/* What the words of a table line mean; what is not given has the default of blockcopy-abi.h. */
struct bc_args {
	u32 region_sectors;
	enum bc_copy_mode copy_mode;
	enum bc_sync sync;
	enum bc_detect_zeroes detect_zeroes;
	u64 bandwidth;			/* bytes per second, 0 is unlimited */
	u64 buf_size;			/* bytes */
	u32 write_timeout;		/* milliseconds */
	enum bc_policy on_source_error;
	enum bc_policy on_target_error;
	bool target_is_zero;
	bool compare;
	bool paused;
	bool pivoted;
	bool finished;
	const char *metadata;		/* a device; NULL for none; a word of what was parsed */
};

extern const char *const bc_copy_mode_names[BC_COPY_MODE_MAX];
extern const char *const bc_policy_names[BC_POLICY_MAX];

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
 * Set what may change while the job runs: bandwidth, buf_size, copy_mode, write_timeout and the
 * error policies, by the name and the value of a table line.
 *
 * Return: 0, or -EINVAL with a sentence in @error (static text) and @args as it was.
 */
int bc_args_set(struct bc_args *args, const char *name, const char *word, char **error);

#endif /* BC_ARGS_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Do the legs look as their metadata says? */
#ifndef BCL_SAMPLE_H
#define BCL_SAMPLE_H

#include "internal.h"

struct bcl_sampled {
	const char *metadata;		/* path */
	dev_t source;			/* the dm device, with a job or without */
	dev_t destination;
	uint64_t destination_offset;	/* sectors */
};

/*
 * Compare some places that the metadata calls the same; a guest may write at the same time. Reads at
 * most 202 times 64 KiB, with 32 partitions.
 * Return: 0 nothing was found to differ; -ESTALE something was (BLOCKCOPY_REFUSED); another -errno:
 * the metadata cannot be read or is not good.
 */
int bcl_sample_check(struct blockcopy *bc, const struct bcl_sampled *what);

/*
 * Does the block device "@path" read as zeroes, at its head, at byte "@len" - 1, and in 64 places
 * between? Return: 0, -ENOTEMPTY if not (BLOCKCOPY_REFUSED), another -errno if it cannot be read.
 */
int bcl_sample_zero(struct blockcopy *bc, const char *path, uint64_t len);

#endif /* BCL_SAMPLE_H */

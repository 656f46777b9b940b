/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on a metadata device, read and written past the page cache, as the kernel does it. */
#ifndef BCL_MEDIUM_H
#define BCL_MEDIUM_H

#include "bc-format.h"
#include "format-user.h"
#include "metadata.h"

/* Blocks that are read at a time. */
#define BCL_MEDIUM_CHUNK	256

/* The device with both slots, and room for blocks. */
struct bcl_medium {
	int fd;
	const char *path;
	void *memory;		/* BCL_MEDIUM_CHUNK blocks */
	struct bc_format_super slots[BC_FORMAT_SUPER_SLOTS];
	int slot;		/* in force, or -1 */
	enum bc_format_verdict verdict;
};

void bcl_medium_done(struct bcl_medium *m);
/* Open and read the superblocks, good or not. "@path" is kept. */
int bcl_medium_open(struct blockcopy *bc, const char *path, int flags, struct bcl_medium *m);
/* "PATH: cannot WHAT metadata". Return: "@r". */
int bcl_medium_failed(struct blockcopy *bc, const struct bcl_medium *m, const char *what, int r);
/* At most BCL_MEDIUM_CHUNK blocks, into its memory. */
int bcl_medium_read(struct blockcopy *bc, const struct bcl_medium *m, uint64_t block, size_t n);
/*
 * Seal and write both slots, durably, one after the other; the sequence is counted up. What was before
 * is not to come back when one of them decays.
 */
int bcl_medium_write(struct blockcopy *bc, const struct bcl_medium *m,
		     struct bc_format_super *super);
/* What is no metadata of a job is BLOCKCOPY_REFUSED. */
int bcl_medium_need_super(struct blockcopy *bc, const struct bcl_medium *m);
/* Without a superblock: does it carry anything else? */
int bcl_medium_check_empty(struct blockcopy *bc, const struct bcl_medium *m);
/* With that, no block of the bitmap that was written before is this job's. */
int bcl_medium_new_uuid(struct blockcopy *bc, struct bc_format_super *super);

#endif /* BCL_MEDIUM_H */

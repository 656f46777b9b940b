/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata device of a job, from userspace. See kmod/bc-format.h for what is on it. */
#ifndef BCL_METADATA_H
#define BCL_METADATA_H

#include "bc-format.h"
#include "internal.h"

/* Of the superblock, version 1; what follows is zero. */
#define BCL_SUPER_USED 1024

/* What is on one, as the public calls show it. */
struct blockcopy_metadata {
	char superblock[2 * BCL_SUPER_USED + 1];	/* hexadecimal */
	char uuid[37];
	const char *outcome;
	uint64_t generation, sequence, len, region_size, instant;
	uint64_t source_offset, destination_offset;
	char source[BC_FORMAT_IDENTITY_SIZE], destination[BC_FORMAT_IDENTITY_SIZE];
	char below[BC_FORMAT_IDENTITY_SIZE];
	uint64_t blocks, bad_blocks, intent_bytes;
	unsigned int bad_slots;
};

/*
 * What a device is, in a word that outlives a reboot; its name where nothing does. A partition is
 * that of its disk.
 */
void bcl_identity_of(dev_t dev, char ret[BC_FORMAT_IDENTITY_SIZE]);

/* What a job is known by when it comes back. */
struct bcl_job_identity {
	dev_t source;		/* the dm device */
	dev_t below;		/* what it stands on, if that is one linear line; else 0 */
	uint64_t source_offset;	/* of the table line, sectors */
	dev_t destination;
	uint64_t len;		/* sectors */
	uint64_t region_sectors;
};

/*
 * Make it the metadata of a new job, everything dirty. Refused without "@force" are anything else
 * than metadata, that of another job which can go on, and that of one whose pivot has not arrived in
 * the device's table. Return: 0, -errno.
 */
int bcl_metadata_format(struct blockcopy *bc, const struct bcl_destination *d,
			const struct bcl_job_identity *id, bool force);

/* Is it the metadata of this job, with something to go on from? Return: 0, -errno. */
int bcl_metadata_check_job(struct blockcopy *bc, const struct bcl_destination *d,
			   const struct bcl_job_identity *id);

/*
 * The superblock in force. Return: 1 it is there, 0 there are zeroes, -errno (what is neither is
 * BLOCKCOPY_REFUSED).
 */
int bcl_metadata_peek(struct blockcopy *bc, const struct bcl_destination *d,
		      struct bc_format_super *ret);

/*
 * The device is set up without its job: now if "@again", else maybe a while ago in this boot. What is
 * written until the job comes, the kernel counts. When it happens twice without a job in between,
 * nobody knows any more: a new generation, everything is dirty.
 */
int bcl_metadata_set_untracked(struct blockcopy *bc, const struct bcl_destination *d, bool again);

/*
 * The device @dev, which stands at @offset of @below, is to have @len sectors: noted where its job has
 * pivoted to there, as it is made of that length after a boot. Refused where it is another device's,
 * or of a job that is to come back.
 */
int bcl_metadata_set_len(struct blockcopy *bc, const struct bcl_destination *d, dev_t dev, dev_t below,
			 uint64_t offset, uint64_t len);

/* Big enough, writable, not a leg nor in use? */
int bcl_metadata_check_device(struct blockcopy *bc, const struct bcl_destination *d,
			      const struct bcl_job_identity *id);

#endif /* BCL_METADATA_H */

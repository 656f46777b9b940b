/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * The metadata device of a job, as it is on disk. Version 1.
 *
 * Everything is little-endian and in blocks of 4096 bytes, each with its own checksum:
 *
 *	block 0, 1	the superblock, two slots written in turn; the valid one with the higher
 *			sequence number is in force. A write that was torn leaves the other one.
 *			Both are written, one after the other, so that they differ only for a moment
 *	block 2 ...	the intent bitmap: block 2 + i has the bits of the regions
 *			i * BC_FORMAT_BLOCK_BITS and following
 *
 * A set bit: after a crash this region may differ between the legs. What is not known for certain
 * counts as set (I11): all bits of a block with a wrong checksum or number, or of another
 * generation than the superblock's. So a new generation makes everything dirty by one write, and a
 * device is formatted without its bitmap being written.
 *
 * Size: 8 KiB, and 4 KiB for each 32512 regions; with regions of 64 KiB that is 2 KiB per GiB, and
 * 32.3 MiB for 16 TiB.
 *
 * Feature words: who does not know a bit of features_incompat must not use the device at all; of
 * features_compat bits are kept as they are. Version 1 knows none.
 */
#ifndef BC_FORMAT_H
#define BC_FORMAT_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif
#include <linux/types.h>

#define BC_FORMAT_MAGIC			"dm-blockcopy\r\n\032\n"	/* without its NUL */
#define BC_FORMAT_MAGIC_SIZE		16
#define BC_FORMAT_VERSION		1

#define BC_FORMAT_BLOCK_SIZE		4096
#define BC_FORMAT_BLOCK_SECTORS		(BC_FORMAT_BLOCK_SIZE / 512)
#define BC_FORMAT_SUPER_SLOTS		2
#define BC_FORMAT_BITMAP_BLOCK		BC_FORMAT_SUPER_SLOTS

#define BC_FORMAT_BLOCK_MAGIC		0x62634249u		/* "IBcb" */
#define BC_FORMAT_BLOCK_HEADER		32
#define BC_FORMAT_BLOCK_WORDS		((BC_FORMAT_BLOCK_SIZE - BC_FORMAT_BLOCK_HEADER) / 8)
#define BC_FORMAT_BLOCK_BITS		(BC_FORMAT_BLOCK_WORDS * 64)

/* 16 TiB of 4 KiB regions. */
#define BC_FORMAT_REGIONS_MAX		4294967296ULL

#define BC_FORMAT_IDENTITY_SIZE		256

/* What became of the job. */
enum bc_outcome {
	BC_OUTCOME_NEW = 0,		/* formatted, no job has used it yet */
	BC_OUTCOME_COPYING = 1,		/* under way, ready or not: the source is the truth */
	BC_OUTCOME_PIVOTED = 2,		/* the destination is the truth, and the source is stale */
	BC_OUTCOME_FINISHED = 3,	/* the destination is a copy of one instant */
	BC_OUTCOME_DETACHED = 4,	/* nobody tracks any more: no bit is to be believed */
	BC_OUTCOME_MAX,
};

struct bc_format_leg {
	__le64 offset;			/* sectors */
	__le64 size;			/* of the whole device, sectors */
	char identity[BC_FORMAT_IDENTITY_SIZE];	/* "kind:value", NUL-terminated; userspace's */
};

struct bc_format_super {
	char magic[BC_FORMAT_MAGIC_SIZE];
	__le32 checksum;		/* crc32 of the block, as of zlib, with this field zero */
	__le32 version;
	__le64 features_incompat;
	__le64 features_compat;
	__le64 sequence;		/* one more with each write */
	__u8 uuid[16];			/* of the job */
	__le64 generation;		/* of the bitmap, from 1 */
	__le64 len;			/* of the job, sectors */
	__le32 region_sectors;
	__le32 outcome;			/* enum bc_outcome */
	__le64 instant;			/* seconds since 1970 when the outcome was written */
	struct bc_format_leg source;
	struct bc_format_leg destination;
	char below[BC_FORMAT_IDENTITY_SIZE];	/* what the source stood on, if it was one device */
	__le32 untracked;		/* 1: the device was set up without its job since then */
	__u8 boot_id[16];		/* when that is 1: of the kernel that did */
	__u8 reserved[BC_FORMAT_BLOCK_SIZE - 916];
};

struct bc_format_block {
	__le32 checksum;		/* crc32 of the block, as of zlib, with this field zero */
	__le32 magic;
	__u8 uuid_head[8];		/* first half of the job's */
	__le64 generation;
	__le64 index;			/* of this block, 0 for the first one of the bitmap */
	__le64 words[BC_FORMAT_BLOCK_WORDS];	/* bit n is bit n % 64 of word n / 64 */
};

#define BC_FORMAT_OFFSET(type, field, offset) \
	static_assert(__builtin_offsetof(struct type, field) == (offset), #type "." #field)

BC_FORMAT_OFFSET(bc_format_leg, identity, 16);
BC_FORMAT_OFFSET(bc_format_super, magic, 0);
BC_FORMAT_OFFSET(bc_format_super, checksum, 16);
BC_FORMAT_OFFSET(bc_format_super, version, 20);
BC_FORMAT_OFFSET(bc_format_super, features_incompat, 24);
BC_FORMAT_OFFSET(bc_format_super, features_compat, 32);
BC_FORMAT_OFFSET(bc_format_super, sequence, 40);
BC_FORMAT_OFFSET(bc_format_super, uuid, 48);
BC_FORMAT_OFFSET(bc_format_super, generation, 64);
BC_FORMAT_OFFSET(bc_format_super, len, 72);
BC_FORMAT_OFFSET(bc_format_super, region_sectors, 80);
BC_FORMAT_OFFSET(bc_format_super, outcome, 84);
BC_FORMAT_OFFSET(bc_format_super, instant, 88);
BC_FORMAT_OFFSET(bc_format_super, source, 96);
BC_FORMAT_OFFSET(bc_format_super, destination, 368);
BC_FORMAT_OFFSET(bc_format_super, below, 640);
BC_FORMAT_OFFSET(bc_format_super, untracked, 896);
BC_FORMAT_OFFSET(bc_format_super, boot_id, 900);
BC_FORMAT_OFFSET(bc_format_block, checksum, 0);
BC_FORMAT_OFFSET(bc_format_block, magic, 4);
BC_FORMAT_OFFSET(bc_format_block, uuid_head, 8);
BC_FORMAT_OFFSET(bc_format_block, generation, 16);
BC_FORMAT_OFFSET(bc_format_block, index, 24);
BC_FORMAT_OFFSET(bc_format_block, words, BC_FORMAT_BLOCK_HEADER);
static_assert(sizeof(struct bc_format_super) == BC_FORMAT_BLOCK_SIZE, "superblock");
static_assert(sizeof(struct bc_format_block) == BC_FORMAT_BLOCK_SIZE, "bitmap block");

/* What a block turned out to be. */
enum bc_format_verdict {
	BC_FORMAT_GOOD,
	BC_FORMAT_NOT_OURS,		/* no magic: somebody else's, or never formatted */
	BC_FORMAT_BAD_CHECKSUM,		/* torn or decayed */
	BC_FORMAT_BAD_VERSION,		/* of a later version, or with a feature of one */
	BC_FORMAT_BAD_VALUE,		/* no writer of this version writes that */
	BC_FORMAT_OTHER_JOB,
	BC_FORMAT_OTHER_GENERATION,
	BC_FORMAT_OTHER_INDEX,
	BC_FORMAT_VERDICT_MAX,
};

/* For messages, in English. */
extern const char *const bc_format_verdicts[BC_FORMAT_VERDICT_MAX];
extern const char *const bc_outcome_names[BC_OUTCOME_MAX];

/*
 * How many regions and blocks of bitmap a job of that size has. @region_sectors is a power of two,
 * @regions at most BC_FORMAT_REGIONS_MAX.
 */
__u64 bc_format_regions(__u64 len, __u32 region_sectors);
__u64 bc_format_blocks(__u64 regions);

/* Sectors of the metadata device that a job of that size needs. */
__u64 bc_format_sectors(__u64 len, __u32 region_sectors);

/* Look at one slot. It reads nothing but the block. */
enum bc_format_verdict bc_format_check_super(const struct bc_format_super *super);

/*
 * Choose the slot in force. Return: its number, or -1 when none is good; the verdict of the better
 * one in *@verdict.
 */
int bc_format_choose(const struct bc_format_super *slot0, const struct bc_format_super *slot1,
		     enum bc_format_verdict *verdict);

/* The last thing before a superblock is written. */
void bc_format_seal_super(struct bc_format_super *super);

/* Look at one block of the bitmap, number @index, of the job whose superblock is good. */
enum bc_format_verdict bc_format_check_block(const struct bc_format_block *block,
					     const struct bc_format_super *super, __u64 index);

/* Fill in everything but the words, and the checksum. */
void bc_format_seal_block(struct bc_format_block *block, const struct bc_format_super *super,
			  __u64 index);

#endif /* BC_FORMAT_H */

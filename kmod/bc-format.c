// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later
/*
 * What is on the metadata device: how it is checked and sealed. Pure logic, the library compiles
 * this file as well. See bc-format.h.
 */
#ifdef __KERNEL__
#include <linux/crc32.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#else
#include "format-user.h"
#endif

#include "bc-format.h"
#include "blockcopy-abi.h"

const char *const bc_format_verdicts[BC_FORMAT_VERDICT_MAX] = {
	[BC_FORMAT_GOOD] = "good",
	[BC_FORMAT_NOT_OURS] = "no blockcopy metadata",
	[BC_FORMAT_BAD_CHECKSUM] = "wrong checksum",
	[BC_FORMAT_BAD_VERSION] = "unknown version or feature",
	[BC_FORMAT_BAD_VALUE] = "impossible value",
	[BC_FORMAT_OTHER_JOB] = "of another job",
	[BC_FORMAT_OTHER_GENERATION] = "of another generation",
	[BC_FORMAT_OTHER_INDEX] = "of another place",
};

const char *const bc_outcome_names[BC_OUTCOME_MAX] = {
	[BC_OUTCOME_NEW] = "new",
	[BC_OUTCOME_COPYING] = "copying",
	[BC_OUTCOME_PIVOTED] = "pivoted",
	[BC_OUTCOME_FINISHED] = "finished",
	[BC_OUTCOME_DETACHED] = "detached",
};

__u64 bc_format_regions(__u64 len, __u32 region_sectors)
{
	/* A power of two: no division, which 32-bit kernels have not. */
	unsigned int shift = __builtin_ctz(region_sectors);

	return (len >> shift) + !!(len & (region_sectors - 1));
}

__u64 bc_format_blocks(__u64 regions)
{
	/* No 64-bit division, as 32-bit kernels have none. */
	__u32 words = (regions + 63) >> 6;

	return (words + BC_FORMAT_BLOCK_WORDS - 1) / BC_FORMAT_BLOCK_WORDS;
}

__u64 bc_format_sectors(__u64 len, __u32 region_sectors)
{
	__u64 blocks = bc_format_blocks(bc_format_regions(len, region_sectors));

	return (BC_FORMAT_BITMAP_BLOCK + blocks) * BC_FORMAT_BLOCK_SECTORS;
}

/* As the field reads while it is summed. */
static __u32 checksum_of(const void *block, unsigned int field)
{
	static const char zero[4];
	__u32 crc = crc32_le(~0u, block, field);

	crc = crc32_le(crc, zero, sizeof(zero));
	return ~crc32_le(crc, (const char *)block + field + sizeof(zero),
		       BC_FORMAT_BLOCK_SIZE - field - sizeof(zero));
}

static __u32 super_checksum(const struct bc_format_super *super)
{
	return checksum_of(super, __builtin_offsetof(struct bc_format_super, checksum));
}

static __u32 block_checksum(const struct bc_format_block *block)
{
	return checksum_of(block, __builtin_offsetof(struct bc_format_block, checksum));
}

static int is_terminated(const char *text)
{
	return !!memchr(text, 0, BC_FORMAT_IDENTITY_SIZE);
}

/* A size that a job can have. */
static int is_possible(__u64 len, __u32 region_sectors)
{
	if (region_sectors < BLOCKCOPY_REGION_SECTORS_MIN ||
	    region_sectors > BLOCKCOPY_REGION_SECTORS_MAX ||
	    (region_sectors & (region_sectors - 1)))
		return 0;
	return len && bc_format_regions(len, region_sectors) <= BC_FORMAT_REGIONS_MAX;
}

enum bc_format_verdict bc_format_check_super(const struct bc_format_super *super)
{
	if (memcmp(super->magic, BC_FORMAT_MAGIC, BC_FORMAT_MAGIC_SIZE))
		return BC_FORMAT_NOT_OURS;
	if (le32_to_cpu(super->checksum) != super_checksum(super))
		return BC_FORMAT_BAD_CHECKSUM;
	if (le32_to_cpu(super->version) != BC_FORMAT_VERSION || super->features_incompat)
		return BC_FORMAT_BAD_VERSION;
	if (!super->generation || le32_to_cpu(super->outcome) >= BC_OUTCOME_MAX ||
	    !is_possible(le64_to_cpu(super->len), le32_to_cpu(super->region_sectors)) ||
	    !is_terminated(super->source.identity) ||
	    !is_terminated(super->destination.identity) || !is_terminated(super->below) ||
	    le32_to_cpu(super->untracked) > 1)
		return BC_FORMAT_BAD_VALUE;
	return BC_FORMAT_GOOD;
}

int bc_format_choose(const struct bc_format_super *slot0, const struct bc_format_super *slot1,
		     enum bc_format_verdict *verdict)
{
	enum bc_format_verdict first = bc_format_check_super(slot0);
	enum bc_format_verdict second = bc_format_check_super(slot1);

	*verdict = BC_FORMAT_GOOD;
	/* One that a later version has written is not to be overruled by what it replaced. */
	if (first == BC_FORMAT_BAD_VERSION || second == BC_FORMAT_BAD_VERSION) {
		*verdict = BC_FORMAT_BAD_VERSION;
		return -1;
	}
	if (first == BC_FORMAT_GOOD && second == BC_FORMAT_GOOD)
		return le64_to_cpu(slot1->sequence) > le64_to_cpu(slot0->sequence);
	if (first == BC_FORMAT_GOOD)
		return 0;
	if (second == BC_FORMAT_GOOD)
		return 1;
	*verdict = first == BC_FORMAT_NOT_OURS ? second : first;
	return -1;
}

void bc_format_seal_super(struct bc_format_super *super)
{
	memcpy(super->magic, BC_FORMAT_MAGIC, BC_FORMAT_MAGIC_SIZE);
	super->version = cpu_to_le32(BC_FORMAT_VERSION);
	super->checksum = cpu_to_le32(super_checksum(super));
}

enum bc_format_verdict bc_format_check_block(const struct bc_format_block *block,
					     const struct bc_format_super *super, __u64 index)
{
	if (le32_to_cpu(block->magic) != BC_FORMAT_BLOCK_MAGIC)
		return BC_FORMAT_NOT_OURS;
	if (le32_to_cpu(block->checksum) != block_checksum(block))
		return BC_FORMAT_BAD_CHECKSUM;
	if (memcmp(block->uuid_head, super->uuid, sizeof(block->uuid_head)))
		return BC_FORMAT_OTHER_JOB;
	if (block->generation != super->generation)
		return BC_FORMAT_OTHER_GENERATION;
	if (le64_to_cpu(block->index) != index)
		return BC_FORMAT_OTHER_INDEX;
	return BC_FORMAT_GOOD;
}

void bc_format_seal_block(struct bc_format_block *block, const struct bc_format_super *super,
			  __u64 index)
{
	block->magic = cpu_to_le32(BC_FORMAT_BLOCK_MAGIC);
	memcpy(block->uuid_head, super->uuid, sizeof(block->uuid_head));
	block->generation = super->generation;
	block->index = cpu_to_le64(index);
	block->checksum = cpu_to_le32(block_checksum(block));
}

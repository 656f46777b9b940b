// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loader of metadata under libFuzzer, with what the kernel and the library call: the checks of
 * superblocks and bitmap blocks. Checksums are made good every second time, so that what is behind
 * them is reached. See tests/fuzz/run.
 */
#include <stdlib.h>

#include "bc-format.h"
#include "format-user.h"

static void must(int condition)
{
	if (!condition)
		abort();
}

static void check_accepted(const struct bc_format_super *s)
{
	uint32_t region = le32_to_cpu(s->region_sectors);
	uint64_t regions = bc_format_regions(le64_to_cpu(s->len), region);

	/* What the kernel makes arrays and shifts of. */
	must(region >= 8 && region <= 131072 && !(region & (region - 1)));
	must(regions && regions <= BC_FORMAT_REGIONS_MAX);
	must(bc_format_blocks(regions) * BC_FORMAT_BLOCK_BITS >= regions);
	must(bc_format_sectors(le64_to_cpu(s->len), region) >= 24);
	must(le32_to_cpu(s->outcome) < BC_OUTCOME_MAX);
	must(strlen(s->source.identity) < BC_FORMAT_IDENTITY_SIZE);
	must(strlen(s->destination.identity) < BC_FORMAT_IDENTITY_SIZE);
	must(strlen(s->below) < BC_FORMAT_IDENTITY_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bc_format_super slots[BC_FORMAT_SUPER_SLOTS];
	static struct bc_format_block block;
	enum bc_format_verdict verdict;
	uint8_t flags;
	int slot;

	if (!size)
		return 0;
	flags = *data++;
	size--;
	memset(slots, 0, sizeof(slots));
	memset(&block, 0, sizeof(block));
	memcpy(&slots[0], data, size < 640 ? size : 640);
	if (size > 640)
		memcpy(&slots[1], data + 640, size - 640 < 640 ? size - 640 : 640);
	if (size > 1280)
		memcpy(&block, data + 1280, size - 1280 < 4096 ? size - 1280 : 4096);
	for (int i = 0; i < BC_FORMAT_SUPER_SLOTS; i++)
		if (flags & 1 << i)
			bc_format_seal_super(&slots[i]);
	slot = bc_format_choose(&slots[0], &slots[1], &verdict);
	must(slot >= -1 && slot <= 1 && verdict < BC_FORMAT_VERDICT_MAX);
	must((slot < 0) == (verdict != BC_FORMAT_GOOD));
	if (slot < 0)
		return 0;
	check_accepted(&slots[slot]);
	if (flags & 4)
		bc_format_seal_block(&block, &slots[slot], flags >> 3);
	verdict = bc_format_check_block(&block, &slots[slot], flags >> 3);
	must(!(flags & 4) || verdict == BC_FORMAT_GOOD);
	return 0;
}

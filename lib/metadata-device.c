// SPDX-License-Identifier: LGPL-2.1-or-later
/* Metadata devices for people: make one, look at one, bring one back. */
#include <fcntl.h>

#include "medium.h"

static void take_super(struct blockcopy_metadata *md, const struct bc_format_super *s)
{
	const unsigned char *u = s->uuid;

	for (size_t i = 0; i < BCL_SUPER_USED; i++)
		sprintf(md->superblock + 2 * i, "%02x", ((const unsigned char *)s)[i]);
	snprintf(md->uuid, sizeof(md->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	md->outcome = bc_outcome_names[le32_to_cpu(s->outcome)];
	md->generation = le64_to_cpu(s->generation);
	md->sequence = le64_to_cpu(s->sequence);
	md->instant = le64_to_cpu(s->instant);
	md->len = le64_to_cpu(s->len) * 512;
	md->region_size = le32_to_cpu(s->region_sectors) * 512ULL;
	md->source_offset = le64_to_cpu(s->source.offset) * 512;
	md->destination_offset = le64_to_cpu(s->destination.offset) * 512;
	memcpy(md->source, s->source.identity, sizeof(md->source));
	memcpy(md->destination, s->destination.identity, sizeof(md->destination));
	memcpy(md->below, s->below, sizeof(md->below));
}

static uint64_t intent_of(const struct bc_format_block *block, uint64_t regions)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < BC_FORMAT_BLOCK_WORDS && i * 64 < regions; i++) {
		uint64_t word = le64_to_cpu(block->words[i]);

		if (regions - i * 64 < 64)
			word &= (UINT64_C(1) << (regions - i * 64)) - 1;
		n += __builtin_popcountll(word);
	}
	return n;
}

static int take_bitmap(struct blockcopy *bc, const struct bcl_medium *m,
		       struct blockcopy_metadata *md)
{
	const struct bc_format_super *super = &m->slots[m->slot];
	uint64_t regions = bc_format_regions(le64_to_cpu(super->len),
					     le32_to_cpu(super->region_sectors));
	uint64_t set = 0, n;

	md->blocks = bc_format_blocks(regions);
	for (uint64_t at = 0; at < md->blocks; at += n) {
		int r;

		n = md->blocks - at < BCL_MEDIUM_CHUNK ? md->blocks - at : BCL_MEDIUM_CHUNK;
		r = bcl_medium_read(bc, m, BC_FORMAT_BITMAP_BLOCK + at, n);
		if (r < 0)
			return r;
		for (uint64_t i = 0; i < n; i++) {
			const struct bc_format_block *block =
				(const void *)((char *)m->memory + i * BC_FORMAT_BLOCK_SIZE);
			uint64_t left = regions - (at + i) * BC_FORMAT_BLOCK_BITS;

			if (left > BC_FORMAT_BLOCK_BITS)
				left = BC_FORMAT_BLOCK_BITS;
			if (bc_format_check_block(block, super, at + i) != BC_FORMAT_GOOD) {
				md->bad_blocks++;
				set += left;
			} else {
				set += intent_of(block, left);
			}
		}
	}
	md->intent_bytes = set * md->region_size < md->len ? set * md->region_size : md->len;
	return 0;
}

int blockcopy_metadata_format(struct blockcopy *bc, const char *device, const char *name,
			      const char *destination, const struct blockcopy_options *options)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {}, to = {};
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL;
	struct bcl_job_identity id;
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	r = bcl_device_find(bc, name, &dev);
	if (r == 0)
		r = bcl_source_check(bc, &dev, &live);
	if (r == 0)
		r = bcl_destination_find(bc, destination, &to);
	if (r == 0)
		r = bcl_destination_find(bc, device, &d);
	if (r < 0)
		return r;
	id = (struct bcl_job_identity) {
		.source = dev.dev,
		.destination = to.dev,
		.len = bcl_table_len(live),
		.region_sectors = options ? options->args.region_sectors :
					    BLOCKCOPY_REGION_SECTORS_DEFAULT,
	};
	(void)bcl_table_below(live, &id.below, &id.source_offset);
	return bcl_metadata_format(bc, &d, &id, options && options->force);
}

int blockcopy_metadata_read(struct blockcopy *bc, const char *device,
			    struct blockcopy_metadata **ret)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	_cleanup_free_ struct blockcopy_metadata *md = NULL;
	int r;

	bcl_begin(bc);
	md = calloc(1, sizeof(*md));
	if (!md)
		return bcl_oom(bc);
	r = bcl_destination_find(bc, device, &d);
	if (r == 0)
		r = bcl_medium_open(bc, d.path, O_RDONLY, &m);
	if (r == 0)
		r = bcl_medium_need_super(bc, &m);
	if (r < 0)
		return r;
	for (int i = 0; i < BC_FORMAT_SUPER_SLOTS; i++)
		md->bad_slots += bc_format_check_super(&m.slots[i]) != BC_FORMAT_GOOD;
	take_super(md, &m.slots[m.slot]);
	r = take_bitmap(bc, &m, md);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(md);
	return 0;
}

static int parse_super(struct blockcopy *bc, const char *text, struct bc_format_super *ret)
{
	unsigned char *to = (unsigned char *)ret;
	enum bc_format_verdict verdict;

	*ret = (struct bc_format_super) {};
	if (strlen(text) != 2 * BCL_SUPER_USED)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"superblock: found %zu characters, needed %d", strlen(text),
				2 * BCL_SUPER_USED);
	for (size_t i = 0; i < BCL_SUPER_USED; i++)
		if (sscanf(text + 2 * i, "%2hhx", &to[i]) != 1)
			return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
					"superblock: found no number at character %zu", 2 * i);
	verdict = bc_format_check_super(ret);
	return verdict == BC_FORMAT_GOOD ? 0 :
		bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL, "superblock: found %s, needed a good one",
			 bc_format_verdicts[verdict]);
}

int blockcopy_metadata_restore(struct blockcopy *bc, const char *device, const char *superblock,
			       bool force)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	struct bc_format_super super;
	struct bcl_job_identity id;
	int r;

	bcl_begin(bc);
	r = parse_super(bc, superblock, &super);
	if (r == 0)
		r = bcl_destination_find(bc, device, &d);
	if (r < 0)
		return r;
	id = (struct bcl_job_identity) {
		.len = le64_to_cpu(super.len),
		.region_sectors = le32_to_cpu(super.region_sectors),
	};
	r = bcl_metadata_check_device(bc, &d, &id);
	if (r == 0)
		r = bcl_medium_open(bc, d.path, O_RDWR | O_EXCL, &m);
	if (r < 0)
		return r;
	if (m.slot >= 0 && !force)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found good metadata of a job that is %s, needed none (--force "
				"overwrites)", d.path,
				bc_outcome_names[le32_to_cpu(m.slots[m.slot].outcome)]);
	if (m.slot < 0 && m.verdict == BC_FORMAT_NOT_OURS && !force)
		r = bcl_medium_check_empty(bc, &m);
	if (r == 0 && le32_to_cpu(super.outcome) != BC_OUTCOME_PIVOTED && !force)
		r = bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
			     "superblock: found a job that is %s, which says that the data is on "
			     "\"%s\"; needed one that has pivoted (--force, if that is still so)",
			     bc_outcome_names[le32_to_cpu(super.outcome)], super.below);
	if (r == 0)
		r = bcl_medium_new_uuid(bc, &super);
	if (r < 0)
		return r;
	if (m.slot >= 0 && le64_to_cpu(m.slots[m.slot].sequence) > le64_to_cpu(super.sequence))
		super.sequence = m.slots[m.slot].sequence;
	return bcl_medium_write(bc, &m, &super);
}

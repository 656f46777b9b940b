// SPDX-License-Identifier: GPL-2.0-only
/* What is on the metadata device, kmod/bc-format.c: one generator of evil for each rule. */
#include <stdio.h>

#include "bc-format.h"
#include "format-user.h"
#include "unit.h"

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

static struct bc_format_super good_super(uint64_t sequence)
{
	struct bc_format_super s = {
		.sequence = cpu_to_le64(sequence),
		.uuid = "0123456789abcdef",
		.generation = cpu_to_le64(3),
		.len = cpu_to_le64(UINT64_C(1) << 35),	/* 16 TiB */
		.region_sectors = cpu_to_le32(128),
		.outcome = cpu_to_le32(BC_OUTCOME_COPYING),
		.source.identity = "dm-name:vm1",
		.destination.identity = "wwid:naa.5",
	};

	bc_format_seal_super(&s);
	return s;
}

static struct bc_format_block good_block(const struct bc_format_super *s, uint64_t index)
{
	struct bc_format_block b = { .words[17] = cpu_to_le64(5) };

	bc_format_seal_block(&b, s, index);
	return b;
}

START_TEST(checksum)
{
	/* The check value of every catalogue of CRCs. */
	ck_assert_uint_eq(crc32_le(~0u, "123456789", 9) ^ ~0u, 0xcbf43926u);
}
END_TEST

START_TEST(bytes)
{
	/* The places of the format's description, whatever the machine's order. */
	struct bc_format_super s = good_super(0x0102);
	const unsigned char *b = (const unsigned char *)&s;

	ck_assert(!memcmp(b, "dm-blockcopy\r\n\032\n", 16));
	ck_assert_uint_eq(b[20], 1);
	ck_assert_uint_eq(b[40], 0x02);
	ck_assert_uint_eq(b[41], 0x01);
	ck_assert_uint_eq(b[48], '0');
	ck_assert_uint_eq(b[76], 1 << 3);	/* bit 35 */
	ck_assert_uint_eq(b[80], 128);
	ck_assert_uint_eq(b[84], 1);
	ck_assert_str_eq((const char *)b + 112, "dm-name:vm1");
	ck_assert_str_eq((const char *)b + 384, "wwid:naa.5");
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		uint64_t len;
		uint32_t region;
		uint64_t regions, blocks;
	} cases[] = {
		{ 1, 8, 1, 1 }, { 8, 8, 1, 1 }, { 9, 8, 2, 1 }, { 128, 128, 1, 1 }, { 129, 128, 2, 1 },
		{ 32512 * 128, 128, 32512, 1 }, { 32512 * 128 + 1, 128, 32513, 2 },
		{ UINT64_C(1) << 35, 128, 1 << 28, 8257 },
		{ UINT64_C(1) << 35, 8, UINT64_C(1) << 32, 132105 },
	};

	ck_assert_uint_eq(BC_FORMAT_BLOCK_BITS, 32512);
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t regions = bc_format_regions(cases[i].len, cases[i].region);

		ck_assert_uint_eq(regions, cases[i].regions);
		ck_assert_uint_eq(bc_format_blocks(regions), cases[i].blocks);
		ck_assert_uint_eq(bc_format_sectors(cases[i].len, cases[i].region),
				  (cases[i].blocks + 2) * 8);
	}
}
END_TEST

START_TEST(good)
{
	struct bc_format_super s = good_super(1);
	struct bc_format_block b = good_block(&s, 8256);

	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_GOOD);
	ck_assert_int_eq(bc_format_check_block(&b, &s, 8256), BC_FORMAT_GOOD);
	/* Bits that a later version may have set are no reason to refuse. */
	s.features_compat = cpu_to_le64(~0ULL);
	s.reserved[100] = 1;
	bc_format_seal_super(&s);
	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_GOOD);
}
END_TEST

/* The checksum after the field was changed; the seal would write the version, too. */
static void sum_super(struct bc_format_super *s)
{
	s->checksum = 0;
	s->checksum = cpu_to_le32(~crc32_le(~0u, s, sizeof(*s)));
}

#define EVIL_SUPER(field, value, wanted)					\
	do {									\
		struct bc_format_super s = good_super(1);			\
										\
		s.field = value;						\
		ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_BAD_CHECKSUM); \
		sum_super(&s);							\
		ck_assert_msg(bc_format_check_super(&s) == (wanted),		\
			      #field " = " #value ": %s",			\
			      bc_format_verdicts[bc_format_check_super(&s)]);	\
	} while (0)

START_TEST(evil_super)
{
	struct bc_format_super s = {};

	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_NOT_OURS);
	s = good_super(1);
	s.magic[15] = 'x';
	sum_super(&s);
	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_NOT_OURS);
	EVIL_SUPER(version, cpu_to_le32(0), BC_FORMAT_BAD_VERSION);
	EVIL_SUPER(version, cpu_to_le32(2), BC_FORMAT_BAD_VERSION);
	EVIL_SUPER(features_incompat, cpu_to_le64(1ULL << 63), BC_FORMAT_BAD_VERSION);
	EVIL_SUPER(generation, 0, BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(outcome, cpu_to_le32(BC_OUTCOME_MAX), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(outcome, cpu_to_le32(~0u), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(len, 0, BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(len, cpu_to_le64(~0ULL), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(len, cpu_to_le64((128ULL << 32) + 1), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(untracked, cpu_to_le32(2), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(region_sectors, 0, BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(region_sectors, cpu_to_le32(4), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(region_sectors, cpu_to_le32(129), BC_FORMAT_BAD_VALUE);
	EVIL_SUPER(region_sectors, cpu_to_le32(1u << 31), BC_FORMAT_BAD_VALUE);

	s = good_super(1);
	memset(s.source.identity, 'x', sizeof(s.source.identity));
	sum_super(&s);
	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_BAD_VALUE);
	s = good_super(1);
	memset(s.destination.identity, 'x', sizeof(s.destination.identity));
	sum_super(&s);
	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_BAD_VALUE);
	s = good_super(1);
	memset(s.below, 'x', sizeof(s.below));
	sum_super(&s);
	ck_assert_int_eq(bc_format_check_super(&s), BC_FORMAT_BAD_VALUE);
}
END_TEST

START_TEST(evil_block)
{
	struct bc_format_super s = good_super(1), other;
	struct bc_format_block b = {};

	ck_assert_int_eq(bc_format_check_block(&b, &s, 0), BC_FORMAT_NOT_OURS);
	b = good_block(&s, 4);
	ck_assert_int_eq(bc_format_check_block(&b, &s, 5), BC_FORMAT_OTHER_INDEX);
	other = s;
	other.generation = cpu_to_le64(4);
	ck_assert_int_eq(bc_format_check_block(&b, &other, 4), BC_FORMAT_OTHER_GENERATION);
	other.generation = cpu_to_le64(2);
	ck_assert_int_eq(bc_format_check_block(&b, &other, 4), BC_FORMAT_OTHER_GENERATION);
	other = s;
	other.uuid[7] ^= 1;
	ck_assert_int_eq(bc_format_check_block(&b, &other, 4), BC_FORMAT_OTHER_JOB);
	b.words[BC_FORMAT_BLOCK_WORDS - 1] ^= cpu_to_le64(1ULL << 63);
	ck_assert_int_eq(bc_format_check_block(&b, &s, 4), BC_FORMAT_BAD_CHECKSUM);
}
END_TEST

/* Torn at any sector, with what was there before, or decayed in any bit. */
START_TEST(damage)
{
	struct bc_format_super s = good_super(7), old = good_super(5), torn;
	struct bc_format_block b = good_block(&s, 1), before, half;
	unsigned char *bytes = (unsigned char *)&s;

	before = b;
	before.words[3] = before.words[500] = cpu_to_le64(~0ULL);
	bc_format_seal_block(&before, &s, 1);
	for (size_t at = 512; at < 4096; at += 512) {
		torn = old;
		memcpy(&torn, &s, at);
		/* Of the superblock only the first sectors differ here. */
		ck_assert(bc_format_check_super(&torn) == BC_FORMAT_BAD_CHECKSUM ||
			  !memcmp(&torn, &s, sizeof(s)));
		half = before;
		memcpy(&half, &b, at);
		ck_assert(bc_format_check_block(&half, &s, 1) == BC_FORMAT_BAD_CHECKSUM ||
			  !memcmp(&half, &b, sizeof(b)));
	}
	for (unsigned int bit = 0; bit < 4096 * 8; bit += 13) {
		bytes[bit / 8] ^= 1u << bit % 8;
		unit_assert(bc_format_check_super(&s) != BC_FORMAT_GOOD);
		bytes[bit / 8] ^= 1u << bit % 8;
		bytes = (unsigned char *)&b;
		bytes[bit / 8] ^= 1u << bit % 8;
		unit_assert(bc_format_check_block(&b, &s, 1) != BC_FORMAT_GOOD);
		bytes[bit / 8] ^= 1u << bit % 8;
		bytes = (unsigned char *)&s;
	}
}
END_TEST

START_TEST(choice)
{
	struct bc_format_super a = good_super(8), b = good_super(9), none = {}, torn = b, later = a;
	enum bc_format_verdict v;

	torn.len ^= cpu_to_le64(1);
	later.version = cpu_to_le32(2);
	sum_super(&later);
	ck_assert_int_eq(bc_format_choose(&a, &b, &v), 1);
	ck_assert_int_eq(v, BC_FORMAT_GOOD);
	ck_assert_int_eq(bc_format_choose(&b, &a, &v), 0);
	ck_assert_int_eq(bc_format_choose(&a, &torn, &v), 0);
	ck_assert_int_eq(bc_format_choose(&torn, &a, &v), 1);
	ck_assert_int_eq(bc_format_choose(&none, &a, &v), 1);
	ck_assert_int_eq(bc_format_choose(&a, &none, &v), 0);
	ck_assert_int_eq(bc_format_choose(&none, &none, &v), -1);
	ck_assert_int_eq(v, BC_FORMAT_NOT_OURS);
	ck_assert_int_eq(bc_format_choose(&none, &torn, &v), -1);
	ck_assert_int_eq(v, BC_FORMAT_BAD_CHECKSUM);
	/* What a later version has written is not overruled by what it replaced. */
	ck_assert_int_eq(bc_format_choose(&later, &b, &v), -1);
	ck_assert_int_eq(v, BC_FORMAT_BAD_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lib-format");
	TCase *tcase = tcase_create("format");

	tcase_add_test(tcase, checksum);
	tcase_add_test(tcase, bytes);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, good);
	tcase_add_test(tcase, evil_super);
	tcase_add_test(tcase, evil_block);
	tcase_add_test(tcase, damage);
	tcase_add_test(tcase, choice);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}

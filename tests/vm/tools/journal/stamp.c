// SPDX-License-Identifier: GPL-2.0-only
/*
 * The content of one sector. All of it follows from the stamp in front, so that a sector torn between two writes is
 * seen wherever it is torn.
 */
#include <string.h>

#include "journal.h"

#define STAMP_MAGIC	0x706d6174732d6362ULL
#define FILL_WORDS	59

struct stamp {
	uint64_t magic;
	uint64_t run;
	uint64_t nr;
	uint64_t seq;
	uint64_t fill[FILL_WORDS];
	uint64_t check;
};

_Static_assert(sizeof(struct stamp) == SECTOR, "a stamp is a sector");

const char *const stamp_kind_names[] = {
	[STAMP_GOOD]		= "good",
	[STAMP_ZERO]		= "zeroes",
	[STAMP_FOREIGN]		= "a stamp of another journal",
	[STAMP_MISPLACED]	= "the stamp of another sector",
	[STAMP_BROKEN]		= "no whole stamp",
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 29;
}

static uint64_t check_of(const struct stamp *s)
{
	const uint64_t *word = (const uint64_t *)s;
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (; word < &s->check; word++)
		sum = (sum ^ *word) * 0x100000001b3ULL;
	return sum;
}

void stamp_write(void *sector, uint64_t run, uint64_t nr, uint64_t seq)
{
	struct stamp *s = sector;
	uint64_t x = mix(run ^ mix(nr) ^ mix(seq << 20));
	unsigned int i;

	s->magic = STAMP_MAGIC;
	s->run = run;
	s->nr = nr;
	s->seq = seq;
	for (i = 0; i < FILL_WORDS; i++)
		s->fill[i] = x += 0x9e3779b97f4a7c15ULL;
	s->check = check_of(s);
}

static bool is_zero(const void *sector)
{
	const char *c = sector;

	return !*c && !memcmp(c, c + 1, SECTOR - 1);
}

enum stamp_kind stamp_read(const void *sector, uint64_t run, uint64_t nr, uint64_t *ret_seq)
{
	const struct stamp *s = sector;

	*ret_seq = 0;
	if (is_zero(sector))
		return STAMP_ZERO;
	if (s->magic != STAMP_MAGIC || s->check != check_of(s))
		return STAMP_BROKEN;
	*ret_seq = s->seq;
	if (s->run != run)
		return STAMP_FOREIGN;
	if (s->nr != nr)
		return STAMP_MISPLACED;
	return STAMP_GOOD;
}

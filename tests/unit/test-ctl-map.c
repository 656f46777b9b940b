// SPDX-License-Identifier: GPL-2.0-only
/* Drawings and the mapfile of blockcopy map, against a byte by byte model. */
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "unit.h"

/* ---- in place of the library ---- */

struct blockcopy_info {
	uint64_t len, region_size;
};

const char *blockcopy_info_name(const struct blockcopy_info *i)
{
	return "vm<1>";
}

const char *blockcopy_info_state_word(const struct blockcopy_info *i)
{
	return "copying";
}

uint64_t blockcopy_info_len(const struct blockcopy_info *i)
{
	return i->len;
}

uint64_t blockcopy_info_region_size(const struct blockcopy_info *i)
{
	return i->region_size;
}

const char *blockcopy_version(void)
{
	return "1.2.3";
}

/* ---- a map, and what it says of each sector ---- */

#define SECTORS 400
#define MOST 200

struct model {
	struct blockcopy_info info;
	char sector[SECTORS + 1];	/* '+', '?' or '-', as ddrescue has them */
	struct blockcopy_range dirty[MOST], unread[MOST];
	struct map map;
};

static size_t ranges_of(const char *sector, const char *which, struct blockcopy_range *ranges)
{
	size_t n = 0;

	for (size_t i = 0; i < SECTORS; i++) {
		if (!strchr(which, sector[i]))
			continue;
		if (n && ranges[n - 1].offset + ranges[n - 1].length == i * 512)
			ranges[n - 1].length += 512;
		else
			ranges[n++] = (struct blockcopy_range) { i * 512, 512 };
	}
	return n;
}

static void make(struct model *m, uint64_t *state)
{
	char status = '+';

	m->info = (struct blockcopy_info) { SECTORS * 512, 4096 };
	for (size_t i = 0; i < SECTORS; i++) {
		if (unit_below(state, 8) == 0)
			status = "+?-"[unit_below(state, 3)];
		m->sector[i] = status;
	}
	m->sector[SECTORS] = '\0';
	m->map = (struct map) {
		.info = &m->info,
		.dirty = m->dirty, .n_dirty = ranges_of(m->sector, "?-", m->dirty),
		.unread = m->unread, .n_unread = ranges_of(m->sector, "-", m->unread),
	};
}

static void check_mapfile(const struct model *m)
{
	char *text = NULL, found[SECTORS + 1] = "", status;
	unsigned long long start, len, next = 0;
	size_t size, lines = 0;
	FILE *f = open_memstream(&text, &size);

	map_mapfile(&m->map, f);
	fclose(f);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (*line == '#')
			continue;
		/* The first is where it is. */
		if (!lines++)
			continue;
		ck_assert_int_eq(sscanf(line, "0x%llx 0x%llx %c", &start, &len, &status), 3);
		ck_assert_uint_eq(start, next);
		ck_assert(len > 0 && len % 512 == 0 && start + len <= SECTORS * 512);
		memset(found + start / 512, status, len / 512);
		next = start + len;
	}
	ck_assert_uint_eq(next, SECTORS * 512);
	ck_assert_str_eq(found, m->sector);
	free(text);
}

START_TEST(mapfile)
{
	uint64_t state = unit_seed();

	for (unsigned long i = unit_scaled(2000); i; i--) {
		struct model m;

		make(&m, &state);
		check_mapfile(&m);
	}
}
END_TEST

/* What could not be read was asked for first: it may have been copied since. */
START_TEST(healed_meanwhile)
{
	uint64_t state = unit_seed();
	struct model m;

	make(&m, &state);
	for (size_t i = 0; i < SECTORS; i++)
		m.sector[i] = m.sector[i] == '-' && i % 7 ? '+' : m.sector[i];
	m.map.n_dirty = ranges_of(m.sector, "?-", m.dirty);
	check_mapfile(&m);
}
END_TEST

START_TEST(cells)
{
	uint64_t state = unit_seed();

	for (unsigned long i = unit_scaled(2000); i; i--) {
		size_t n = 1 + unit_below(&state, 120);
		enum look look[120];
		struct model m;

		make(&m, &state);
		ck_assert_int_eq(map_cells(&m.map, m.info.len, look, n), 0);
		for (size_t k = 0; k < n; k++) {
			uint64_t from = m.info.len * k / n, to = m.info.len * (k + 1) / n, dirty = 0;
			bool unread = false;

			for (uint64_t b = from; b < to; b++) {
				dirty += m.sector[b / 512] != '+';
				unread |= m.sector[b / 512] == '-';
			}
			unit_assert_eq(look[k], unread ? LOOK_UNREAD : !dirty ? LOOK_COPIED :
				       dirty == to - from ? LOOK_DIRTY :
				       2 * dirty <= to - from ? LOOK_MOSTLY : LOOK_PARTLY);
		}
	}
}
END_TEST

START_TEST(sizes)
{
	enum look look[64];
	struct blockcopy_range last = { (UINT64_C(1) << 63) - 512, 512 };
	struct map m = { .dirty = &last, .n_dirty = 1 };

	ck_assert_uint_eq(map_cell_count(100, 4096, 50), 1);
	ck_assert_uint_eq(map_cell_count(8192, 4096, 50), 2);
	ck_assert_uint_eq(map_cell_count(8193, 4096, 50), 3);
	ck_assert_uint_eq(map_cell_count(UINT64_C(1) << 63, 4096, 50), 50);
	ck_assert_int_eq(map_cells(&m, UINT64_C(1) << 63, look, 64), 0);
	ck_assert_int_eq(look[62], LOOK_COPIED);
	ck_assert_int_eq(look[63], LOOK_MOSTLY);
}
END_TEST

/* As wide as asked for, and no escape where there is to be no colour. */
START_TEST(drawing)
{
	static const size_t columns[] = { 1, 7, 40, 80, 300 };
	uint64_t state = unit_seed();
	struct model m;

	make(&m, &state);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		char *text = NULL;
		size_t size, cells = 0;
		FILE *f = open_memstream(&text, &size);

		ck_assert_int_eq(map_draw(&m.map, f, columns[i], false, false), 0);
		fclose(f);
		ck_assert_ptr_null(strchr(text, '\033'));
		for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
			if (strspn(p, "#+-.X") != strlen(p))
				continue;
			ck_assert_uint_le(strlen(p), columns[i]);
			cells += strlen(p);
		}
		ck_assert_uint_eq(cells, columns[i] * 16 < 50 ? columns[i] * 16 : 50);
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl-map");
	TCase *t = tcase_create("ctl-map");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, mapfile);
	tcase_add_test(t, healed_meanwhile);
	tcase_add_test(t, cells);
	tcase_add_test(t, sizes);
	tcase_add_test(t, drawing);
	suite_add_tcase(s, t);
	return unit_main(s);
}

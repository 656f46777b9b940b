/* SPDX-License-Identifier: GPL-2.0-only */
/* The map of a job: where its devices may differ, in equal cells, and as pictures of them. */
#ifndef BLOCKCOPY_MAP_H
#define BLOCKCOPY_MAP_H

#include "ctl.h"

struct map {
	const struct blockcopy_info *info;
	struct blockcopy_range *dirty;	/* what could not be read is in it, too */
	size_t n_dirty;
	struct blockcopy_range *unread;
	size_t n_unread;
};

/* What a cell looks like. */
enum look {
	LOOK_COPIED,
	LOOK_MOSTLY,		/* copied */
	LOOK_PARTLY,
	LOOK_DIRTY,
	LOOK_UNREAD,
	LOOK_MAX,
};

/* The looks of "@n" cells that "@len" bytes are cut into. */
/* Return: 0, -ENOMEM, as the drawings below. */
int map_cells(const struct map *m, uint64_t len, enum look *cells, size_t n);
/* So many cells, "@most" at most, that none is smaller than "@smallest" bytes. */
size_t map_cell_count(uint64_t len, uint64_t smallest, size_t most);

/* For a terminal, "@columns" wide. */
int map_draw(const struct map *m, FILE *f, size_t columns, bool utf8, bool colour);
int map_svg(const struct map *m, FILE *f);
/* As GNU ddrescue and ddrescuelog know it. */
void map_mapfile(const struct map *m, FILE *f);

#endif /* BLOCKCOPY_MAP_H */

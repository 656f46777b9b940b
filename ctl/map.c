// SPDX-License-Identifier: GPL-2.0-only
/* The map of a job, for eyes and for ddrescue. No I/O but to the file that is given. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

/* Rows of a drawing: it fits a screen of 24 lines. */
#define DRAW_ROWS 16

static const struct {
	const char *name;
	const char *utf8;
	char ascii;
	const char *colour;	/* of a terminal */
	const char *fill;	/* of SVG */
} looks[LOOK_MAX] = {
	[LOOK_COPIED] = { "copied", "█", '#', "\033[32m", "#2e8b57" },
	[LOOK_MOSTLY] = { "mostly", "▓", '+', "\033[32m", "#8fbc5a" },
	[LOOK_PARTLY] = { "partly", "▒", '-', "\033[33m", "#e0c04c" },
	[LOOK_DIRTY] = { "to copy", "░", '.', "\033[33m", "#d9d9d9" },
	[LOOK_UNREAD] = { "unreadable", "X", 'X', "\033[31m", "#c0241c" },
};

/* Where cell "@i" of "@n" begins: they differ by a byte at most. */
static uint64_t cell_start(uint64_t len, size_t i, size_t n)
{
	return (unsigned __int128)len * i / n;
}

/* The cell that a byte is in. */
static size_t cell_of(uint64_t len, uint64_t byte, size_t n)
{
	return (((unsigned __int128)byte + 1) * n - 1) / len;
}

/* Bytes of ranges in each cell. */
static void add_up(const struct blockcopy_range *ranges, size_t n_ranges, uint64_t len, uint64_t *bytes, size_t n)
{
	for (size_t k = 0; k < n_ranges; k++) {
		uint64_t start = ranges[k].offset, end = start + ranges[k].length;

		for (size_t i = cell_of(len, start, n); start < end && i < n; i++) {
			uint64_t border = cell_start(len, i + 1, n), to = end < border ? end : border;

			if (to <= start)
				continue;
			bytes[i] += to - start;
			start = to;
		}
	}
}

static enum look look_of(uint64_t dirty, uint64_t unread, uint64_t size)
{
	if (unread)
		return LOOK_UNREAD;
	if (!dirty)
		return LOOK_COPIED;
	if (dirty >= size)
		return LOOK_DIRTY;
	return dirty <= size / 2 ? LOOK_MOSTLY : LOOK_PARTLY;
}

int map_cells(const struct map *m, uint64_t len, enum look *cells, size_t n)
{
	uint64_t *dirty = calloc(n, sizeof(*dirty)), *unread = calloc(n, sizeof(*unread));
	int r = dirty && unread ? 0 : -ENOMEM;

	if (r == 0) {
		add_up(m->dirty, m->n_dirty, len, dirty, n);
		add_up(m->unread, m->n_unread, len, unread, n);
		for (size_t i = 0; i < n; i++)
			cells[i] = look_of(dirty[i], unread[i],
					   cell_start(len, i + 1, n) - cell_start(len, i, n));
	}
	free(dirty);
	free(unread);
	return r;
}

size_t map_cell_count(uint64_t len, uint64_t smallest, size_t most)
{
	uint64_t n = len / smallest + !!(len % smallest);

	return n < most ? n : most;
}

static uint64_t sum(const struct blockcopy_range *ranges, size_t n)
{
	uint64_t bytes = 0;

	for (size_t k = 0; k < n; k++)
		bytes += ranges[k].length;
	return bytes;
}

/* What is dirty and not known to be unreadable; the two were asked for one after the other. */
static uint64_t to_copy(const struct map *m)
{
	uint64_t dirty = sum(m->dirty, m->n_dirty), unread = sum(m->unread, m->n_unread);

	return dirty > unread ? dirty - unread : 0;
}

/* ---- the terminal ---- */

static void draw_cell(FILE *f, enum look look, enum look before, bool utf8, bool colour)
{
	if (colour && (before == LOOK_MAX || looks[look].colour != looks[before].colour))
		fputs(looks[look].colour, f);
	if (utf8)
		fputs(looks[look].utf8, f);
	else
		fputc(looks[look].ascii, f);
}

static void draw_legend(FILE *f, size_t columns, bool utf8, bool colour)
{
	size_t column = 0;

	for (int i = 0; i < LOOK_MAX; i++) {
		size_t width = strlen(looks[i].name) + 2;

		if (column && column + 2 + width > columns) {
			fputc('\n', f);
			column = 0;
		}
		if (column)
			fputs("  ", f);
		draw_cell(f, i, LOOK_MAX, utf8, colour);
		fprintf(f, "%s %s", colour ? "\033[0m" : "", looks[i].name);
		column += width + (column ? 2 : 0);
	}
	fputc('\n', f);
}

int map_draw(const struct map *m, FILE *f, size_t columns, bool utf8, bool colour)
{
	uint64_t len = blockcopy_info_len(m->info), unread = sum(m->unread, m->n_unread);
	size_t n = map_cell_count(len, blockcopy_info_region_size(m->info), columns * DRAW_ROWS);
	enum look *cells = calloc(n, sizeof(*cells));
	char a[SIZE_TEXT], b[SIZE_TEXT];
	int r = cells ? map_cells(m, len, cells, n) : -ENOMEM;

	if (r < 0) {
		free(cells);
		return r;
	}
	fprintf(f, "%s: %s\n", blockcopy_info_name(m->info), blockcopy_info_state_word(m->info));
	fprintf(f, "%s, a cell is %s\n", format_size(len, a), format_size((len + n - 1) / n, b));
	for (size_t i = 0; i < n; i++) {
		bool first = i % columns == 0, last = i + 1 == n || (i + 1) % columns == 0;

		draw_cell(f, cells[i], first ? LOOK_MAX : cells[i - 1], utf8, colour);
		if (last)
			fprintf(f, "%s\n", colour ? "\033[0m" : "");
	}
	fprintf(f, "%s to copy", format_size(to_copy(m), a));
	if (unread)
		fprintf(f, ", %s unreadable", format_size(unread, a));
	fputc('\n', f);
	draw_legend(f, columns, utf8, colour);
	free(cells);
	return 0;
}

/* ---- SVG ---- */

#define SVG_COLUMNS 128
#define SVG_ROWS 48
#define SVG_CELL 7
#define SVG_TOP 60
#define SVG_MARGIN 12

/* Text of a document: dm names may hold anything. */
static void put_text(FILE *f, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		default:
			fputc((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f ? '?' : *s, f);
		}
}

static void svg_legend(FILE *f)
{
	int x = SVG_MARGIN;

	for (int i = 0; i < LOOK_MAX; i++) {
		fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", x, SVG_TOP - 18,
			looks[i].fill);
		fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 15, SVG_TOP - 9, looks[i].name);
		x += 40 + 8 * strlen(looks[i].name);
	}
}

/* Cells that look alike and stand in one row are one rectangle. */
static void svg_cells(FILE *f, const enum look *cells, size_t n, size_t columns)
{
	for (size_t i = 0, next; i < n; i = next) {
		for (next = i + 1; next < n && next % columns && cells[next] == cells[i]; )
			next++;
		fprintf(f, "<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%d\" fill=\"%s\"/>\n",
			SVG_MARGIN + i % columns * SVG_CELL, SVG_TOP + i / columns * SVG_CELL,
			(next - i) * SVG_CELL, SVG_CELL, looks[cells[i]].fill);
	}
}

int map_svg(const struct map *m, FILE *f)
{
	uint64_t len = blockcopy_info_len(m->info), unread = sum(m->unread, m->n_unread);
	size_t n = map_cell_count(len, blockcopy_info_region_size(m->info), (size_t)SVG_COLUMNS * SVG_ROWS);
	size_t rows = (n + SVG_COLUMNS - 1) / SVG_COLUMNS;
	enum look *cells = calloc(n, sizeof(*cells));
	char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT], d[SIZE_TEXT];
	int r = cells ? map_cells(m, len, cells, n) : -ENOMEM;

	if (r < 0) {
		free(cells);
		return r;
	}
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		SVG_COLUMNS * SVG_CELL + 2 * SVG_MARGIN, SVG_TOP + rows * SVG_CELL + SVG_MARGIN);
	fprintf(f, "<title>");
	put_text(f, blockcopy_info_name(m->info));
	fprintf(f, "</title>\n<text x=\"%d\" y=\"26\" font-size=\"15\">", SVG_MARGIN);
	put_text(f, blockcopy_info_name(m->info));
	fprintf(f, ": %s, %s; %s to copy, %s unreadable; a cell is %s</text>\n", blockcopy_info_state_word(m->info),
		format_size(len, a), format_size(to_copy(m), b), format_size(unread, c),
		format_size((len + n - 1) / n, d));
	svg_legend(f);
	svg_cells(f, cells, n, SVG_COLUMNS);
	fprintf(f, "</svg>\n");
	free(cells);
	return 0;
}

/* ---- ddrescue ---- */

static void line(FILE *f, uint64_t start, uint64_t end, char status)
{
	if (start < end)
		fprintf(f, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", start, end - start, status);
}

/* One that may differ, with what in it cannot be read. */
static void lines_of(const struct map *m, FILE *f, const struct blockcopy_range *dirty, size_t *unread)
{
	uint64_t at = dirty->offset, end = dirty->offset + dirty->length;

	for (; *unread < m->n_unread; ++*unread) {
		const struct blockcopy_range *u = &m->unread[*unread];
		uint64_t u_start = u->offset > at ? u->offset : at;
		uint64_t u_end = u->offset + u->length < end ? u->offset + u->length : end;

		if (u->offset >= end)
			break;
		if (u_end <= u_start)
			continue;
		line(f, at, u_start, '?');
		line(f, u_start, u_end, '-');
		at = u_end;
		if (u->offset + u->length > end)
			break;
	}
	line(f, at, end, '?');
}

void map_mapfile(const struct map *m, FILE *f)
{
	uint64_t len = blockcopy_info_len(m->info), at = 0;
	size_t unread = 0;

	fprintf(f, "# Mapfile. Created by blockcopy version %s\n"
		"# current_pos  current_status  current_pass\n"
		"0x%08X     %c               1\n"
		"#      pos        size  status\n", blockcopy_version(), 0, m->n_dirty ? '?' : '+');
	for (size_t k = 0; k < m->n_dirty; k++) {
		line(f, at, m->dirty[k].offset, '+');
		lines_of(m, f, &m->dirty[k], &unread);
		at = m->dirty[k].offset + m->dirty[k].length;
	}
	line(f, at, len, '+');
}

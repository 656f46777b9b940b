// SPDX-License-Identifier: GPL-2.0-only
/* See the header. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "top.h"

#define CELL 80

static void put_state(const struct blockcopy_info *i, char *cell)
{
	snprintf(cell, CELL, "%s", blockcopy_info_paused(i) ? "paused" : blockcopy_info_state_word(i));
}

static void put_percent(const struct blockcopy_info *i, char *cell)
{
	snprintf(cell, CELL, "%u %%", blockcopy_info_percent(i));
}

static void put_rate(const struct blockcopy_info *i, char *cell)
{
	char size[SIZE_TEXT];

	snprintf(cell, CELL, "%s/s", format_size(blockcopy_info_rate(i), size));
}

static void put_dirty(const struct blockcopy_info *i, char *cell)
{
	format_size(blockcopy_info_dirty_bytes(i), cell);
}

static void put_eta(const struct blockcopy_info *i, char *cell)
{
	if (blockcopy_info_ready(i))
		strcpy(cell, "-");
	else
		format_eta(blockcopy_info_eta_s(i), cell);
}

/* A star: guest writes go to both at this moment. */
static void put_mode(const struct blockcopy_info *i, char *cell)
{
	snprintf(cell, CELL, "%s%s", blockcopy_info_copy_mode(i), blockcopy_info_mirroring(i) ? "*" : "");
}

/* From the left; those at the end go first where there is no room. A negative width: flush left. */
static const struct column {
	const char *title;
	int width;
	void (*put)(const struct blockcopy_info *i, char *cell);
} columns[] = {
	{ "State", -10, put_state },
	{ "Copied", 6, put_percent },
	{ "Rate", 12, put_rate },
	{ "Dirty", 10, put_dirty },
	{ "Left", 8, put_eta },
	{ "Mode", -15, put_mode },
};

#define N_COLUMNS (sizeof(columns) / sizeof(*columns))

static int width_of(const struct column *c)
{
	return c->width < 0 ? -c->width : c->width;
}

/* How many columns beside the name there is room for, and what is left for that. */
static size_t fit(int width, int *name_width)
{
	int left = width;
	size_t n;

	if (width == TOP_ALL)
		return N_COLUMNS;
	for (n = 0; n < N_COLUMNS && left - width_of(&columns[n]) - 1 >= TOP_NAME_MIN; n++)
		left -= width_of(&columns[n]) + 1;
	*name_width = left > 0 ? left : 1;
	return n;
}

/* NULL: the titles. */
static void put_line(const struct blockcopy_info *i, int width, int name_width, char *buf)
{
	size_t shown = fit(width, &name_width), n;
	char cell[CELL];
	char name[TOP_LINE];

	snprintf(name, sizeof(name), "%s", i ? blockcopy_info_name(i) : "Name");
	/* One that is cut says so. */
	if (strlen(name) > (size_t)name_width)
		strcpy(name + name_width - 1, "~");
	n = (size_t)snprintf(buf, TOP_LINE, "%-*s", name_width, name);
	for (size_t k = 0; k < shown && n < TOP_LINE; k++) {
		if (i)
			columns[k].put(i, cell);
		else
			snprintf(cell, sizeof(cell), "%s", columns[k].title);
		n += (size_t)snprintf(buf + n, TOP_LINE - n, " %*s", columns[k].width, cell);
	}
	for (n = strlen(buf); n && buf[n - 1] == ' '; n--)
		buf[n - 1] = '\0';
}

void top_head(int width, int name_width, char *buf)
{
	put_line(NULL, width, name_width, buf);
}

void top_row(const struct blockcopy_info *i, int width, int name_width, char *buf)
{
	put_line(i, width, name_width, buf);
}

void top_detail(const struct blockcopy_info *i, char *buf, size_t size)
{
	const char *spec = blockcopy_info_destination_spec(i), *error = blockcopy_info_error(i);
	char dirty[CELL], left[CELL], mode[CELL], limit[SIZE_TEXT];

	put_dirty(i, dirty);
	put_eta(i, left);
	put_mode(i, mode);
	format_size(blockcopy_info_bandwidth(i), limit);
	snprintf(buf, size, "%s: %s%s, %s dirty%s%s, %s, %s%s%s%s%s. %s to %s", blockcopy_info_name(i),
		 blockcopy_info_state_word(i), blockcopy_info_paused(i) ? ", paused" : "", dirty,
		 blockcopy_info_ready(i) ? "" : ", time left ", blockcopy_info_ready(i) ? "" : left, mode,
		 blockcopy_info_bandwidth(i) ? "limit " : "no limit",
		 blockcopy_info_bandwidth(i) ? limit : "", blockcopy_info_bandwidth(i) ? "/s" : "", error ? ". Error: " : "",
		 error ? blockcopy_error_word_explain(error) : "", blockcopy_info_source(i),
		 spec ? spec : blockcopy_info_destination(i));
}

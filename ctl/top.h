/* SPDX-License-Identifier: GPL-2.0-only */
/* The lines of top: as many columns as the terminal has room for. */
#ifndef BLOCKCOPY_TOP_H
#define BLOCKCOPY_TOP_H

#include <blockcopy.h>
#include <stddef.h>

#define TOP_LINE	512
/* A width that has room for all columns. */
#define TOP_ALL		(TOP_LINE - 1)
/* Of the name, if that is all that there is room for. */
#define TOP_NAME_MIN	8

/*
 * Into "@buf", TOP_LINE bytes. At "@width" below TOP_ALL the name takes what the other columns leave; at
 * TOP_ALL it takes "@name_width".
 */
void top_head(int width, int name_width, char *buf);
void top_row(const struct blockcopy_info *i, int width, int name_width, char *buf);
/* What the columns have no room for, as a text. */
void top_detail(const struct blockcopy_info *i, char *buf, size_t size);

#endif /* BLOCKCOPY_TOP_H */

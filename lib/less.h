/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a device is to be copied, where that is not everything. */
#ifndef BCL_LESS_H
#define BCL_LESS_H

#include "internal.h"

/* ---- list.c ---- */

/* Of bytes. */
struct bcl_ranges {
	struct blockcopy_range *v;
	size_t n, room;
};

void bcl_ranges_done(struct bcl_ranges *r);
/* One that follows the last one becomes part of it. Return: 0, -ENOMEM. */
int bcl_ranges_add(struct bcl_ranges *r, uint64_t offset, uint64_t length);

/* The part of [offset, offset + length) that a device of "@len" bytes shows from byte "@skip" on. */
int bcl_ranges_add_part(struct bcl_ranges *r, uint64_t offset, uint64_t length, uint64_t skip,
			uint64_t len);

/* What a device stands on, single linear lines followed. */
struct bcl_bottom {
	dev_t dev;		/* none of device-mapper's; else 0, and a line: */
	char *type, *params;
	uint64_t offset;	/* sectors into it */
};

void bcl_bottom_done(struct bcl_bottom *b);
/* Return: 1, 0 it stands on more than one, -errno. */
int bcl_bottom_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_bottom *ret);

/* ---- thin.c ---- */

struct bcl_thin {
	dev_t pool;		/* 0: it is none */
	uint64_t id;
	uint64_t offset;	/* sectors into it */
	uint64_t len;		/* sectors of the device on top */
	bool external;		/* shows another device where nothing is mapped */
};

/* Does a device with that table stand on a thin device? Return: 0, -errno. */
int bcl_thin_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_thin *ret);
/* Add what is mapped, as the pool has it when this is called. */
int bcl_thin_mapped(struct blockcopy *bc, const struct bcl_thin *t, struct bcl_ranges *to);
/* Add what may differ between two of the same pool, likewise. */
int bcl_thin_delta(struct blockcopy *bc, const struct bcl_thin *base, const struct bcl_thin *t,
		   struct bcl_ranges *to);
/* Release the metadata snapshots of those that were killed meanwhile. */
void bcl_thin_recover(struct blockcopy *bc, unsigned int *deeds);

/* ---- sparse.c ---- */

struct bcl_sparse {
	int fd;			/* of the file; -1: there is none */
	uint64_t offset;	/* bytes into it */
	uint64_t len;		/* bytes of the device on top */
};

/* Does a device with that table stand on a loop device over a file whose holes can be told? Return: 0, -errno. */
int bcl_sparse_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_sparse *ret);
/* Add what are no holes. */
int bcl_sparse_mapped(struct blockcopy *bc, const struct bcl_sparse *s, struct bcl_ranges *to);

/* ---- list.c ---- */

struct bcl_list {
	enum {
		BCL_LIST_NONE,		/* what is copied the table line says */
		BCL_LIST_GIVEN,
		BCL_LIST_DELTA,		/* of thin devices */
		BCL_LIST_THIN,		/* what is mapped */
		BCL_LIST_FILE,		/* what are no holes */
	} kind;
	const struct blockcopy_options *options;
	struct bcl_thin thin, base;
	struct bcl_sparse sparse;
};

#define BCL_NO_LIST ((struct bcl_list) { .sparse.fd = -1 })

void bcl_list_done(struct bcl_list *l);
/* What will be listed of a device with that table. Every refusal; nothing is changed. */
int bcl_list_plan(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *live,
		  const struct blockcopy_options *o, struct bcl_list *ret);
/* A line for those who ask what would be done, or "". */
char *bcl_list_text(const struct bcl_list *l);
/* The job is live, and listing: tell it, and end that. */
int bcl_list_run(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_list *l,
		 uint64_t len, uint64_t region_sectors);
/* The one who was to do that has gone: everything is copied. */
int bcl_list_all(struct blockcopy *bc, const struct bcl_dm_info *dev);

#endif /* BCL_LESS_H */

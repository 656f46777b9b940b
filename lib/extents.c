// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Do two devices share sectors? Logical volumes on one disk do not, two linear devices over the
 * same disk do, and sysfs shows the same for both. So tables and partitions are followed down to
 * devices that are neither. A target that places its data in ways of its own ends there and
 * shares nothing that is known.
 */
#include <inttypes.h>

#include "internal.h"
#include "sysfs.h"

/* Deeper than any stack that works. */
#define DEPTH_MAX 16

struct extent {
	dev_t dev;
	uint64_t start, len;	/* sectors */
};

struct extents {
	struct extent *v;
	size_t n;
};

static void extents_done(struct extents *e)
{
	free(e->v);
}

static int add(struct extents *e, struct extent x)
{
	struct extent *v = reallocarray(e->v, e->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	e->v = v;
	e->v[e->n++] = x;
	return 0;
}

static int follow(struct blockcopy *bc, struct extent x, unsigned int depth, struct extents *to);

/* "<dev> <offset>" at this place of a line. */
static int follow_word(struct blockcopy *bc, const struct bcl_words *w, size_t at, uint64_t skip,
		       uint64_t len, unsigned int depth, struct extents *to)
{
	struct extent x = { .len = len };

	if (at + 1 >= w->n || bcl_parse_devno(w->word[at], &x.dev) < 0 ||
	    bcl_parse_u64(w->word[at + 1], &x.start) < 0)
		return 0;
	x.start += skip;
	return follow(bc, x, depth, to);
}

/* The part of a line from "@skip", "@len" long. */
static int follow_line(struct blockcopy *bc, const struct bcl_line *l, uint64_t skip, uint64_t len,
		       unsigned int depth, struct extents *to)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	uint64_t stripes;
	int r;

	r = bcl_words_split(l->params, &w);
	if (r < 0)
		return r;
	if (!strcmp(l->type, "linear") || !strcmp(l->type, "delay") || !strcmp(l->type, "flakey"))
		return follow_word(bc, &w, 0, skip, len, depth, to);
	if (!strcmp(l->type, "crypt")) {
		/* The key is among the words. */
		if (w.n > 1)
			explicit_bzero(w.word[1], strlen(w.word[1]));
		return follow_word(bc, &w, 3, skip, len, depth, to);
	}
	if (strcmp(l->type, "striped") || w.n < 2 || bcl_parse_u64(w.word[0], &stripes) < 0 ||
	    !stripes)
		return 0;
	/* A part of it may be on all of each stripe. */
	for (size_t i = 2; i + 1 < w.n && r == 0; i += 2)
		r = follow_word(bc, &w, i, 0, l->len / stripes, depth, to);
	return r;
}

static int follow_dm(struct blockcopy *bc, const char *name, struct extent x, unsigned int depth,
		     struct extents *to)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	int r = bcl_dm_table(bc, name, false, &t);

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		const struct bcl_line *l = &t->lines[i];
		uint64_t from = x.start > l->start ? x.start : l->start;
		uint64_t end = l->start + l->len;

		if (end > x.start + x.len)
			end = x.start + x.len;
		if (from < end)
			r = follow_line(bc, l, from - l->start, end - from, depth, to);
	}
	return r;
}

static int follow(struct blockcopy *bc, struct extent x, unsigned int depth, struct extents *to)
{
	struct bcl_dm_info info;
	uint64_t start;
	dev_t whole;
	int r;

	if (depth == DEPTH_MAX)
		return 0;
	r = bcl_dm_info_by_dev(bc, x.dev, &info);
	if (r < 0)
		return r;
	if (r > 0)
		return follow_dm(bc, info.name, x, depth + 1, to);
	if (bcl_sysfs_whole(x.dev, &whole) == 0 && whole != x.dev &&
	    bcl_sysfs_read_u64(x.dev, "start", &start) == 0) {
		x.dev = whole;
		x.start += start;
	}
	return add(to, x);
}

int bcl_shared_extent(struct blockcopy *bc, dev_t a, dev_t b, uint64_t len, dev_t *ret_dev)
{
	_cleanup_(extents_done) struct extents ea = {}, eb = {};
	int r;

	r = follow(bc, (struct extent) { a, 0, len }, 0, &ea);
	if (r == 0)
		r = follow(bc, (struct extent) { b, 0, len }, 0, &eb);
	if (r < 0)
		return r == -ENOMEM ? bcl_oom(bc) : r;
	for (size_t i = 0; i < ea.n; i++)
		for (size_t k = 0; k < eb.n; k++) {
			const struct extent *x = &ea.v[i], *y = &eb.v[k];

			if (x->dev == y->dev && x->start < y->start + y->len &&
			    y->start < x->start + x->len) {
				*ret_dev = x->dev;
				return 1;
			}
		}
	return 0;
}

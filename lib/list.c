// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copying less than everything: a job that begins with nothing dirty is told what may differ. It is live
 * when that is looked up, so that it has kept account of what was written since; see kmod/bc-list.c.
 */
#include <inttypes.h>
#include <sys/sysmacros.h>

#include "less.h"

/* Deeper than any stack that works. */
#define DEPTH_MAX 16

/* Ranges a message. */
#define BATCH 64

void bcl_ranges_done(struct bcl_ranges *r)
{
	free(r->v);
	*r = (struct bcl_ranges) {};
}

int bcl_ranges_add(struct bcl_ranges *r, uint64_t offset, uint64_t length)
{
	struct blockcopy_range *last = r->n ? &r->v[r->n - 1] : NULL, *v;
	size_t room;

	if (last && last->offset + last->length == offset) {
		last->length += length;
		return 0;
	}
	if (!r->v || r->n == r->room) {
		room = r->room ? r->room * 2 : 64;
		v = reallocarray(r->v, room, sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->v = v;
		r->room = room;
	}
	r->v[r->n++] = (struct blockcopy_range) { offset, length };
	return 0;
}

int bcl_ranges_add_part(struct bcl_ranges *r, uint64_t offset, uint64_t length, uint64_t skip,
			uint64_t len)
{
	uint64_t from = offset > skip ? offset : skip, to = offset + length;

	if (to > skip + len)
		to = skip + len;
	return from < to ? bcl_ranges_add(r, from - skip, to - from) : 0;
}

void bcl_bottom_done(struct bcl_bottom *b)
{
	free(b->type);
	bcl_free_secret(b->params);
	*b = (struct bcl_bottom) {};
}

int bcl_bottom_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_bottom *ret)
{
	_cleanup_(bcl_table_freep) struct bcl_table *below = NULL;
	uint64_t offset = 0, more;
	struct bcl_dm_info info;
	dev_t dev;
	int r;

	for (int depth = 0; depth < DEPTH_MAX && bcl_table_below(t, &dev, &more); depth++) {
		offset += more;
		r = bcl_dm_info_by_dev(bc, dev, &info);
		if (r < 0)
			return r;
		if (r == 0) {
			*ret = (struct bcl_bottom) { .dev = dev, .offset = offset };
			return 1;
		}
		bcl_table_free(TAKE_PTR(below));
		r = bcl_dm_table(bc, info.name, false, &below);
		if (r < 0)
			return r;
		t = below;
	}
	if (t->n != 1)
		return 0;
	*ret = (struct bcl_bottom) {
		.type = strdup(t->lines[0].type),
		.params = strdup(t->lines[0].params),
		.offset = offset,
	};
	if (ret->type && ret->params)
		return 1;
	bcl_bottom_done(ret);
	return bcl_oom(bc);
}

/*
 * What will be listed
 */

void bcl_list_done(struct bcl_list *l)
{
	bcl_closep(&l->sparse.fd);
	*l = BCL_NO_LIST;
}

static bool copies_all(const struct blockcopy_options *o)
{
	return !o->args.sync || !strcmp(o->args.sync, "full");
}

static int check_options(struct blockcopy *bc, const struct blockcopy_options *o)
{
	const char *what = o->ranges ? "a list of ranges" : "a base";

	if (!o->ranges && !o->base)
		return 0;
	if (o->ranges && o->base)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "a list of ranges and a base exclude each other");
	if (!copies_all(o))
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "%s and sync %s exclude each other", what,
				o->args.sync);
	if (o->base && o->args.target_is_zero)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"a base and a destination of zeroes exclude each other: it has what the base has");
	return 0;
}

static int check_ranges(struct blockcopy *bc, const struct bcl_dm_info *dev, uint64_t len,
			const struct blockcopy_options *o)
{
	for (size_t i = 0; i < o->n_ranges; i++) {
		const struct blockcopy_range *x = &o->ranges[i];

		if (x->offset > len || x->length > len - x->offset)
			return bcl_fail(bc, BLOCKCOPY_REFUSED, -ERANGE,
					"%s: found %" PRIu64 " bytes from byte %" PRIu64 " on in the list, needed "
					"them within its %" PRIu64 " bytes",
					dev->name, x->length, x->offset, len);
	}
	return 0;
}

static int need_thin(struct blockcopy *bc, const char *name, const struct bcl_thin *t)
{
	if (t->pool && !t->external)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTSUP,
			"%s: found %s, needed one of the pool that the other one is in (--shallow without "
			"--base compares the devices)",
			name, t->pool ? "a thin device with an external origin" : "no thin device");
}

static int plan_delta(struct blockcopy *bc, const struct bcl_dm_info *dev,
		      const struct bcl_table *live, struct bcl_list *l)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	struct bcl_dm_info base;
	int r;

	r = bcl_device_find(bc, l->options->base, &base);
	if (r == 0)
		r = bcl_dm_table(bc, base.name, false, &t);
	if (r == 0)
		r = bcl_thin_find(bc, t, &l->base);
	if (r == 0)
		r = bcl_thin_find(bc, live, &l->thin);
	if (r == 0)
		r = need_thin(bc, dev->name, &l->thin);
	if (r == 0)
		r = need_thin(bc, base.name, &l->base);
	if (r < 0)
		return r;
	if (l->thin.pool != l->base.pool || l->thin.offset != l->base.offset)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EXDEV,
				"%s: found it at sector %" PRIu64 " of a thin device of pool %u:%u, needed it as "
				"%s is, at %" PRIu64 " of one of %u:%u (--shallow without --base compares the "
				"devices)", base.name, l->base.offset, major(l->base.pool), minor(l->base.pool),
				dev->name, l->thin.offset, major(l->thin.pool), minor(l->thin.pool));
	if (l->thin.id == l->base.id)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found it to be the thin device of %s itself, needed another one",
				base.name, dev->name);
	l->kind = BCL_LIST_DELTA;
	return 0;
}

int bcl_list_plan(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *live,
		  const struct blockcopy_options *o, struct bcl_list *l)
{
	int r = check_options(bc, o);

	l->options = o;
	if (r < 0)
		return r;
	if (o->ranges) {
		l->kind = BCL_LIST_GIVEN;
		return check_ranges(bc, dev, bcl_table_len(live) * 512, o);
	}
	if (o->base)
		return plan_delta(bc, dev, live, l);
	/* Of a destination of zeroes what is zero at the source, too, need not be read. */
	if (!o->args.target_is_zero || !copies_all(o))
		return 0;
	r = bcl_thin_find(bc, live, &l->thin);
	if (r == 0 && l->thin.pool && !l->thin.external)
		l->kind = BCL_LIST_THIN;
	else if (r == 0)
		r = bcl_sparse_find(bc, live, &l->sparse);
	if (r == 0 && l->sparse.fd >= 0)
		l->kind = BCL_LIST_FILE;
	return r;
}

char *bcl_list_text(const struct bcl_list *l)
{
	switch (l->kind) {
	case BCL_LIST_GIVEN:
		return bcl_asprintf("mark %zu ranges\n", l->options->n_ranges);
	case BCL_LIST_DELTA:
		return bcl_asprintf("mark what differs between thin devices %" PRIu64 " and %" PRIu64
				    " of %u:%u\n", l->base.id, l->thin.id, major(l->thin.pool),
				    minor(l->thin.pool));
	case BCL_LIST_THIN:
		return bcl_asprintf("mark what is mapped of thin device %" PRIu64 " of %u:%u\n",
				    l->thin.id, major(l->thin.pool), minor(l->thin.pool));
	case BCL_LIST_FILE:
		return strdup("mark what are no holes of the file below\n");
	case BCL_LIST_NONE:
		break;
	}
	return strdup("");
}

/*
 * Telling the job
 */

static int by_offset(const void *a, const void *b)
{
	const struct blockcopy_range *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Whole regions, sorted; what overlaps becomes one. In sectors from here on. */
static void to_regions(struct bcl_ranges *r, uint64_t len, uint64_t region)
{
	size_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_offset);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t from = r->v[i].offset / 512 / region * region;
		uint64_t to = ((r->v[i].offset + r->v[i].length + 511) / 512 + region - 1) / region * region;
		struct blockcopy_range *last = n ? &r->v[n - 1] : NULL;

		if (!r->v[i].length)
			continue;
		if (to > len)
			to = len;
		if (!last || last->offset + last->length < from)
			r->v[n++] = (struct blockcopy_range) { from, to - from };
		else if (last->offset + last->length < to)
			last->length = to - last->offset;
	}
	r->n = n;
}

static int send(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_ranges *r)
{
	int status = 0;

	for (size_t i = 0; i < r->n && status == 0; i += BATCH) {
		_cleanup_free_ char *message = NULL;
		size_t size;
		FILE *f = open_memstream(&message, &size);

		if (!f)
			return bcl_oom(bc);
		fputs("dirty", f);
		for (size_t k = i; k < r->n && k < i + BATCH; k++)
			fprintf(f, " %" PRIu64 " %" PRIu64, r->v[k].offset, r->v[k].length);
		if (fclose(f))
			return bcl_oom(bc);
		status = bcl_job_message(bc, dev, "%s", message);
	}
	return status;
}

static int find_out(struct blockcopy *bc, const struct bcl_list *l, struct bcl_ranges *to)
{
	const struct blockcopy_options *o = l->options;

	switch (l->kind) {
	case BCL_LIST_GIVEN:
		for (size_t i = 0; i < o->n_ranges; i++)
			if (bcl_ranges_add(to, o->ranges[i].offset, o->ranges[i].length) < 0)
				return bcl_oom(bc);
		return 0;
	case BCL_LIST_DELTA:
		return bcl_thin_delta(bc, &l->base, &l->thin, to);
	case BCL_LIST_THIN:
		return bcl_thin_mapped(bc, &l->thin, to);
	case BCL_LIST_FILE:
		return bcl_sparse_mapped(bc, &l->sparse, to);
	case BCL_LIST_NONE:
		break;
	}
	return 0;
}

int bcl_list_all(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	int r = bcl_job_message(bc, dev, "dirty all");

	return r < 0 ? r : bcl_job_message(bc, dev, "listed");
}

int bcl_list_run(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_list *l,
		 uint64_t len, uint64_t region_sectors)
{
	_cleanup_(bcl_ranges_done) struct bcl_ranges ranges = {};
	int r = find_out(bc, l, &ranges);

	if (r < 0 && (l->kind == BCL_LIST_THIN || l->kind == BCL_LIST_FILE)) {
		bcl_log(bc, BLOCKCOPY_LOG_WARNING, "%s: all of it is read: %s", dev->name,
			blockcopy_error_message(bc));
		bcl_begin(bc);
		return bcl_list_all(bc, dev);
	}
	if (r < 0)
		return r;
	to_regions(&ranges, len, region_sectors);
	r = send(bc, dev, &ranges);
	return r < 0 ? r : bcl_job_message(bc, dev, "listed");
}

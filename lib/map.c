// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where the legs of a job may differ: the kernel tells it page by page, see kmod/bc-map.c. */
#include <inttypes.h>

#include "less.h"

/* Lines of "<start> <len>", and the sector to ask on from. */
static int parse_page(char *text, uint64_t *next, struct bcl_ranges *l)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	uint64_t from = *next;
	int r;

	for (char *p = text; (p = strchr(p, '\n')); )
		*p = ' ';
	r = bcl_words_split(text, &w);
	if (r < 0)
		return r;
	if (w.n % 2 == 0)
		return -EBADMSG;
	for (size_t i = 0; i < w.n - 1; i += 2) {
		uint64_t start, len;

		if (bcl_parse_u64(w.word[i], &start) || bcl_parse_u64(w.word[i + 1], &len) ||
		    start < from || !len || len > UINT64_MAX / 512 - start)
			return -EBADMSG;
		from = start + len;
		r = bcl_ranges_add(l, start * 512, len * 512);
		if (r < 0)
			return r;
	}
	/* It must lead on, or this has no end. */
	if (bcl_parse_u64(w.word[w.n - 1], &from) || from <= *next)
		return -EBADMSG;
	*next = from;
	return 0;
}

static int read_map(struct blockcopy *bc, const struct bcl_job *j, const char *kind, struct bcl_ranges *l)
{
	uint64_t next = 0;
	int r;

	while (next < j->len) {
		_cleanup_free_ char *message = bcl_asprintf("map %s%" PRIu64, kind, next);
		_cleanup_free_ char *answer = NULL;

		if (!message)
			return bcl_oom(bc);
		r = bcl_dm_ask(bc, j->dev.name, message, &answer);
		if (r == -EINVAL)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -EOPNOTSUPP,
					"%s: found a kernel module that gives no map, needed a newer one",
					j->dev.name);
		if (r < 0)
			return r;
		r = parse_page(answer, &next, l);
		if (r == -ENOMEM)
			return bcl_oom(bc);
		if (r < 0)
			return bcl_fail(bc, BLOCKCOPY_FAILED, r,
					"%s: found a map that this version cannot read", j->dev.name);
	}
	return 0;
}

int blockcopy_map(struct blockcopy *bc, const char *name, enum blockcopy_map_kind kind,
		  struct blockcopy_range **ret_ranges, size_t *ret_n)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_(bcl_ranges_done) struct bcl_ranges l = {};
	int r;

	bcl_begin(bc);
	r = bcl_job_find(bc, name, &j);
	if (r < 0)
		return r;
	r = read_map(bc, &j, kind == BLOCKCOPY_MAP_UNREAD ? "unread " : "", &l);
	if (r < 0)
		return r;
	/* Never NULL, as there may be nothing. */
	if (!l.v)
		l.v = calloc(1, sizeof(*l.v));
	if (!l.v)
		return bcl_oom(bc);
	*ret_ranges = TAKE_PTR(l.v);
	*ret_n = l.n;
	return 0;
}

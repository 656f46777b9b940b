// SPDX-License-Identifier: GPL-2.0-only
/* map: where the two devices of a job may differ. */
#include <langinfo.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "map.h"

static size_t columns_of(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {};
	uint64_t n = 0;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		n = size.ws_col;
	else if (columns)
		(void)parse_number(columns, 1000, &n);
	return n ? n : 80;
}

static bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb");
}

static int draw(const struct map *m)
{
	return map_draw(m, stdout, columns_of(STDOUT_FILENO), !strcmp(nl_langinfo(CODESET), "UTF-8"),
			wants_colour(STDOUT_FILENO));
}

static void list(const struct blockcopy_range *ranges, size_t n)
{
	for (size_t k = 0; k < n; k++)
		printf("%" PRIu64 " %" PRIu64 "\n", ranges[k].offset, ranges[k].length);
}

static int print(struct ctl *c, const struct map *m)
{
	int r = 0;

	if (c->opt.json)
		json_print_map(stdout, m->info, m->dirty, m->n_dirty, m->unread, m->n_unread);
	else if (c->opt.mapfile)
		map_mapfile(m, stdout);
	else if (c->opt.unread)
		list(m->unread, m->n_unread);
	else if (c->opt.list)
		list(m->dirty, m->n_dirty);
	else
		r = c->opt.svg ? map_svg(m, stdout) : draw(m);
	return r < 0 ? complain(BLOCKCOPY_FAILED, "out of memory") : BLOCKCOPY_OK;
}

int cmd_map(struct ctl *c)
{
	struct blockcopy_info *info = NULL;
	struct map m = {};
	int status;

	if (c->opt.json + c->opt.mapfile + c->opt.unread + c->opt.list + c->opt.svg > 1)
		return complain(BLOCKCOPY_USAGE, "--svg, --list, --unread, --mapfile and --json exclude each other");
	/* What cannot be read first: what has healed since is copied, the other way round it would not be listed. */
	if (blockcopy_map(c->bc, c->arg[0], BLOCKCOPY_MAP_UNREAD, &m.unread, &m.n_unread) < 0 ||
	    blockcopy_map(c->bc, c->arg[0], BLOCKCOPY_MAP_DIRTY, &m.dirty, &m.n_dirty) < 0 ||
	    blockcopy_info_get(c->bc, c->arg[0], &info) < 0) {
		status = failed(c);
	} else {
		m.info = info;
		status = print(c, &m);
	}
	blockcopy_info_free(info);
	free(m.dirty);
	free(m.unread);
	return status;
}

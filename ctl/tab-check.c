// SPDX-License-Identifier: GPL-2.0-only
/* What a command has to know of the lines of blockcopytab for its device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "tab.h"

static bool same_device(struct ctl *c, const char *a, const char *b)
{
	dev_t x, y;

	return !strcmp(a, b) || (blockcopy_resolve(c->bc, a, &x) == 0 &&
				 blockcopy_resolve(c->bc, b, &y) == 0 && x == y);
}

/* The line for that device, for tab_entry_done(). Lines that make no sense are left to the boot, which tells. */
static bool find_line(struct ctl *c, const char *name, struct tab_entry *ret)
{
	FILE *f = fopen(TAB_FILE, "re");
	const char *what;
	bool found = false;
	int r;

	if (!f)
		return false;
	while (!found && ((r = tab_next(f, ret, &what)) > 0 || r == -EINVAL))
		found = r > 0 && same_device(c, ret->name, name);
	fclose(f);
	if (!found)
		tab_entry_done(ret);
	return found;
}

int check_tab(struct ctl *c, const char *name)
{
	struct tab_entry e = {};
	int status = BLOCKCOPY_OK;

	if (!find_line(c, name, &e))
		return BLOCKCOPY_OK;
	if (e.metadata && !(c->opt.metadata && same_device(c, e.metadata, c->opt.metadata)))
		status = complain(BLOCKCOPY_REFUSED, "%s: found metadata for it in " TAB_FILE
				  " (%s), needed the copy to have it, too: --metadata %s", e.name,
				  e.metadata, e.metadata);
	tab_entry_done(&e);
	return status;
}

char *tab_metadata(struct ctl *c, const char *name)
{
	struct tab_entry e = {};
	char *metadata;

	if (!find_line(c, name, &e))
		return NULL;
	metadata = e.metadata ? strdup(e.metadata) : NULL;
	tab_entry_done(&e);
	return metadata;
}

char *stale_tab_line(struct ctl *c, const char *name)
{
	struct blockcopy_info *info = NULL;
	const char *destination, *metadata;
	bool known;
	struct tab_entry e = {};
	char *text = NULL;

	if (!find_line(c, name, &e))
		return NULL;
	if (blockcopy_info_get(c->bc, name, &info) == 0) {
		destination = blockcopy_info_destination(info);
		/* Which device it is, start has seen to; one that has failed may say what was. */
		metadata = blockcopy_info_metadata(info);
		known = e.metadata && metadata && !strcmp(metadata, "ok");
		if (destination && !known && !same_device(c, e.device, destination) &&
		    asprintf(&text, TAB_FILE ", line %u: %s is at %s now, and the next boot attaches it at "
			     "%s, where the data is no more: change that line", e.line, e.name,
			     destination, e.device) < 0)
			text = NULL;
		blockcopy_info_free(info);
	}
	tab_entry_done(&e);
	return text;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Commands around devices: attach, detach, grow, recover; and version, help. */
#include <inttypes.h>
#include <stdlib.h>

#include "ctl.h"

int cmd_attach(struct ctl *c)
{
	return blockcopy_attach(c->bc, c->arg[0], c->arg[1]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_detach(struct ctl *c)
{
	return blockcopy_detach(c->bc, c->arg[0]) < 0 ? failed(c) : BLOCKCOPY_OK;
}

int cmd_grow(struct ctl *c)
{
	char *metadata = tab_metadata(c, c->arg[0]);
	char buf[SIZE_TEXT];
	uint64_t len;
	int r = blockcopy_grow_recorded(c->bc, c->arg[0], metadata, &len);

	free(metadata);
	if (r < 0)
		return failed(c);
	printf("%s has %" PRIu64 " bytes (%s) now\n", c->arg[0], len, format_size(len, buf));
	return BLOCKCOPY_OK;
}

int cmd_recover(struct ctl *c)
{
	unsigned int deeds;

	if (blockcopy_recover(c->bc, c->n_arg ? c->arg[0] : NULL, &deeds) < 0)
		return failed(c);
	if (!deeds)
		puts("Nothing to recover");
	return BLOCKCOPY_OK;
}

int cmd_version(struct ctl *c)
{
	(void)c;
	printf("blockcopy %s\n", blockcopy_version());
	return BLOCKCOPY_OK;
}

int cmd_help(struct ctl *c)
{
	return print_help(c->n_arg ? c->arg[0] : NULL);
}

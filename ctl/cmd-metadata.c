// SPDX-License-Identifier: GPL-2.0-only
/* metadata: make the metadata device of a job, look at one. */
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "ctl.h"

static int format(struct ctl *c)
{
	struct blockcopy_options *o;
	int status;

	if (c->n_arg != 4)
		return complain(BLOCKCOPY_USAGE, "metadata format: needed DEVICE NAME DEST");
	if (blockcopy_options_new(&o) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	blockcopy_options_set_force(o, c->opt.force);
	status = fill_granularity(c, o);
	if (!status && blockcopy_metadata_format(c->bc, c->arg[1], c->arg[2], c->arg[3], o) < 0)
		status = failed(c);
	blockcopy_options_free(o);
	return status;
}

/* What `metadata dump --json` printed. */
static int restore(struct ctl *c)
{
	struct json_object *dump, *word;
	int status = BLOCKCOPY_OK;

	if (c->n_arg != 3)
		return complain(BLOCKCOPY_USAGE, "metadata restore: needed DEVICE FILE");
	dump = json_object_from_file(c->arg[2]);
	if (!dump)
		return complain(BLOCKCOPY_FAILED, "%s: found no JSON, needed what `metadata dump "
						  "--json` printed", c->arg[2]);
	if (!json_object_object_get_ex(dump, "superblock", &word))
		status = complain(BLOCKCOPY_USAGE, "%s: found no superblock, needed what `metadata "
						   "dump --json` printed", c->arg[2]);
	else if (blockcopy_metadata_restore(c->bc, c->arg[1],
					    json_object_get_string(word) ?: "", c->opt.force) < 0)
		status = failed(c);
	json_object_put(dump);
	return status;
}

static void print(const char *device, const struct blockcopy_metadata *md)
{
	char size[SIZE_TEXT], region[SIZE_TEXT], intent[SIZE_TEXT];
	uint64_t bad = blockcopy_metadata_bad_blocks(md);

	printf("%s: job %s: %s, %s in regions of %s\n", device, blockcopy_metadata_uuid(md),
	       blockcopy_metadata_outcome(md), format_size(blockcopy_metadata_len(md), size),
	       format_size(blockcopy_metadata_region_size(md), region));
	printf("  from %s, offset %" PRIu64 "\n  to %s, offset %" PRIu64 "\n",
	       blockcopy_metadata_source(md), blockcopy_metadata_source_offset(md),
	       blockcopy_metadata_destination(md), blockcopy_metadata_destination_offset(md));
	printf("  %s to be copied after a crash; generation %" PRIu64 ", sequence %" PRIu64 "\n",
	       format_size(blockcopy_metadata_intent_bytes(md), intent),
	       blockcopy_metadata_generation(md), blockcopy_metadata_sequence(md));
	if (bad || blockcopy_metadata_bad_slots(md))
		printf("  %u of 2 superblocks and %" PRIu64 " of %" PRIu64
		       " blocks of bitmap not valid, or never written\n",
		       blockcopy_metadata_bad_slots(md), bad, blockcopy_metadata_blocks(md));
}

int cmd_metadata(struct ctl *c)
{
	struct blockcopy_metadata *md;
	const char *verb = c->arg[0];

	if (!strcmp(verb, "format"))
		return format(c);
	if (!strcmp(verb, "restore"))
		return restore(c);
	if (strcmp(verb, "check") && strcmp(verb, "dump"))
		return complain(BLOCKCOPY_USAGE, "metadata %s: needed format, check, dump or "
						 "restore", verb);
	if (c->n_arg != 2)
		return complain(BLOCKCOPY_USAGE, "metadata %s: needed one DEVICE", verb);
	if (blockcopy_metadata_read(c->bc, c->arg[1], &md) < 0)
		return failed(c);
	if (!strcmp(verb, "dump")) {
		if (c->opt.json)
			json_print_metadata(stdout, md);
		else
			print(c->arg[1], md);
	}
	blockcopy_metadata_free(md);
	return BLOCKCOPY_OK;
}

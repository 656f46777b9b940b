// SPDX-License-Identifier: LGPL-2.1-or-later
#include "metadata.h"

void blockcopy_metadata_free(struct blockcopy_metadata *md)
{
	free(md);
}

#define GETTER(type, name) \
type blockcopy_metadata_##name(const struct blockcopy_metadata *md) \
{ \
	return md->name; \
}

GETTER(const char *, superblock)
GETTER(const char *, uuid)
GETTER(const char *, outcome)
GETTER(uint64_t, generation)
GETTER(uint64_t, sequence)
GETTER(uint64_t, instant)
GETTER(uint64_t, len)
GETTER(uint64_t, region_size)
GETTER(const char *, source)
GETTER(uint64_t, source_offset)
GETTER(const char *, below)
GETTER(const char *, destination)
GETTER(uint64_t, destination_offset)
GETTER(unsigned int, bad_slots)
GETTER(uint64_t, blocks)
GETTER(uint64_t, bad_blocks)
GETTER(uint64_t, intent_bytes)

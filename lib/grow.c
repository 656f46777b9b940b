// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device takes the whole of what it stands on: after a pivot to a larger one, or when that was made
 * larger. One load and one resume, as with every change of a table.
 */
#include <inttypes.h>

#include "internal.h"
#include "metadata.h"
#include "sysfs.h"

/* Whose the rest of the device below may be. */
static int check_below(struct blockcopy *bc, const struct bcl_dm_info *dev, dev_t below, const char *path)
{
	_cleanup_(bcl_devs_done) struct bcl_devs holders = {}, parts = {};
	_cleanup_free_ char *other = NULL;
	int r = bcl_sysfs_related(below, "holders", &holders);

	if (r == 0)
		r = bcl_sysfs_partitions(below, &parts);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its use cannot be read: %s", path,
				strerror(-r));
	if (parts.n)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found %zu partitions on %s, needed it all for this device", dev->name,
				parts.n, path);
	for (size_t i = 0; i < holders.n; i++) {
		if (holders.v[i] == dev->dev)
			continue;
		other = bcl_device_path(holders.v[i]);
		if (!other)
			return bcl_oom(bc);
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found %s on %s as well, needed it all for this device", dev->name, other,
				path);
	}
	return 0;
}

/* So many sectors it may have. */
static int find_room(struct blockcopy *bc, const struct bcl_dm_info *dev, dev_t below, uint64_t offset,
		     uint64_t len, uint64_t *ret_len)
{
	_cleanup_free_ char *path = bcl_device_path(below);
	uint64_t size, block = 512, block_below = 512;
	int r;

	if (!path)
		return bcl_oom(bc);
	r = check_below(bc, dev, below, path);
	if (r < 0)
		return r;
	r = bcl_sysfs_read_u64(below, "size", &size);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its size cannot be read: %s", path, strerror(-r));
	(void)bcl_sysfs_queue_u64(dev->dev, "logical_block_size", &block);
	(void)bcl_sysfs_queue_u64(below, "logical_block_size", &block_below);
	if (block_below > block)
		block = block_below;
	size = size > offset ? size - offset : 0;
	if (block > 512)
		size -= size % (block / 512);
	if (size <= len)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -ENOSPC,
				"%s: found %" PRIu64 " bytes of %s for it, needed more than the %" PRIu64
				" that it has", dev->name, size * 512, path, len * 512);
	*ret_len = size;
	return 0;
}

static int check_table(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *t,
		       dev_t *ret_below, uint64_t *ret_offset)
{
	if (bcl_table_has(t, BLOCKCOPY_TARGET_NAME))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found a job on it, needed a device without one: it can grow after its end",
				dev->name);
	if (t->n > 1)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a table of %zu lines, needed one linear line", dev->name, t->n);
	if (!bcl_table_below(t, ret_below, ret_offset))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a table of target %s, needed one linear line", dev->name,
				t->n ? t->lines[0].type : "none");
	return 0;
}

/*
 * Before the table: a device that is longer after a boot than it was made is one that can be grown again,
 * a shorter one has lost its end.
 */
static int record(struct blockcopy *bc, const char *metadata, const struct bcl_dm_info *dev, dev_t below,
		  uint64_t offset, uint64_t len)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	int r = bcl_destination_find(bc, metadata, &d);

	return r < 0 ? r : bcl_metadata_set_len(bc, &d, dev->dev, below, offset, len);
}

int blockcopy_grow(struct blockcopy *bc, const char *name, uint64_t *ret_len)
{
	return blockcopy_grow_recorded(bc, name, NULL, ret_len);
}

int blockcopy_grow_recorded(struct blockcopy *bc, const char *name, const char *metadata, uint64_t *ret_len)
{
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL, *t = NULL;
	_cleanup_free_ char *params = NULL;
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	uint64_t offset = 0, len = 0;
	dev_t below = 0;
	int r;

	bcl_begin(bc);
	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r < 0)
		return r;
	if (dev.suspended || dev.inactive_table || !dev.live_table)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found %s, needed an active device that nobody changes", dev.name,
				dev.suspended ? "it suspended" :
				dev.inactive_table ? "an inactive table" : "no table");
	/* The rest of what they stand on is for their makers to give. */
	if (*dev.uuid && !bcl_is_attached(&dev))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EPERM,
				"%s: found a device of another maker (uuid %s), needed one that `blockcopy attach` "
				"or dmsetup made; its maker's tools resize it", dev.name, dev.uuid);
	r = bcl_dm_table(bc, dev.name, false, &live);
	if (r == 0)
		r = check_table(bc, &dev, live, &below, &offset);
	if (r == 0)
		r = find_room(bc, &dev, below, offset, bcl_table_len(live), &len);
	if (r < 0)
		return r;
	params = strdup(live->lines[0].params);
	if (!params || bcl_table_new(&t) < 0 || bcl_table_add(t, 0, len, "linear", params) < 0)
		return bcl_oom(bc);
	if (metadata)
		r = record(bc, metadata, &dev, below, offset, len);
	if (r == 0)
		r = bcl_swap(bc, &dev, t);
	if (r < 0)
		return r;
	*ret_len = len * 512;
	return 0;
}

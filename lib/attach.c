// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A dm layer for a plain device, so that it can be copied later; put there before the guest opens
 * it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "destination/attachment.h"
#include "internal.h"
#include "sysfs.h"

/* Not "BLOCKCOPY-", that is what helpers are known by. */
#define ATTACHED_PREFIX "BLOCKCOPYATTACH-"

int bcl_attach_check(struct blockcopy *bc, const struct bcl_destination *d, bool dm_ok)
{
	_cleanup_free_ char *where = NULL, *dm = NULL, *zoned = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t ro = 0;

	if (!dm_ok && bcl_sysfs_read(d->dev, "dm/name", &dm) == 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a dm device already (%s), needed a plain disk or "
				"partition",
				d->path, dm);
	if (bcl_mounted(d->dev, &where) > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found it mounted on %s, needed a device that nobody uses",
				d->path, where);
	if (bcl_is_swap(d->dev) > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found it in use as swap, needed a device that nobody uses",
				d->path);
	fd = open(d->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found it in use (mounted, or claimed by a driver), needed a "
				"device that nobody uses", d->path);
	if (fd < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be opened: %s", d->path,
				strerror(errno));
	if (!d->size)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a device of 0 bytes, needed something to copy", d->path);
	(void)bcl_sysfs_read_u64(d->dev, "ro", &ro);
	if (ro)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EROFS,
				"%s: found it read-only, needed a writable device", d->path);
	if (bcl_sysfs_queue(d->dev, "zoned", &zoned) == 0 && strcmp(zoned, "none"))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a zoned device (%s), needed one without zones", d->path,
				zoned);
	return 0;
}

int bcl_attach_check_name(struct blockcopy *bc, const char *name)
{
	if (*name && !strchr(name, '/') && strlen(name) < BCL_DM_NAME_SIZE)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
			"%s: not a name for a dm device (no slash, at most %d bytes)", name,
			BCL_DM_NAME_SIZE - 1);
}

bool bcl_is_attached(const struct bcl_dm_info *dev)
{
	return !strncmp(dev->uuid, ATTACHED_PREFIX, strlen(ATTACHED_PREFIX));
}

char *bcl_attach_uuid(const char *name)
{
	char *uuid = bcl_asprintf(ATTACHED_PREFIX "%s", name);

	if (uuid)
		uuid[strnlen(uuid, BCL_DM_UUID_SIZE - 1)] = '\0';
	return uuid;
}

int bcl_attach(struct blockcopy *bc, const struct bcl_destination *d, const char *name,
	       uint64_t len, uint64_t offset)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_free_ char *params = NULL, *uuid = NULL;
	int r;

	params = bcl_asprintf("%u:%u %" PRIu64, major(d->dev), minor(d->dev), offset);
	uuid = bcl_attach_uuid(name);
	if (!params || !uuid || bcl_table_new(&t) < 0 ||
	    bcl_table_add(t, 0, len ? len : d->size / 512 - offset, "linear", params) < 0)
		return bcl_oom(bc);
	r = bcl_dm_create(bc, name, uuid, t, 0);
	if (r == 0)
		bcl_sysfs_changed(d->dev);
	return r;
}

/* A layer of ours may have one more on top, for a second job. Others have one that can be copied. */
static bool is_layer(struct blockcopy *bc, dev_t dev)
{
	struct bcl_dm_info info;

	return bcl_dm_info_by_dev(bc, dev, &info) > 0 && bcl_is_attached(&info);
}

int blockcopy_attach(struct blockcopy *bc, const char *device, const char *name)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	struct bcl_dm_info info;
	int r;

	bcl_begin(bc);
	r = bcl_attach_check_name(bc, name);
	if (r == 0)
		r = bcl_destination_find(bc, device, &d);
	if (r == 0)
		r = bcl_attach_check(bc, &d, is_layer(bc, d.dev));
	if (r == 0)
		r = bcl_dm_info(bc, name, &info);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EEXIST,
				"%s: found a dm device of this name, needed a new name", name);
	return r < 0 ? r : bcl_attach(bc, &d, name, 0, 0);
}

int blockcopy_detach(struct blockcopy *bc, const char *name)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	uint64_t offset;
	dev_t below;
	int r;

	bcl_begin(bc);
	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r < 0)
		return r;
	r = bcl_dm_table(bc, dev.name, false, &t);
	if (r < 0)
		return r;
	if (bcl_table_has(t, BLOCKCOPY_TARGET_NAME))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found a copy job on it, needed a device without one",
				dev.name);
	/*
	 * Devices of other makers have uuids of theirs; one without was made by hand, as ours could
	 * be.
	 */
	if ((*dev.uuid && !bcl_is_attached(&dev)) ||
	    !bcl_table_below(t, &below, &offset) || offset != 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a dm device that `blockcopy attach` did not make, "
				"needed one linear line from the start of a device", dev.name);
	if (dev.open_count > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found it open, needed it closed", dev.name);
	r = bcl_dm_remove(bc, dev.name, 0);
	if (r == 0)
		bcl_attachment_release(bc, below);
	return r;
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/* What NAME is, and whether it can be the source of a job. */
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"
#include "sysfs.h"

/* Does this path lead to the device? */
static bool leads_to(const char *path, dev_t dev)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

char *bcl_device_path(dev_t dev)
{
	_cleanup_free_ char *name = NULL;
	char *path;

	/* sysfs has the name as the kernel has it, which is how nodes are named too. */
	if (bcl_sysfs_read(dev, "dm/name", &name) == 0) {
		path = bcl_asprintf("/dev/mapper/%s", name);
		if (!path || leads_to(path, dev))
			return path;
		free(path);
	}
	free(TAKE_PTR(name));
	if (bcl_sysfs_name(dev, &name) == 0) {
		path = bcl_asprintf("/dev/%s", name);
		if (!path || leads_to(path, dev))
			return path;
		free(path);
	}
	return bcl_asprintf("%u:%u", major(dev), minor(dev));
}

static int not_found(struct blockcopy *bc, const char *name)
{
	return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no such dm device", name);
}

static int find_by_dev(struct blockcopy *bc, const char *name, dev_t dev, struct bcl_dm_info *ret)
{
	_cleanup_free_ char *dir = NULL, *dm = NULL;
	int r;

	if (bcl_sysfs_dir(dev, &dir) < 0)
		return not_found(bc, name);
	/* Asking dm about the number of another driver's device would be an error of its own. */
	if (bcl_sysfs_read(dev, "dm/name", &dm) < 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a block device that is not device-mapper's, needed a dm "
				"device: `blockcopy attach %s NAME` makes one of it, before it is "
				"in use",
				name, name);
	r = bcl_dm_info_by_dev(bc, dev, ret);
	return r == 0 ? not_found(bc, name) : r;
}

static int find_by_path(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret)
{
	static const char dir[] = "/dev/mapper/";
	struct stat st;
	int r;

	if (stat(name, &st) == 0) {
		if (S_ISBLK(st.st_mode))
			return find_by_dev(bc, name, st.st_rdev, ret);
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTBLK,
				"%s: found something that is not a block device, needed a dm "
				"device",
				name);
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot look at it: %s", name,
				strerror(errno));
	/* Without udev a node may be missing where the device is there. */
	if (!strncmp(name, dir, strlen(dir))) {
		r = bcl_dm_info(bc, name + strlen(dir), ret);
		if (r != 0)
			return r;
	}
	return not_found(bc, name);
}

int bcl_device_find(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_info)
{
	struct bcl_dm_info info;
	dev_t dev;
	int r;

	if (strchr(name, '/')) {
		r = find_by_path(bc, name, &info);
	} else {
		r = bcl_dm_info(bc, name, &info);
		if (r == 0) {
			_cleanup_free_ char *file = NULL, *line = NULL;

			if (!strncmp(name, "dm-", 3))
				file = bcl_asprintf("/sys/class/block/%s/dev", name);
			if (bcl_parse_devno(name, &dev) == 0 ||
			    (file && bcl_read_line(file, &line) == 0 &&
			     bcl_parse_devno(line, &dev) == 0))
				r = find_by_dev(bc, name, dev, &info);
			else
				r = not_found(bc, name);
		}
	}
	if (r < 0)
		return r;
	*ret_info = info;
	return 0;
}

static int check_table(struct blockcopy *bc, const struct bcl_dm_info *dev,
		       const struct bcl_table *t)
{
	_cleanup_free_ char *mq = NULL;

	if (bcl_table_has(t, BLOCKCOPY_TARGET_NAME))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found a job on it already, needed a device without one: "
				"`blockcopy abort %s` ends it", dev->name, dev->name);
	if (bcl_table_len(t) == 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a device of 0 bytes, needed something to copy",
				dev->name);

	/* Only a request-based queue has hardware queues. Its kind cannot be changed by a load. */
	mq = bcl_asprintf("/sys/dev/block/%u:%u/mq", major(dev->dev), minor(dev->dev));
	if (!mq)
		return bcl_oom(bc);
	if (access(mq, F_OK) == 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a request-based dm device (%s), needed a bio-based one: "
				"put a linear device on top of it", dev->name, t->lines[0].type);
	return 0;
}

int bcl_source_check(struct blockcopy *bc, const struct bcl_dm_info *dev,
		     struct bcl_table **ret_table)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL, *inactive = NULL;
	_cleanup_free_ char *zoned = NULL;
	uint64_t ro = 0;
	int r;

	if (bcl_is_helper(dev))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the helper device of a job, needed a device of its own",
				dev->name);
	if (dev->suspended)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found it suspended, needed an active device", dev->name);
	if (!dev->live_table)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a device without a table, needed something to copy",
				dev->name);

	r = bcl_dm_table(bc, dev->name, false, &t);
	if (r < 0)
		return r;
	r = check_table(bc, dev, t);
	if (r < 0)
		return r;

	(void)bcl_sysfs_read_u64(dev->dev, "ro", &ro);
	if (dev->read_only || ro)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EROFS,
				"%s: found it read-only, needed a writable device (what nobody "
				"writes can be copied with dd)", dev->name);
	r = bcl_sysfs_queue(dev->dev, "zoned", &zoned);
	if (r == 0 && strcmp(zoned, "none"))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a zoned device (%s), needed one without zones",
				dev->name, zoned);

	if (dev->inactive_table) {
		r = bcl_dm_table(bc, dev->name, true, &inactive);
		if (r < 0)
			return r;
		/* Ours is what an interrupted start left; the load replaces it. */
		if (!bcl_table_has(inactive, BLOCKCOPY_TARGET_NAME))
			return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
					"%s: found an inactive table, somebody else is changing "
					"it; needed none (`dmsetup clear` drops it)", dev->name);
	}
	*ret_table = TAKE_PTR(t);
	return 0;
}

int blockcopy_resolve(struct blockcopy *bc, const char *name, dev_t *ret_dev)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	if (bcl_device_find(bc, name, &dev) == 0) {
		*ret_dev = dev.dev;
		return 0;
	}
	bcl_begin(bc);
	r = bcl_destination_find(bc, name, &d);
	if (r == 0)
		*ret_dev = d.dev;
	return r;
}

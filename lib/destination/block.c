// SPDX-License-Identifier: LGPL-2.1-or-later
/* A block device as the destination: find it, and every reason not to write to it. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk.h"
#include "destination/image.h"
#include "destination/rbd.h"
#include "destination/spec.h"
#include "internal.h"
#include "sysfs.h"

void bcl_destination_done(struct bcl_destination *d)
{
	free(d->path);
	free(d->device);
	*d = (struct bcl_destination) {};
}

static const char *device_of(const struct bcl_destination *d)
{
	return d->device ? d->device : d->path;
}

static int refuse(struct blockcopy *bc, const struct bcl_destination *d, int r, const char *found,
		  const char *needed)
{
	return bcl_fail(bc, BLOCKCOPY_REFUSED, r, "%s: found %s, needed %s", d->path,
			found, needed);
}

char *bcl_destination_spec(dev_t dev)
{
	char *spec = bcl_nbd_name(dev);

	if (!spec)
		spec = bcl_rbd_name(dev);
	return spec ? spec : bcl_file_behind(dev);
}

/* What is no device may have one already: a file, an image, an export. Return: 1, 0, -ENOMEM. */
static int attached_as(const char *spec, char **ret_device)
{
	int r;

	if (bcl_nbd_is_meant(spec))
		return bcl_nbd_find(spec, ret_device);
	if (bcl_rbd_is_meant(spec))
		return bcl_rbd_find(spec, ret_device);
	if (!bcl_file_is_meant(spec))
		return 0;
	r = bcl_file_loop(spec, ret_device);
	return r == 0 ? bcl_image_find(spec, ret_device) : r;
}

int bcl_destination_find(struct blockcopy *bc, const char *spec, struct bcl_destination *ret)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	struct stat st;
	uint64_t sectors;
	dev_t dev;
	int r;

	if (bcl_blk_is_tag(spec)) {
		r = bcl_blk_find_tag(spec, &d.path);
		if (r == -ENODEV)
			return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, r, "%s: no device has this tag",
					spec);
		if (r < 0)
			return bcl_fail(bc, BLOCKCOPY_USAGE, r, "%s: not a tag", spec);
	} else if (bcl_parse_devno(spec, &dev) == 0) {
		d.path = bcl_device_path(dev);
	} else if (attached_as(spec, &d.path) < 0) {
		return bcl_oom(bc);
	} else if (!d.path) {
		d.path = strdup(spec);
	}
	if (!d.path)
		return bcl_oom(bc);

	if (stat(d.path, &st) < 0)
		return bcl_fail(bc, errno == ENOENT ? BLOCKCOPY_NOT_FOUND : BLOCKCOPY_FAILED,
				-errno, "%s: cannot look at the destination: %s", d.path,
				strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return refuse(bc, &d, -ENOTBLK, "something that is not a block device",
			      "a block device as the destination");
	d.dev = st.st_rdev;
	r = bcl_sysfs_read_u64(d.dev, "size", &sectors);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its size cannot be read: %s", d.path,
				strerror(-r));
	d.size = sectors * 512;
	*ret = d;
	d = (struct bcl_destination) {};
	return 0;
}

/* ---- relations to the source ---- */

static bool below(dev_t top, dev_t dev)
{
	_cleanup_(bcl_devs_done) struct bcl_devs stack = {};

	return bcl_stack_below(top, &stack) == 0 && bcl_devs_has(&stack, dev);
}

static int check_overlap(struct blockcopy *bc, const struct bcl_destination *d, dev_t source,
			 uint64_t len)
{
	_cleanup_free_ char *path = NULL;
	dev_t shared;
	int r;

	r = bcl_shared_extent(bc, source, d->dev, len / 512, &shared);
	if (r <= 0)
		return r;
	path = bcl_device_path(shared);
	if (!path)
		return bcl_oom(bc);
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
			"%s: found sectors of %s in it that are the source's too, needed a device "
			"outside the source's own stack", d->path, path);
}

static int check_stack(struct blockcopy *bc, const struct bcl_destination *d,
		       const struct bcl_dm_info *source, uint64_t len)
{
	_cleanup_(bcl_devs_done) struct bcl_devs stack = {}, parts = {};
	dev_t whole = 0;
	int r;

	if (d->dev == source->dev)
		return refuse(bc, d, -EINVAL, "the source itself", "another device");
	r = bcl_stack_below(source->dev, &stack);
	if (r == 0)
		r = bcl_sysfs_whole(d->dev, &whole);
	if (r == 0)
		r = bcl_sysfs_partitions(d->dev, &parts);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its stack cannot be read: %s",
				d->path, strerror(-r));

	if (bcl_devs_has(&stack, d->dev))
		return refuse(bc, d, -EINVAL, "a device that the source stands on",
			      "one outside the source's own stack");
	if (whole != d->dev && bcl_devs_has(&stack, whole))
		return refuse(bc, d, -EINVAL, "a partition of a disk that the source stands on",
			      "a device outside the source's own stack");
	for (size_t i = 0; i < parts.n; i++)
		if (bcl_devs_has(&stack, parts.v[i]))
			return refuse(bc, d, -EINVAL,
				      "the whole disk of a partition that the source stands on",
				      "a device outside the source's own stack");
	if (below(d->dev, source->dev) || below(whole, source->dev))
		return refuse(bc, d, -EINVAL, "a device that stands on the source",
			      "one outside the source's own stack");
	return check_overlap(bc, d, source->dev, len);
}

/* ---- use by others ---- */

/* In words what a holder is: "the dm device vg-lv", "md0". */
static char *holder_word(dev_t holder)
{
	_cleanup_free_ char *name = NULL, *uuid = NULL;

	if (bcl_sysfs_read(holder, "dm/name", &name) == 0) {
		if (bcl_sysfs_read(holder, "dm/uuid", &uuid) == 0 && !strncmp(uuid, "LVM-", 4))
			return bcl_asprintf("the LVM volume %s", name);
		return bcl_asprintf("the dm device %s", name);
	}
	if (bcl_sysfs_name(holder, &name) == 0)
		return bcl_asprintf("/dev/%s", name);
	return bcl_asprintf("%u:%u", major(holder), minor(holder));
}

/* Is the destination the one that a job on the holder writes to? */
static bool is_destination_of(struct blockcopy *bc, const struct bcl_destination *d, dev_t holder)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	struct bcl_dm_info info;
	dev_t dev;

	return bcl_dm_info_by_dev(bc, holder, &info) > 0 && bcl_job_read(bc, &info, &j) > 0 &&
	       bcl_parse_devno(j.args.destination, &dev) == 0 && dev == d->dev;
}

/* "@dev" is the destination or a partition or the disk of it, "@part" says so in words. */
static int check_use_of(struct blockcopy *bc, const struct bcl_destination *d, dev_t dev,
			const char *part)
{
	_cleanup_(bcl_devs_done) struct bcl_devs holders = {};
	_cleanup_free_ char *where = NULL, *who = NULL;
	int r;

	r = bcl_mounted(dev, &where);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found %smounted on %s, needed a device that nobody uses",
				d->path, part, where);
	if (r == 0)
		r = bcl_is_swap(dev);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				"%s: found %sin use as swap, needed a device that nobody uses",
				d->path, part);
	if (r == 0)
		r = bcl_sysfs_related(dev, "holders", &holders);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its use cannot be read: %s", d->path,
				strerror(-r));
	if (!holders.n)
		return 0;
	who = holder_word(holders.v[0]);
	if (!who)
		return bcl_oom(bc);
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
			"%s: found %s%s %s, needed a device that nobody uses", d->path, part,
			is_destination_of(bc, d, holders.v[0]) ? "as the destination of a job on" :
								 "held by", who);
}

static int check_use(struct blockcopy *bc, const struct bcl_destination *d)
{
	_cleanup_(bcl_devs_done) struct bcl_devs parts = {};
	dev_t whole = 0;
	int r;

	r = check_use_of(bc, d, d->dev, "it ");
	if (r < 0)
		return r;
	r = bcl_sysfs_partitions(d->dev, &parts);
	if (r == 0)
		r = bcl_sysfs_whole(d->dev, &whole);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: its partitions cannot be read: %s",
				d->path, strerror(-r));
	for (size_t i = 0; i < parts.n; i++) {
		r = check_use_of(bc, d, parts.v[i], "a partition of it ");
		if (r < 0)
			return r;
	}
	return whole == d->dev ? 0 : check_use_of(bc, d, whole, "its whole disk ");
}

/*
 * The claim catches every user in the kernel, also those that the checks above do not know by
 * name. Opened for reading: closing a device that was open for writing makes udev look at it.
 */
static int check_claim(struct blockcopy *bc, const struct bcl_destination *d)
{
	_cleanup_close_ int fd = open(device_of(d), O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == EBUSY)
		return refuse(bc, d, -EBUSY, "it in use (mounted, or claimed by a driver)",
			      "a device that nobody uses");
	return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be opened: %s", d->path,
			strerror(errno));
}

/* ---- what it is ---- */

static int check_shape(struct blockcopy *bc, const struct bcl_destination *d, dev_t source,
		       uint64_t len)
{
	_cleanup_free_ char *zoned = NULL;
	uint64_t ro = 0, source_block, block;

	if (d->size < len)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOSPC,
				"%s: found %" PRIu64 " bytes, needed at least %" PRIu64 " bytes",
				d->path, d->size, len);
	(void)bcl_sysfs_read_u64(d->dev, "ro", &ro);
	if (ro)
		return refuse(bc, d, -EROFS, "it read-only", "a writable device");
	if (bcl_sysfs_queue(d->dev, "zoned", &zoned) == 0 && strcmp(zoned, "none"))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a zoned device (%s), needed one without zones", d->path,
				zoned);
	if (bcl_sysfs_queue_u64(source, "logical_block_size", &source_block) < 0 ||
	    bcl_sysfs_queue_u64(d->dev, "logical_block_size", &block) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO,
				"%s: its logical block size cannot be read", d->path);
	if (block > source_block)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found logical blocks of %" PRIu64 " bytes, needed at most the "
				"source's %" PRIu64 " bytes", d->path, block, source_block);
	return 0;
}

static int check_signature(struct blockcopy *bc, const struct bcl_destination *d)
{
	_cleanup_free_ char *what = NULL;
	int r = bcl_blk_signature(device_of(d), &what);

	if (r == 0)
		return 0;
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: cannot be probed for signatures: %s",
				d->path, strerror(-r));
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
			"%s: found %s, needed a device without a signature (--force overwrites it)",
			d->path, what);
}

int bcl_destination_check(struct blockcopy *bc, const struct bcl_destination *d,
			  const struct bcl_dm_info *source, uint64_t len, bool force)
{
	int r = check_stack(bc, d, source, len);

	if (r == 0)
		r = check_use(bc, d);
	if (r == 0)
		r = check_claim(bc, d);
	if (r == 0)
		r = check_shape(bc, d, source->dev, len);
	if (r == 0 && !force)
		r = check_signature(bc, d);
	return r;
}

/*
 * A table's limits are those of its devices, so they change with a pivot. What the guest cannot
 * know of would break it; the rest costs speed.
 */
int bcl_destination_compare_limits(struct blockcopy *bc, dev_t source, dev_t destination)
{
	static const struct {
		const char *attribute;
		bool more_is_better;
	} limits[] = {
		{ "physical_block_size", false },
		{ "dma_alignment", false },
		{ "discard_max_bytes", true },
		{ "write_zeroes_max_bytes", true },
		{ "max_sectors_kb", true },
		{ "max_segments", true },
	};
	_cleanup_free_ char *path = bcl_device_path(destination);
	uint64_t a, b;

	if (!path)
		return bcl_oom(bc);
	if (bcl_sysfs_queue_u64(source, "logical_block_size", &a) == 0 &&
	    bcl_sysfs_queue_u64(destination, "logical_block_size", &b) == 0 && b > a)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found logical blocks of %" PRIu64 " bytes, needed at most the "
				"source's %" PRIu64 " bytes", path, b, a);
	for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
		if (bcl_sysfs_queue_u64(source, limits[i].attribute, &a) < 0 ||
		    bcl_sysfs_queue_u64(destination, limits[i].attribute, &b) < 0)
			continue;
		if (limits[i].more_is_better ? b < a : b > a)
			bcl_log(bc, BLOCKCOPY_LOG_DETAIL,
				"%s: %s is %" PRIu64 ", the source's is %" PRIu64, path,
				limits[i].attribute, b, a);
	}
	return 0;
}

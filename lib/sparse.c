// SPDX-License-Identifier: LGPL-2.1-or-later
/* The holes of a file that a loop device shows. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "less.h"
#include "sysfs.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Those that look for data in the page cache, too, and tell all of it. Others may tell less than there is. */
static bool tells_holes(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	switch ((unsigned long)st.f_type) {
	case EXT4_SUPER_MAGIC:	/* and ext2, ext3 */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* The path may lead elsewhere by now, or from here. */
static bool is_file_of(int fd, const struct loop_info64 *info)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == info->lo_inode &&
	       st.st_dev == info->lo_device;
}

int bcl_sparse_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_sparse *ret)
{
	_cleanup_(bcl_bottom_done) struct bcl_bottom bottom = {};
	_cleanup_free_ char *device = NULL, *path = NULL;
	_cleanup_close_ int loop = -1, file = -1;
	struct loop_info64 info;
	int r = bcl_bottom_find(bc, t, &bottom);

	*ret = (struct bcl_sparse) { .fd = -1 };
	if (r <= 0 || major(bottom.dev) != LOOP_MAJOR)
		return r < 0 ? r : 0;
	device = bcl_device_path(bottom.dev);
	if (!device)
		return bcl_oom(bc);
	/* What cannot be found out is no failure: all of it is copied then. */
	loop = open(device, O_RDONLY | O_CLOEXEC);
	if (loop < 0 || ioctl(loop, LOOP_GET_STATUS64, &info) < 0 ||
	    bcl_sysfs_read(bottom.dev, "loop/backing_file", &path) < 0)
		return 0;
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0 || !is_file_of(file, &info) || !tells_holes(file))
		return 0;
	*ret = (struct bcl_sparse) {
		.fd = TAKE_FD(file),
		.offset = info.lo_offset + bottom.offset * 512,
		.len = bcl_table_len(t) * 512,
	};
	return 0;
}

int bcl_sparse_mapped(struct blockcopy *bc, const struct bcl_sparse *s, struct bcl_ranges *to)
{
	off_t at = s->offset, end = s->offset + s->len, data, hole;

	/* What was written before the job was live, and is not allocated yet. */
	if (fsync(s->fd) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "the file below cannot be synced: %s",
				strerror(errno));
	for (; at < end; at = hole) {
		data = lseek(s->fd, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(s->fd, data, SEEK_HOLE);
		if (hole < 0 || hole <= at)
			return bcl_fail(bc, BLOCKCOPY_FAILED, hole < 0 ? -errno : -EIO,
					"the file below does not tell its holes");
		if (bcl_ranges_add_part(to, data, hole - data, s->offset, s->len) < 0)
			return bcl_oom(bc);
	}
	return 0;
}

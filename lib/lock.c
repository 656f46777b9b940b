// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One controller at a time changes a device, so that an abort cannot come between the "complete"
 * and the swap of a pivot, and a start cannot take the helper of another start for a leftover.
 *
 * Files in a directory that only root can open: a lock on the device node would stop udev from
 * probing it, for which we wait; one on a world-readable file could be taken by anybody. They
 * hold nothing and may stay.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Longer than any change but one that hangs in the kernel. */
#define LOCK_TIMEOUT_MS 15000

int bcl_lock(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = bcl_asprintf(BCL_LOCK_DIR "/%u:%u.lock", major(dev->dev),
						 minor(dev->dev));
	int64_t end = bcl_now_ms() + LOCK_TIMEOUT_MS;

	if (!path)
		return bcl_oom(bc);
	if (mkdir(BCL_LOCK_DIR, 0700) < 0 && errno != EEXIST)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be made: %s", BCL_LOCK_DIR,
				strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be opened: %s", path,
				strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		static const struct timespec pause = { .tv_nsec = 20000000 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be locked: %s",
					path, strerror(errno));
		if (bcl_now_ms() > end)
			return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
					"%s: another blockcopy command has been changing it for %d "
					"s",
					dev->name, LOCK_TIMEOUT_MS / 1000);
		nanosleep(&pause, NULL);
	}
	return TAKE_FD(fd);
}

int bcl_device_lock(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_dev,
		    int *ret_lock)
{
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev, now;
	int r;

	r = bcl_device_find(bc, name, &dev);
	if (r < 0)
		return r;
	lock = bcl_lock(bc, &dev);
	if (lock < 0)
		return lock;
	r = bcl_dm_info(bc, dev.name, &now);
	if (r < 0)
		return r;
	/* The lock is on the number: one that has the name by now is not what we hold. */
	if (r == 0 || now.dev != dev.dev)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no such dm device", name);
	*ret_dev = now;
	*ret_lock = TAKE_FD(lock);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /sys and /proc say of a block device. No handle: 0 or -errno. */
#ifndef BCL_SYSFS_H
#define BCL_SYSFS_H

#include "util.h"

/* The directory of the device, "/sys/devices/.../sda1". Return: 0, -ENOENT. */
int bcl_sysfs_dir(dev_t dev, char **ret_dir);
/*
 * Was it unplugged? Who has it open still has it in its tables then. "@other" is a device that is
 * there: where it is not found either, there is nothing to tell from.
 */
bool bcl_sysfs_gone(dev_t dev, dev_t other);
/* First line of an attribute. */
int bcl_sysfs_read(dev_t dev, const char *attribute, char **ret);
int bcl_sysfs_read_u64(dev_t dev, const char *attribute, uint64_t *ret);
/* The same for "queue/<attribute>", which for a partition is its disk's. */
int bcl_sysfs_queue(dev_t dev, const char *attribute, char **ret);
int bcl_sysfs_queue_u64(dev_t dev, const char *attribute, uint64_t *ret);

/*
 * Have udev look at it again: that it has got another holder raises no event, and links to file
 * systems on it may not be its own any more. What fails is not told.
 */
void bcl_sysfs_changed(dev_t dev);

/* "sda1". */
int bcl_sysfs_name(dev_t dev, char **ret);
bool bcl_sysfs_is_partition(dev_t dev);
/* The whole disk of a partition; the device itself when it is none. */
int bcl_sysfs_whole(dev_t dev, dev_t *ret);
/* Partitions of a whole disk, added to "@to". */
int bcl_sysfs_partitions(dev_t dev, struct bcl_devs *to);
/* Devices in "holders" or "slaves", added to "@to". */
int bcl_sysfs_related(dev_t dev, const char *dir, struct bcl_devs *to);

/*
 * Everything below "@dev" by slaves, with the files and devices that loop devices stand on: for a
 * file the device of its file system. "@dev" itself is not added.
 */
int bcl_stack_below(dev_t dev, struct bcl_devs *to);

/* Where it is mounted. Return: 1 with a path, 0 not mounted, -errno. */
int bcl_mounted(dev_t dev, char **ret_where);
/* Return: 1, 0, -errno. */
int bcl_is_swap(dev_t dev);

#endif /* BCL_SYSFS_H */

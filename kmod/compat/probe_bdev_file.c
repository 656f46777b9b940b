// SPDX-License-Identifier: GPL-2.0-only
/*
 * Since 6.9, f3a608827d1f ("bdev: open block device as files"); bdev_fput() since 6.9, too.
 * Without: error: implicit declaration of function. Kernels without: 6.1 to 6.8.
 */
#include <linux/blkdev.h>

void bc_probe(dev_t dev);
void bc_probe(dev_t dev)
{
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);

	bdev_fput(file);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels lack, in the form of the newest: the rest of the code is written for that one,
 * and no other file has an #if on features of the kernel. Each BC_HAVE_ has a probe of its name
 * here, which tells more.
 */
#ifndef BC_COMPAT_H
#define BC_COMPAT_H

#include "compat_config.h"

#ifndef BC_HAVE_BLK_MODE_T
#include <linux/fs.h>
typedef fmode_t blk_mode_t;
#define BLK_OPEN_READ	((__force blk_mode_t)FMODE_READ)
#define BLK_OPEN_WRITE	((__force blk_mode_t)FMODE_WRITE)
#endif

/*
 * 6.1 to 6.4: there is no file, only the device that is open; it goes by that name. Exclusive with
 * a holder, as in the newest.
 */
#ifndef BC_HAVE_BDEV_FILE
#include <linux/blkdev.h>
#include <linux/err.h>

static inline struct block_device *file_bdev(struct file *file)
{
	return (struct block_device *)((unsigned long)file & ~1UL);
}

static inline struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder,
						 const void *hops)
{
	struct block_device *bdev;

	bdev = blkdev_get_by_dev(dev, mode | (holder ? FMODE_EXCL : 0), holder);
	/* The lowest bit keeps for bdev_fput() that it is exclusive. */
	return IS_ERR(bdev) ? ERR_CAST(bdev) :
			      (struct file *)((unsigned long)bdev | (holder ? 1UL : 0UL));
}

static inline void bdev_fput(struct file *file)
{
	blkdev_put(file_bdev(file), BLK_OPEN_READ | ((unsigned long)file & 1 ? FMODE_EXCL : 0));
}
#endif

/*
 * Whether a disk of device-mapper counts what is written to it. In 6.1 it does, whatever the
 * flag of its queue says.
 */
#include <linux/blkdev.h>

static inline bool bc_disk_counts(struct gendisk *disk)
{
#ifdef BC_HAVE_BLK_FEAT_IO_STAT
	return blk_queue_io_stat(disk->queue);
#else
	return true;
#endif
}

#endif /* BC_COMPAT_H */

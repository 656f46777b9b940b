// SPDX-License-Identifier: GPL-2.0-only
/*
 * Since 6.5, 05bdb9965305 ("block: replace fmode_t with a block-specific type for block open
 * flags"). Without: error: unknown type name 'blk_mode_t'. Kernels without: 6.1 to 6.4.
 */
#include <linux/blkdev.h>

blk_mode_t bc_probe(void);
blk_mode_t bc_probe(void)
{
	return BLK_OPEN_READ | BLK_OPEN_WRITE;
}

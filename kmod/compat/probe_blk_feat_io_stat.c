// SPDX-License-Identifier: GPL-2.0-only
/*
 * Since 6.11, 1122c0c1cc71 ("block: move cache control settings out of queue->flags") and those
 * after it. Without: error: 'BLK_FEAT_IO_STAT' undeclared. Kernels without: 6.1 to 6.10.
 */
#include <linux/blkdev.h>

blk_features_t bc_probe(void);
blk_features_t bc_probe(void)
{
	return BLK_FEAT_IO_STAT;
}

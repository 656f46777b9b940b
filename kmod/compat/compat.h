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

#endif /* BC_COMPAT_H */

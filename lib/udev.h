/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What udev's database knows of block devices. No handle: 0 or -errno. */
#ifndef BCL_UDEV_H
#define BCL_UDEV_H

#include "util.h"

/*
 * Devices that carry the tag ("UUID=..."), as far as udev has seen; without "@used" only those that nothing
 * stands on. Added to "@to"; without udev there are none.
 */
int bcl_udev_tagged(const char *spec, bool used, struct bcl_devs *to);

#endif /* BCL_UDEV_H */

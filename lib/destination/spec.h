/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BCL_DESTINATION_SPEC_H
#define BCL_DESTINATION_SPEC_H

#include <sys/types.h>

/* What a device that was attached stands for: a file, an image, an export. NULL: none of these. */
char *bcl_destination_spec(dev_t dev);

#endif /* BCL_DESTINATION_SPEC_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Image files of QEMU's formats as destinations: qcow2 and others. */
#ifndef BCL_DESTINATION_IMAGE_H
#define BCL_DESTINATION_IMAGE_H

#include "destination/file.h"
#include "destination/nbd.h"

struct bcl_image {
	char *path;
	bool created;
	bool was_empty;	/* a file that was there, of no bytes */
	struct bcl_nbd nbd;
};

#define BCL_NO_IMAGE ((struct bcl_image) { .nbd = BCL_NO_NBD })

/*
 * Create it if it is missing, and attach it: qemu-nbd serves it to the kernel's NBD client, and goes
 * with that. bcl_image_done() also after a failure. Return: 0, -errno.
 */
int bcl_image_open(struct blockcopy *bc, const char *path, const char *format,
		   const struct bcl_file_wanted *want, struct bcl_image *i);

/* A device that serves the image at "@path". Return: 1 there is one, 0 none, -ENOMEM. */
int bcl_image_find(const char *path, char **ret_device);

/* A table holds it: it stays. */
void bcl_image_keep(struct bcl_image *i);
void bcl_image_done(struct bcl_image *i);

#endif /* BCL_DESTINATION_IMAGE_H */

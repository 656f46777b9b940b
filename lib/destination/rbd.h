/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of Ceph's RADOS block devices as destinations, by the kernel's client (krbd). */
#ifndef BCL_DESTINATION_RBD_H
#define BCL_DESTINATION_RBD_H

#include "destination/file.h"
#include "destination/rbd-name.h"

/* An image on its way to a table. What was made for it goes with bcl_rbd_done(), unless it is kept. */
struct bcl_rbd {
	struct blockcopy *bc;
	struct bcl_rbd_name name;
	char *device;	/* /dev/rbd0 */
	int fd;		/* holds it until a table does; -1: it is not open */
	bool created;
	bool kept;
};

#define BCL_NO_RBD ((struct bcl_rbd) { .fd = -1 })

/*
 * Create the image if it is missing, and map it, unless it is mapped already. bcl_rbd_done() also after a
 * failure. Return: 0, -errno.
 */
int bcl_rbd_open(struct blockcopy *bc, const char *spec, const struct bcl_file_wanted *want,
		 struct bcl_rbd *r);
/* A table holds it: it stays. */
void bcl_rbd_keep(struct bcl_rbd *r);
void bcl_rbd_done(struct bcl_rbd *r);

/* A device that an image of this name is mapped to. Return: 1 there is one, 0 none or more, -ENOMEM. */
int bcl_rbd_find(const char *spec, char **ret_device);
/* The name of the image behind a device; NULL if it is none. */
char *bcl_rbd_name(dev_t dev);

/*
 * The kernel does not unmap an image with its last user. If "@dev" is one that we mapped and nobody uses it,
 * unmap it; what fails is a warning.
 */
void bcl_rbd_release(struct blockcopy *bc, dev_t dev);
/* The same with all of them. Counts them in "@deeds". */
void bcl_rbd_recover(struct blockcopy *bc, unsigned int *deeds);

#endif /* BCL_DESTINATION_RBD_H */

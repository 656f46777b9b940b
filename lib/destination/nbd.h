/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exports of an NBD server as destinations, by the kernel's client. */
#ifndef BCL_DESTINATION_NBD_H
#define BCL_DESTINATION_NBD_H

#include "internal.h"

/* A device that is connected for us; it is disconnected with its last user. */
struct bcl_nbd {
	char *device;	/* /dev/nbd0 */
	int fd;		/* holds it until a table does; -1: it was connected before */
};

#define BCL_NO_NBD ((struct bcl_nbd) { .fd = -1 })

bool bcl_nbd_is_meant(const char *spec);

/*
 * Connect, unless there is a device that we connected to that already. bcl_nbd_done() also after a
 * failure. Return: 0, -errno.
 */
int bcl_nbd_open(struct blockcopy *bc, const char *uri, struct bcl_nbd *n);

/*
 * The same over a socket to a server, which is taken over. "@name" is what the device is to be known
 * by. Return: 0, -errno.
 */
int bcl_nbd_connect_socket(struct blockcopy *bc, int socket, const char *name, struct bcl_nbd *n);

/* One that is connected already, by its name. Return: 1 it is, 0 there is none, -errno. */
int bcl_nbd_take_over(struct blockcopy *bc, const char *name, struct bcl_nbd *n);

/* A device that we connected, by its name. Return: 1 there is one, 0 none, -ENOMEM. */
int bcl_nbd_find(const char *name, char **ret_device);
/* The same, by "FORMAT:@path". */
int bcl_nbd_find_path(const char *path, char **ret_device);
/* The name of such a device; NULL if it is none. */
char *bcl_nbd_name(dev_t dev);

/*
 * If the device, the destination of the job on @job, is an export of ours whose server has gone: connect to it
 * again, with everything to be copied again. Another device is none of its business. Return: 0, -errno.
 */
int bcl_nbd_reconnect(struct blockcopy *bc, dev_t dev, const struct bcl_dm_info *job);

/* If the device is one of ours: it is a guest's disk now, whose requests wait for as long as it takes. */
void bcl_nbd_be_patient(struct blockcopy *bc, dev_t dev);

/* Its user has come, or will not. */
void bcl_nbd_done(struct bcl_nbd *n);

/*
 * Disconnect those that were left by a command that was killed before it could say that they go by
 * themselves. Counts them in "@deeds".
 */
void bcl_nbd_recover(struct blockcopy *bc, unsigned int *deeds);

#endif /* BCL_DESTINATION_NBD_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's NBD client, spoken to by netlink; see linux/nbd-netlink.h. */
#ifndef BCL_DESTINATION_NBD_CLIENT_H
#define BCL_DESTINATION_NBD_CLIENT_H

#include "internal.h"

struct nl_sock;

struct bcl_nbd_client {
	struct nl_sock *sock;
	int family;
};

/* Of the name ("backend") of each device that we connect. */
#define BCL_NBD_OURS "blockcopy:"

struct bcl_nbd_export {
	uint64_t size, block_size;	/* bytes */
	uint64_t flags;			/* NBD_FLAG_* */
	int socket;
	const char *name;		/* with BCL_NBD_OURS */
};

/* Loads the module if need be. Return: 0, -errno. */
int bcl_nbd_client_open(struct blockcopy *bc, struct bcl_nbd_client *k);
void bcl_nbd_client_done(struct bcl_nbd_client *k);

/* A new device. Return: its number, or -errno. */
int bcl_nbd_client_connect(struct blockcopy *bc, struct bcl_nbd_client *k,
			   const struct bcl_nbd_export *e);
/* It is to be disconnected on its last close. Return: 0, -errno. */
int bcl_nbd_client_release(struct bcl_nbd_client *k, int index, const char *name);
/* Requests may take as long as they like from now on. Return: 0, -errno. */
int bcl_nbd_client_no_timeout(struct bcl_nbd_client *k, int index, const char *name);
/* Another socket for one that is dead. Return: 0, -errno; also when none is dead. */
int bcl_nbd_client_reconnect(struct bcl_nbd_client *k, int index, const char *name, int socket);
void bcl_nbd_client_disconnect(struct bcl_nbd_client *k, int index);

#endif /* BCL_DESTINATION_NBD_CLIENT_H */

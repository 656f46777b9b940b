/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What udev's rules and we count the uevents of a call with; one that outlived its process is found. */
#ifndef BCL_COOKIE_H
#define BCL_COOKIE_H

#include <stdint.h>

struct blockcopy;

struct bcl_cookie {
	uint32_t id;	/* as libdevmapper knows it; 0 without udev */
	int fd;		/* of the file that tells of it; -1 without */
};

#define BCL_NO_COOKIE ((struct bcl_cookie) { .fd = -1 })

/* Make one, with the count of the caller in it, for libdevmapper to wait for and to remove. Return: 0, -errno. */
int bcl_cookie_new(struct bcl_cookie *ret);
/* After libdevmapper removed it. */
void bcl_cookie_done(struct bcl_cookie *cookie);
/* Remove those of processes that were killed. */
void bcl_cookies_recover(struct blockcopy *bc, unsigned int *deeds);

#endif /* BCL_COOKIE_H */

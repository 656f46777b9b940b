/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of RADOS block device images, as QEMU has them:
 *
 *	rbd:POOL/[NAMESPACE/]IMAGE[:OPTION=VALUE]...
 *
 * A backslash takes the meaning off the character that follows. Options: conf, id, mon_host, keyring,
 * auth_supported.
 */
#ifndef BCL_DESTINATION_RBD_NAME_H
#define BCL_DESTINATION_RBD_NAME_H

#include "internal.h"

#define BCL_RBD_PREFIX "rbd:"

bool bcl_rbd_is_meant(const char *spec);

enum bcl_rbd_option {
	BCL_RBD_CONF,
	BCL_RBD_ID,
	BCL_RBD_MON_HOST,
	BCL_RBD_KEYRING,
	BCL_RBD_AUTH_SUPPORTED,
	BCL_RBD_OPTIONS		/* how many */
};

struct bcl_rbd_name {
	char *pool, *namespace, *image;		/* the namespace may be "" */
	char *options[BCL_RBD_OPTIONS];		/* NULL: not given */
};

/* Return: 0, -EINVAL (BLOCKCOPY_USAGE), -ENOMEM. "@bc" may be NULL: nothing is said. */
int bcl_rbd_name_parse(struct blockcopy *bc, const char *spec, struct bcl_rbd_name *ret);
void bcl_rbd_name_done(struct bcl_rbd_name *n);
/* The other way. NULL without memory. */
char *bcl_rbd_name_format(const struct bcl_rbd_name *n);

/* The word of an option. */
const char *bcl_rbd_option_word(enum bcl_rbd_option o);

#endif /* BCL_DESTINATION_RBD_NAME_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A destination that is no block device yet. */
#ifndef BCL_DESTINATION_ATTACHMENT_H
#define BCL_DESTINATION_ATTACHMENT_H

#include "destination/image.h"
#include "destination/rbd.h"

struct bcl_attachment {
	const char *device;	/* of one of the following; NULL: the destination was a device */
	struct bcl_file file;
	struct bcl_image image;
	struct bcl_nbd nbd;
	struct bcl_rbd rbd;
};

#define BCL_NO_ATTACHMENT ((struct bcl_attachment) {				\
	.file = BCL_NO_FILE, .image = BCL_NO_IMAGE, .nbd = BCL_NO_NBD, .rbd = BCL_NO_RBD })

/* Is "@spec" something that bcl_attachment_open() makes a device of? */
bool bcl_attachment_is_meant(const char *spec);

/*
 * "@format" is NULL for a raw one. bcl_attachment_done() also after a failure, which undoes what was
 * made. Return: 0, -errno.
 */
int bcl_attachment_open(struct blockcopy *bc, const char *spec, const char *format,
			const struct bcl_file_wanted *want, struct bcl_attachment *a);

/* A table holds it: it stays. */
void bcl_attachment_keep(struct bcl_attachment *a);
void bcl_attachment_done(struct bcl_attachment *a);

/*
 * No table holds "@dev" any more. What the kernel does not let go by itself is let go, if it is an attachment of
 * ours and nobody else uses it.
 */
void bcl_attachment_release(struct blockcopy *bc, dev_t dev);
/* The same with all that were left by a command that was killed. Counts them in "@deeds". */
void bcl_attachment_recover(struct blockcopy *bc, unsigned int *deeds);

#endif /* BCL_DESTINATION_ATTACHMENT_H */

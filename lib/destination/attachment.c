// SPDX-License-Identifier: LGPL-2.1-or-later
#include "destination/attachment.h"

bool bcl_attachment_is_meant(const char *spec)
{
	return bcl_nbd_is_meant(spec) || bcl_rbd_is_meant(spec) || bcl_file_is_meant(spec);
}

int bcl_attachment_open(struct blockcopy *bc, const char *spec, const char *format,
			const struct bcl_file_wanted *want, struct bcl_attachment *a)
{
	int r;

	if (format && (bcl_nbd_is_meant(spec) || bcl_rbd_is_meant(spec)))
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"%s: found the format %s, needed raw: what is in an export or image is its "
				"server's affair", spec, format);
	if (bcl_rbd_is_meant(spec)) {
		r = bcl_rbd_open(bc, spec, want, &a->rbd);
		a->device = a->rbd.device;
	} else if (bcl_nbd_is_meant(spec)) {
		r = bcl_nbd_open(bc, spec, &a->nbd);
		a->device = a->nbd.device;
	} else if (format) {
		r = bcl_image_open(bc, spec, format, want, &a->image);
		a->device = a->image.nbd.device;
	} else {
		r = bcl_file_open(bc, spec, want, &a->file);
		a->device = a->file.loop_path;
	}
	return r;
}

void bcl_attachment_keep(struct bcl_attachment *a)
{
	bcl_file_keep(&a->file);
	bcl_image_keep(&a->image);
	bcl_rbd_keep(&a->rbd);
}

void bcl_attachment_done(struct bcl_attachment *a)
{
	bcl_file_done(&a->file);
	bcl_image_done(&a->image);
	bcl_nbd_done(&a->nbd);
	bcl_rbd_done(&a->rbd);
	a->device = NULL;
}

void bcl_attachment_release(struct blockcopy *bc, dev_t dev)
{
	bcl_rbd_release(bc, dev);
}

void bcl_attachment_recover(struct blockcopy *bc, unsigned int *deeds)
{
	bcl_nbd_recover(bc, deeds);
	bcl_rbd_recover(bc, deeds);
}

// SPDX-License-Identifier: GPL-2.0-only
/* A control: must compile, or what a probe says is worth nothing. Includes what probes include. */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/module.h>

int bc_probe(struct dm_target *ti, struct bio *bio);
int bc_probe(struct dm_target *ti, struct bio *bio)
{
	return bio_sectors(bio) > ti->len;
}

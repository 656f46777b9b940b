// SPDX-License-Identifier: GPL-2.0-only
/* A control: must not compile, or what a probe says is worth nothing. */
#include <linux/bio.h>

int bc_probe(struct bio *bio);
int bc_probe(struct bio *bio)
{
	return bc_no_such_function(bio);
}

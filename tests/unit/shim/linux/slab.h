/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/gfp.h>

/* The allocation that many from now fails, 1 is the next one; 0 is none. */
extern unsigned int shim_fail_alloc;
void *shim_calloc(size_t n, size_t size);
void shim_free(const void *p);

#define kcalloc(n, size, gfp)	shim_calloc(n, size)
#define kvcalloc(n, size, gfp)	shim_calloc(n, size)
#define kzalloc(size, gfp)	shim_calloc(1, size)
#define kvzalloc(size, gfp)	shim_calloc(1, size)
#define kfree(p)		shim_free(p)
#define kvfree(p)		shim_free(p)

#endif

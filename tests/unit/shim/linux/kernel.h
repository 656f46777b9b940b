/* SPDX-License-Identifier: GPL-2.0-only */
/* The C library includes one by this name, with nothing that we need. */
#ifndef SHIM_LINUX_KERNEL_H
#define SHIM_LINUX_KERNEL_H

#include <stdio.h>
#include <linux/build_bug.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))

__printf(3, 4) int scnprintf(char *buf, size_t size, const char *format, ...);

int kstrtoull(const char *s, unsigned int base, unsigned long long *ret);
int kstrtou64(const char *s, unsigned int base, u64 *ret);
int kstrtou32(const char *s, unsigned int base, u32 *ret);
int kstrtouint(const char *s, unsigned int base, unsigned int *ret);

#endif

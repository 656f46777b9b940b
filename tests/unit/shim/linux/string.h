/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>
#include <linux/types.h>

int match_string(const char * const *array, size_t n, const char *string);
long strscpy(char *to, const char *from, size_t size);

#endif

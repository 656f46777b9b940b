/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include <stdbool.h>

/* How many warnings there were. A test that provokes some sets it back; any other fails by them. */
extern unsigned int shim_warnings;
extern bool shim_quiet;
bool shim_warn(const char *file, int line, const char *what);

#define WARN_ON(cond)		((cond) && shim_warn(__FILE__, __LINE__, #cond))
#define WARN_ON_ONCE(cond)	WARN_ON(cond)

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MINMAX_H
#define SHIM_LINUX_MINMAX_H

/* The comparison of pointers warns when the types differ, as the kernel's does. */
#define SHIM_CHOOSE(x, op, y) ({		\
	__typeof__(x) _x = (x);			\
	__typeof__(y) _y = (y);			\
	(void)(&_x == &_y);			\
	_x op _y ? _x : _y; })

#define min(x, y)		SHIM_CHOOSE(x, <, y)
#define max(x, y)		SHIM_CHOOSE(x, >, y)
#define min_t(type, x, y)	min((type)(x), (type)(y))
#define max_t(type, x, y)	max((type)(x), (type)(y))
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)

#endif

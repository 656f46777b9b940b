/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_LOG2_H
#define SHIM_LINUX_LOG2_H

#include <linux/bitops.h>

#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define ilog2(n)		(fls64(n) - 1)

#endif

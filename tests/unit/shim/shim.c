// SPDX-License-Identifier: GPL-2.0-only
/* What the headers beside this declare. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

unsigned int shim_warnings;
bool shim_quiet;
unsigned int shim_fail_alloc;
bool shim_race;

void shim_delay(void)
{
	static __thread unsigned int state;
	unsigned int i;

	if (!state)
		state = (unsigned int)(unsigned long)&state | 1;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	if (state % 1024 == 0)
		sched_yield();
	else if (state % 8 == 0)
		for (i = state / 8 % 64; i; i--)
			barrier();
}

bool shim_warn(const char *file, int line, const char *what)
{
	if (!shim_quiet)
		fprintf(stderr, "%s:%d: WARN_ON(%s)\n", file, line, what);
	__atomic_fetch_add(&shim_warnings, 1, __ATOMIC_RELAXED);
	return true;
}

void *shim_calloc(size_t n, size_t size)
{
	if (shim_fail_alloc && !--shim_fail_alloc)
		return NULL;
	return calloc(n, size);
}

void shim_free(const void *p)
{
	free((void *)p);
}

int scnprintf(char *buf, size_t size, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(buf, size, format, ap);
	va_end(ap);
	if (n < 0 || !size)
		return 0;
	return (size_t)n < size ? n : (int)size - 1;
}

/* As lib/kstrtox.c: a sign "+" and one newline at the end are fine, anything else is not. */
int kstrtoull(const char *s, unsigned int base, unsigned long long *ret)
{
	unsigned long long value;
	char *end;

	if (*s == '+')
		s++;
	if (!(*s >= '0' && *s <= '9') && !(base == 16 && *s && *s != '-' && *s != '+' && *s > ' '))
		return -EINVAL;
	errno = 0;
	value = strtoull(s, &end, base);
	if (end == s)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	if (*end == '\n')
		end++;
	if (*end)
		return -EINVAL;
	*ret = value;
	return 0;
}

int kstrtou64(const char *s, unsigned int base, u64 *ret)
{
	return kstrtoull(s, base, ret);
}

int kstrtouint(const char *s, unsigned int base, unsigned int *ret)
{
	unsigned long long value;
	int r = kstrtoull(s, base, &value);

	if (r)
		return r;
	if (value > UINT_MAX)
		return -ERANGE;
	*ret = value;
	return 0;
}

int kstrtou32(const char *s, unsigned int base, u32 *ret)
{
	return kstrtouint(s, base, ret);
}

int match_string(const char * const *array, size_t n, const char *string)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!array[i])
			break;
		if (!strcmp(array[i], string))
			return i;
	}
	return -EINVAL;
}

long strscpy(char *to, const char *from, size_t size)
{
	size_t n = strlen(from);

	if (!size)
		return -E2BIG;
	if (n >= size) {
		memcpy(to, from, size - 1);
		to[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(to, from, n + 1);
	return n;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small helpers: cleanup attributes, numbers, strings, files. No state, no knowledge of the job. */
#ifndef BCL_UTIL_H
#define BCL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define TAKE_PTR(p)				\
	({					\
		__typeof__(p) _taken = (p);	\
		(p) = NULL;			\
		_taken;				\
	})

#define TAKE_FD(fd)				\
	({					\
		int _taken = (fd);		\
		(fd) = -1;			\
		_taken;				\
	})

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* Define a function for _cleanup_() of a pointer variable. */
#define DEFINE_CLEANUP(type, func)		\
	static inline void func##p(type **p)	\
	{					\
		func(*p);			\
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_close_ _cleanup_(bcl_closep)

void bcl_closep(int *fd);

/*
 * A whole word as a decimal number: digits only, no sign, space or overflow.
 * Return: 0, -EINVAL, -ERANGE.
 */
int bcl_parse_u64(const char *s, uint64_t *ret);

/* "MAJ:MIN", the whole word. Return: 0, -EINVAL. */
int bcl_parse_devno(const char *s, dev_t *ret);

/* Zero and free a string that may hold a key. */
void bcl_free_secret(char *s);

/* First line of a file without its newline. Return: 0, -errno. */
int bcl_read_line(const char *path, char **ret_line);

/* asprintf() that returns NULL on failure. */
char *bcl_asprintf(const char *fmt, ...) _printf_(1, 2);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t bcl_now_ms(void);

/* A growing list of device numbers without duplicates. */
struct bcl_devs {
	dev_t *v;
	size_t n;
};

void bcl_devs_done(struct bcl_devs *d);
bool bcl_devs_has(const struct bcl_devs *d, dev_t dev);
/* Return: 1 added, 0 was there, -ENOMEM. */
int bcl_devs_add(struct bcl_devs *d, dev_t dev);

#endif /* BCL_UTIL_H */

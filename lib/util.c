// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

void bcl_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	/* It may be somebody else's by the time the cleanup comes. */
	*fd = -1;
	errno = saved;
}

int bcl_parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int digit;

		if (*s < '0' || *s > '9')
			return -EINVAL;
		digit = *s - '0';
		if (v > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	*ret = v;
	return 0;
}

int bcl_parse_devno(const char *s, dev_t *ret)
{
	char word[32];
	char *colon;
	uint64_t major, minor;
	size_t len = strlen(s);

	if (len >= sizeof(word))
		return -EINVAL;
	memcpy(word, s, len + 1);
	colon = strchr(word, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	if (bcl_parse_u64(word, &major) || bcl_parse_u64(colon + 1, &minor))
		return -EINVAL;
	/* The kernel's own limits: 12 and 20 bits. */
	if (major >= 1U << 12 || minor >= 1U << 20)
		return -EINVAL;
	*ret = makedev(major, minor);
	return 0;
}

void bcl_free_secret(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

int bcl_read_line(const char *path, char **ret_line)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return -errno;
	errno = 0;
	n = getline(&line, &size, f);
	if (n < 0) {
		if (ferror(f))
			return errno ? -errno : -EIO;
		/* An empty file is an empty line: sysfs has such attributes (dm/uuid). */
		free(line);
		line = strdup("");
		if (!line)
			return -ENOMEM;
		n = 0;
	}
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	*ret_line = TAKE_PTR(line);
	return 0;
}

char *bcl_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

int64_t bcl_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void bcl_devs_done(struct bcl_devs *d)
{
	free(d->v);
	d->v = NULL;
	d->n = 0;
}

bool bcl_devs_has(const struct bcl_devs *d, dev_t dev)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i] == dev)
			return true;
	return false;
}

int bcl_devs_add(struct bcl_devs *d, dev_t dev)
{
	dev_t *v;

	if (bcl_devs_has(d, dev))
		return 0;
	v = reallocarray(d->v, d->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	d->v = v;
	d->v[d->n++] = dev;
	return 1;
}

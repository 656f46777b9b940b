// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sysfs.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

int bcl_sysfs_dir(dev_t dev, char **ret_dir)
{
	_cleanup_free_ char *link = bcl_asprintf("/sys/dev/block/%u:%u", major(dev), minor(dev));
	char *dir;

	if (!link)
		return -ENOMEM;
	dir = realpath(link, NULL);
	if (!dir)
		return -errno;
	*ret_dir = dir;
	return 0;
}

static bool is_listed(dev_t dev)
{
	_cleanup_free_ char *link = bcl_asprintf("/sys/dev/block/%u:%u", major(dev), minor(dev));

	/* Its number is not given to another device before the last user has closed it. */
	return !link || access(link, F_OK) == 0 || errno != ENOENT;
}

bool bcl_sysfs_gone(dev_t dev, dev_t other)
{
	return !is_listed(dev) && is_listed(other);
}

int bcl_sysfs_read(dev_t dev, const char *attribute, char **ret)
{
	_cleanup_free_ char *path = bcl_asprintf("/sys/dev/block/%u:%u/%s", major(dev), minor(dev),
						 attribute);

	return path ? bcl_read_line(path, ret) : -ENOMEM;
}

int bcl_sysfs_read_u64(dev_t dev, const char *attribute, uint64_t *ret)
{
	_cleanup_free_ char *line = NULL;
	int r = bcl_sysfs_read(dev, attribute, &line);

	return r < 0 ? r : bcl_parse_u64(line, ret);
}

int bcl_sysfs_queue(dev_t dev, const char *attribute, char **ret)
{
	_cleanup_free_ char *path = NULL;
	dev_t whole;
	int r = bcl_sysfs_whole(dev, &whole);

	if (r < 0)
		return r;
	path = bcl_asprintf("queue/%s", attribute);
	return path ? bcl_sysfs_read(whole, path, ret) : -ENOMEM;
}

int bcl_sysfs_queue_u64(dev_t dev, const char *attribute, uint64_t *ret)
{
	_cleanup_free_ char *line = NULL;
	int r = bcl_sysfs_queue(dev, attribute, &line);

	return r < 0 ? r : bcl_parse_u64(line, ret);
}

void bcl_sysfs_changed(dev_t dev)
{
	_cleanup_free_ char *file = bcl_asprintf("/sys/dev/block/%u:%u/uevent", major(dev),
						 minor(dev));
	_cleanup_close_ int fd = file ? open(file, O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0 && write(fd, "change", 6) < 0)
		return;
}

int bcl_sysfs_name(dev_t dev, char **ret)
{
	_cleanup_free_ char *dir = NULL;
	char *name;
	int r = bcl_sysfs_dir(dev, &dir);

	if (r < 0)
		return r;
	name = strdup(strrchr(dir, '/') + 1);
	if (!name)
		return -ENOMEM;
	/* sysfs writes a slash in a name ("cciss/c0d0") as '!'. */
	for (char *p = name; *p; p++)
		if (*p == '!')
			*p = '/';
	*ret = name;
	return 0;
}

bool bcl_sysfs_is_partition(dev_t dev)
{
	_cleanup_free_ char *line = NULL;

	return bcl_sysfs_read(dev, "partition", &line) == 0;
}

static int read_devno(const char *path, dev_t *ret)
{
	_cleanup_free_ char *line = NULL;
	int r = bcl_read_line(path, &line);

	return r < 0 ? r : bcl_parse_devno(line, ret);
}

int bcl_sysfs_whole(dev_t dev, dev_t *ret)
{
	_cleanup_free_ char *dir = NULL, *path = NULL;
	int r;

	if (!bcl_sysfs_is_partition(dev)) {
		*ret = dev;
		return 0;
	}
	r = bcl_sysfs_dir(dev, &dir);
	if (r < 0)
		return r;
	path = bcl_asprintf("%s/../dev", dir);
	return path ? read_devno(path, ret) : -ENOMEM;
}

/* Add the device of each entry of "@path" for which "<entry>/<must>" exists. */
static int add_entries(const char *path, const char *must, struct bcl_devs *to)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		_cleanup_free_ char *probe = NULL, *file = NULL;
		dev_t dev;

		if (*e->d_name == '.')
			continue;
		probe = bcl_asprintf("%s/%s/%s", path, e->d_name, must);
		file = bcl_asprintf("%s/%s/dev", path, e->d_name);
		if (!probe || !file)
			return -ENOMEM;
		/* One that goes away while we look is no longer related. */
		if (access(probe, F_OK) < 0 || read_devno(file, &dev) < 0)
			continue;
		if (bcl_devs_add(to, dev) < 0)
			return -ENOMEM;
	}
	return 0;
}

int bcl_sysfs_partitions(dev_t dev, struct bcl_devs *to)
{
	_cleanup_free_ char *dir = NULL;
	int r = bcl_sysfs_dir(dev, &dir);

	return r < 0 ? r : add_entries(dir, "partition", to);
}

int bcl_sysfs_related(dev_t dev, const char *what, struct bcl_devs *to)
{
	_cleanup_free_ char *dir = NULL, *path = NULL;
	int r = bcl_sysfs_dir(dev, &dir);

	if (r < 0)
		return r;
	path = bcl_asprintf("%s/%s", dir, what);
	return path ? add_entries(path, "dev", to) : -ENOMEM;
}

/* What a loop device stands on. */
static int add_backing(dev_t dev, struct bcl_devs *to)
{
	_cleanup_free_ char *file = NULL;
	struct stat st;

	if (bcl_sysfs_read(dev, "loop/backing_file", &file) < 0)
		return 0;
	/* The file may be deleted or out of our mount namespace: then we cannot know. */
	if (stat(file, &st) < 0)
		return 0;
	return bcl_devs_add(to, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
}

int bcl_stack_below(dev_t dev, struct bcl_devs *to)
{
	size_t next = to->n;
	int r;

	for (;;) {
		dev_t whole;

		r = bcl_sysfs_related(dev, "slaves", to);
		/* An anonymous device (a file system's) has no directory. */
		if (r < 0 && r != -ENOENT)
			return r;
		/* What stands on a partition stands on what its disk stands on. */
		if (bcl_sysfs_whole(dev, &whole) == 0 && whole != dev) {
			r = bcl_sysfs_related(whole, "slaves", to);
			if (r < 0)
				return r;
			r = add_backing(whole, to);
			if (r < 0)
				return r;
		}
		r = add_backing(dev, to);
		if (r < 0)
			return r;
		if (next >= to->n)
			return 0;
		dev = to->v[next++];
	}
}

/* mountinfo and swaps write blanks and backslashes in paths as \ooo. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* Is the mount source of this line the device? For file systems with anonymous devices, btrfs. */
static bool is_source(const char *line, dev_t dev)
{
	_cleanup_free_ char *copy = NULL;
	const char *tail = strstr(line, " - ");
	char *source, *save = NULL;
	struct stat st;

	copy = tail ? strdup(tail + 3) : NULL;
	if (!copy || !strtok_r(copy, " \n", &save))
		return false;
	source = strtok_r(NULL, " \n", &save);
	if (!source || *source != '/')
		return false;
	unescape(source);
	return stat(source, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

int bcl_mounted(dev_t dev, char **ret_where)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		unsigned int maj, min;
		char where[PATH_MAX];

		if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &maj, &min, where) != 3)
			continue;
		if (makedev(maj, min) != dev && !is_source(line, dev))
			continue;
		unescape(where);
		*ret_where = strdup(where);
		return *ret_where ? 1 : -ENOMEM;
	}
	return 0;
}

int bcl_is_swap(dev_t dev)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/swaps", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while (getline(&line, &size, f) > 0) {
		struct stat st;

		if (*line != '/')
			continue;
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (stat(line, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
			return 1;
	}
	return 0;
}

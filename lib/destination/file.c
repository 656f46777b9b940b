// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A raw file as the destination, by a loop device that goes when nobody holds it any more
 * (LO_FLAGS_AUTOCLEAR): first we do, then the table. So there is nothing to clean up, whoever is
 * killed, and a device that has pivoted keeps it.
 *
 * As virsh has it: a file that is missing is created, sparse; one that has data is used with
 * reuse_external only, and must be there then.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "destination/file.h"
#include "internal.h"
#include "sysfs.h"

/* Somebody else may take the number that we were given. */
#define LOOP_TRIES 16

/* The directory of "@path", opened to make a file's name durable. Return: fd or -errno. */
static int open_dir(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* In /dev a name that is missing is a mistake; a file made there would be gone with the next boot. */
static bool may_be_made(const char *path)
{
	_cleanup_close_ int fd = open_dir(path);
	struct stat dir, dev;

	return strchr(path, '/') && fd >= 0 && fstat(fd, &dir) == 0 &&
	       (stat("/dev", &dev) < 0 || dir.st_dev != dev.st_dev);
}

bool bcl_file_is_meant(const char *spec)
{
	struct stat st;

	if (stat(spec, &st) == 0)
		return S_ISREG(st.st_mode);
	return errno == ENOENT && may_be_made(spec);
}

int bcl_file_loop(const char *path, char **ret_loop)
{
	struct stat file, st;
	struct dirent *e;
	DIR *d;
	int r = 0;

	if (stat(path, &file) < 0)
		return 0;
	d = opendir("/sys/block");
	if (!d)
		return 0;
	while (r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *attribute = NULL, *backing = NULL;

		if (strncmp(e->d_name, "loop", 4))
			continue;
		attribute = bcl_asprintf("/sys/block/%s/loop/backing_file", e->d_name);
		if (!attribute || bcl_read_line(attribute, &backing) < 0 ||
		    stat(backing, &st) < 0 || st.st_dev != file.st_dev ||
		    st.st_ino != file.st_ino)
			continue;
		*ret_loop = bcl_asprintf("/dev/%s", e->d_name);
		r = *ret_loop ? 1 : -ENOMEM;
	}
	closedir(d);
	return r;
}

static int failed(struct blockcopy *bc, const char *path, const char *what, int r)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: cannot %s: %s", path, what, strerror(-r));
}

int bcl_file_not_empty(struct blockcopy *bc, const char *path)
{
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
			"%s: found a file that is not empty, needed none or an empty one "
			"(--reuse-external uses it as it is)", path);
}

int bcl_file_missing(struct blockcopy *bc, const char *path)
{
	return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENOENT,
			"%s: found no such file, needed one that is there with --reuse-external",
			path);
}

/* QEMU and others lock an image that they have open. */
static int check_lock(struct blockcopy *bc, const char *path, int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
			"%s: found it locked by a process that uses it, needed a file that nobody "
			"uses", path);
}

/* Nothing but a hole: as a start that was killed leaves it. */
static bool has_no_data(int fd, const struct stat *st)
{
	return !st->st_size || (lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO);
}

static int make_durable(struct blockcopy *bc, const char *path, int fd)
{
	_cleanup_close_ int dir = open_dir(path);

	if (dir < 0)
		return failed(bc, path, "open its directory", dir);
	if (fsync(fd) < 0 || fsync(dir) < 0)
		return failed(bc, path, "make it durable", -errno);
	return 0;
}

static int open_existing(struct blockcopy *bc, const char *path, const struct bcl_file_wanted *want,
			 struct bcl_file *f)
{
	struct stat st;
	int r;

	f->fd = open(path, O_RDWR | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return failed(bc, path, "open it", -errno);
	r = check_lock(bc, path, f->fd);
	if (r < 0 || want->reuse)
		return r;
	/* With a loop device its size is not ours to change, either. */
	if (f->loop_path || !has_no_data(f->fd, &st))
		return bcl_file_not_empty(bc, path);
	f->old_size = st.st_size;
	f->resized = true;
	if (ftruncate(f->fd, want->size) < 0)
		return failed(bc, path, "set its size", -errno);
	return make_durable(bc, path, f->fd);
}

static int create(struct blockcopy *bc, const char *path, const struct bcl_file_wanted *want,
		  struct bcl_file *f)
{
	if (want->reuse)
		return bcl_file_missing(bc, path);
	f->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return failed(bc, path, "create it", -errno);
	f->created = true;
	if (ftruncate(f->fd, want->size) < 0)
		return failed(bc, path, "set its size", -errno);
	return make_durable(bc, path, f->fd);
}

static int configure(int loop, const struct bcl_file_wanted *want, const struct bcl_file *f)
{
	struct loop_config config = {
		.fd = f->fd,
		.block_size = want->block_size,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};

	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", f->path);
	return ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

static int attach(struct blockcopy *bc, const struct bcl_file_wanted *want, struct bcl_file *f)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int r = -EBUSY;

	if (control < 0)
		return failed(bc, f->path, "attach it, as /dev/loop-control cannot be opened", -errno);
	for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return failed(bc, f->path, "find a free loop device", -errno);
		free(f->loop_path);
		f->loop_path = bcl_asprintf("/dev/loop%d", n);
		if (!f->loop_path)
			return bcl_oom(bc);
		f->loop = open(f->loop_path, O_RDWR | O_CLOEXEC);
		if (f->loop < 0)
			return failed(bc, f->loop_path, "open it", -errno);
		r = configure(f->loop, want, f);
		if (r < 0)
			bcl_closep(&f->loop);
	}
	return r < 0 ? failed(bc, f->path, "attach it to a loop device", r) : 0;
}

int bcl_file_open(struct blockcopy *bc, const char *path, const struct bcl_file_wanted *want,
		  struct bcl_file *f)
{
	struct stat st;
	int r;

	*f = (struct bcl_file) { .fd = -1, .loop = -1, .path = realpath(path, NULL) };
	if (!f->path)
		f->path = strdup(path);
	if (!f->path)
		return bcl_oom(bc);
	r = bcl_file_loop(path, &f->loop_path);
	if (r < 0)
		return bcl_oom(bc);
	r = stat(path, &st) == 0 ? open_existing(bc, path, want, f) : create(bc, path, want, f);
	return r == 0 && !f->loop_path ? attach(bc, want, f) : r;
}

void bcl_file_keep(struct bcl_file *f)
{
	f->created = false;
	f->resized = false;
}

void bcl_file_done(struct bcl_file *f)
{
	bcl_closep(&f->loop);
	if (f->created)
		(void)unlink(f->path);
	else if (f->resized)
		(void)!ftruncate(f->fd, f->old_size);
	bcl_closep(&f->fd);
	free(f->loop_path);
	free(f->path);
	*f = BCL_NO_FILE;
}

char *bcl_file_behind(dev_t dev)
{
	char *file = NULL;

	return bcl_sysfs_read(dev, "loop/backing_file", &file) < 0 ? NULL : file;
}

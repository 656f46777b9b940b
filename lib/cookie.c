// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Cookies: a System V semaphore counts those who have not seen a uevent yet, udev's rules among
 * them, and who waits for it removes it. When that one is killed it stays for ever, and nothing in
 * it tells whose it was. So the cookies of this library are not libdevmapper's: for each there is
 * a file of its number, locked as long as its process lives, made before the semaphore and removed
 * after it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cookie.h"
#include "internal.h"

/* libdevmapper's, and dmsetup's that udev's rules call. */
#define COOKIE_MAGIC 0x0d4dU

#define FILE_PREFIX "cookie-"
#define MAX_TRIES 100

union semun {
	int val;
};

static char *cookie_path(uint32_t id)
{
	return bcl_asprintf(BCL_LOCK_DIR "/" FILE_PREFIX "%08" PRIx32, id);
}

static bool semaphore_exists(uint32_t id)
{
	return semget((key_t)id, 1, 0) >= 0;
}

/* Return: the fd of the locked file, -EEXIST: not this number, -errno. */
static int make_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	/* A recover may have come in between, and taken it for a dead one's. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
		return -EEXIST;
	return TAKE_FD(fd);
}

/* Return: 0, -EEXIST: not this number, -errno. */
static int try_cookie(uint32_t id, struct bcl_cookie *ret)
{
	_cleanup_free_ char *path = cookie_path(id);
	_cleanup_close_ int fd = -1;
	int sem;

	if (!path)
		return -ENOMEM;
	if (semaphore_exists(id))
		return -EEXIST;
	fd = make_file(path);
	if (fd < 0)
		return fd;
	sem = semget((key_t)id, 1, 0600 | IPC_CREAT | IPC_EXCL);
	if (sem < 0) {
		int r = -errno;

		unlink(path);
		return r;
	}
	/* The count of the one who waits. */
	if (semctl(sem, 0, SETVAL, (union semun) { .val = 1 }) < 0) {
		int r = -errno;

		semctl(sem, 0, IPC_RMID);
		unlink(path);
		return r;
	}
	*ret = (struct bcl_cookie) { .id = id, .fd = TAKE_FD(fd) };
	return 0;
}

int bcl_cookie_new(struct bcl_cookie *ret)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		uint16_t base;
		int r;

		if (getrandom(&base, sizeof(base), 0) != sizeof(base))
			return -EIO;
		if (!base)
			continue;
		r = try_cookie(COOKIE_MAGIC << 16 | base, ret);
		if (r != -EEXIST)
			return r;
	}
	return -EEXIST;
}

void bcl_cookie_done(struct bcl_cookie *cookie)
{
	_cleanup_free_ char *path = NULL;

	if (cookie->fd >= 0) {
		path = cookie_path(cookie->id);
		if (path)
			unlink(path);
		close(cookie->fd);
	}
	*cookie = BCL_NO_COOKIE;
}

/* Return: 1 removed, 0 it is in use, or no cookie of ours. */
static int recover_cookie(const char *name, uint32_t *ret_id)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	uint32_t id;
	int sem, n = 0;

	if (sscanf(name, FILE_PREFIX "%8" SCNx32 "%n", &id, &n) != 1 || name[n] ||
	    id >> 16 != COOKIE_MAGIC)
		return 0;
	path = cookie_path(id);
	fd = path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	/* udev's rules that come to it yet do without. */
	sem = semget((key_t)id, 1, 0);
	if (sem >= 0)
		semctl(sem, 0, IPC_RMID);
	unlink(path);
	*ret_id = id;
	return sem >= 0;
}

void bcl_cookies_recover(struct blockcopy *bc, unsigned int *deeds)
{
	DIR *dir = opendir(BCL_LOCK_DIR);
	struct dirent *entry;
	uint32_t id;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (recover_cookie(entry->d_name, &id)) {
			bcl_log(bc, BLOCKCOPY_LOG_INFO,
				"udev cookie 0x%" PRIx32 ": removed, nobody waited for it", id);
			(*deeds)++;
		}
	closedir(dir);
}

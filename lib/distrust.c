// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A note for a metadata device that could not be told that nobody tracks any more: it failed, or hung.
 * It may answer again one day and still say what was true before. The note is in a file, named for the
 * dm device, until new metadata is formatted for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#ifndef BCL_STATE_DIR
#define BCL_STATE_DIR "/var/lib/blockcopy"
#endif

static char *path_of(const char *name)
{
	return bcl_asprintf(BCL_STATE_DIR "/%s.distrust", name);
}

/* The directory's entry is to be durable, too. */
static int sync_dir(void)
{
	_cleanup_close_ int fd = open(BCL_STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int bcl_distrust(const char *name)
{
	_cleanup_free_ char *path = path_of(name);
	_cleanup_close_ int fd = -1;

	if (!path)
		return -ENOMEM;
	if (mkdir(BCL_STATE_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return sync_dir();
}

bool bcl_distrusted(const char *name)
{
	_cleanup_free_ char *path = path_of(name);

	/* When that cannot be told, there is a doubt. */
	return !path || access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

void bcl_trust(const char *name)
{
	_cleanup_free_ char *path = path_of(name);

	if (path && unlink(path) == 0)
		(void)sync_dir();
}

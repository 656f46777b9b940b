// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A note for a metadata device that could not be told that nobody tracks any more: it failed, or hung.
 * It may answer again one day and still say what was true before. The note is in a file, named for the
 * dm device, until new metadata is formatted for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "metadata.h"

#ifndef BCL_STATE_DIR
#define BCL_STATE_DIR "/var/lib/blockcopy"
#endif

/* Of a device that was unplugged when the note was made; it may be any that comes. */
#define UNPLUGGED "none:"

/* Of the dm device, and of the metadata device that the note is about: "NAME,IDENTITY". */
static char *path_for(const char *name, const char *found)
{
	char identity[BC_FORMAT_IDENTITY_SIZE];

	snprintf(identity, sizeof(identity), "%s", found);
	for (char *c = identity; *c; c++)
		if (*c == '/')
			*c = '!';
	identity[200] = '\0';
	return bcl_asprintf(BCL_STATE_DIR "/%s,%s", name, identity);
}

static char *path_of(const char *name, dev_t metadata)
{
	char identity[BC_FORMAT_IDENTITY_SIZE];

	bcl_identity_of(metadata, identity);
	return path_for(name, identity);
}

static bool is_there(const char *path)
{
	return !path || access(path, F_OK) == 0 || errno != ENOENT;
}

/* The directory's entry is to be durable, too. */
static int sync_dir(void)
{
	_cleanup_close_ int fd = open(BCL_STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_dir(void)
{
	return mkdir(BCL_STATE_DIR, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int bcl_distrust(const char *name, dev_t metadata)
{
	_cleanup_free_ char *path = path_of(name, metadata);
	_cleanup_close_ int fd = -1;
	int r = path ? make_dir() : -ENOMEM;

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return sync_dir();
}

bool bcl_distrusted(const char *name, dev_t metadata)
{
	_cleanup_free_ char *path = path_of(name, metadata), *unplugged = path_for(name, UNPLUGGED);

	/* Without the directory nobody can tell: it is not mounted yet, as in an initramfs. */
	return access(BCL_STATE_DIR, F_OK) < 0 || is_there(path) || is_there(unplugged);
}

void bcl_trust(const char *name, dev_t metadata)
{
	_cleanup_free_ char *path = path_of(name, metadata), *unplugged = path_for(name, UNPLUGGED);

	/* A job that begins here will be looked for here. */
	if (make_dir() < 0 || !path || !unplugged)
		return;
	(void)unlink(path);
	(void)unlink(unplugged);
	(void)sync_dir();
}

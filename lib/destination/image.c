// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Images: qemu-img makes them, qemu-nbd serves them to the kernel.
 *
 * The server is given a socket that somebody has connected to already. It serves one client, the
 * kernel, and goes when that has gone.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "destination/image.h"
#include "spawn.h"

static int create(struct blockcopy *bc, const char *path, const char *format, uint64_t size)
{
	_cleanup_free_ char *bytes = bcl_asprintf("%" PRIu64, size);
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", format, "--", path, bytes, NULL };

	return bytes ? bcl_run(bc, argv) : bcl_oom(bc);
}

/*
 * Has nobody written to it, as a start that was killed leaves it? All zeroes are equal to nothing, for
 * qemu-img.
 */
static bool is_blank(struct blockcopy *bc, const char *path, const char *format)
{
	_cleanup_close_ int nothing = memfd_create("nothing", MFD_CLOEXEC);
	_cleanup_free_ char *other = bcl_asprintf("/proc/%d/fd/%d", (int)getpid(), nothing);
	const char *const argv[] = { "qemu-img", "compare", "-q", "-f", format, "-F", "raw", "--",
				     path, other, NULL };

	return nothing >= 0 && other && bcl_run(bc, argv) == 0;
}

/* Missing or without data, it is made; else it must be wanted. */
static int prepare(struct blockcopy *bc, const char *format, const struct bcl_file_wanted *want,
		   struct bcl_image *i)
{
	struct stat st;

	if (stat(i->path, &st) < 0) {
		if (want->reuse)
			return bcl_file_missing(bc, i->path);
		i->created = true;
		return create(bc, i->path, format, want->size);
	}
	if (want->reuse)
		return 0;
	/* One that is there is not made again: how it was made is its owner's affair. */
	if (st.st_size)
		return is_blank(bc, i->path, format) ? 0 : bcl_file_not_empty(bc, i->path);
	i->was_empty = true;
	return create(bc, i->path, format, want->size);
}

/* A socket that listens, and one that has connected to it. */
static int make_sockets(struct blockcopy *bc, int *ret_listening, int *ret_client)
{
	/* The kernel finds a name in the abstract space. */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(sa_family_t);

	*ret_client = -1;
	*ret_listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*ret_listening >= 0 && bind(*ret_listening, (struct sockaddr *)&address, n) == 0 &&
	    listen(*ret_listening, 1) == 0) {
		n = sizeof(address);
		*ret_client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (*ret_client >= 0 &&
		    getsockname(*ret_listening, (struct sockaddr *)&address, &n) == 0 &&
		    connect(*ret_client, (struct sockaddr *)&address, n) == 0)
			return 0;
	}
	return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "cannot make a socket: %s", strerror(errno));
}

/* Past the page cache where the file system can do that. */
static const char *cache_mode(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	return fd < 0 ? "writeback" : "none";
}

static int attach(struct blockcopy *bc, const char *format, const char *name, struct bcl_image *i)
{
	const char *const argv[] = { "qemu-nbd", "--format", format, "--cache", cache_mode(i->path),
				     "--discard", "unmap", "--", i->path, NULL };
	_cleanup_close_ int err = memfd_create("stderr", MFD_CLOEXEC), listening = -1;
	struct bcl_server server;
	int client, r;

	if (err < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "cannot make a file in memory");
	r = make_sockets(bc, &listening, &client);
	if (r == 0)
		r = bcl_serve(bc, argv, listening, err, &server);
	/* Now it is the server's alone, and its end is seen at ours. */
	bcl_closep(&listening);
	if (r < 0) {
		bcl_closep(&client);
		return r;
	}
	r = bcl_nbd_connect_socket(bc, client, name, &i->nbd);
	bcl_server_done(&server, r == 0);
	if (r < 0 && lseek(err, 0, SEEK_END) > 0) {
		_cleanup_free_ char *said = bcl_said(err);

		r = bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: %s", i->path, said ? said : "?");
	}
	return r;
}

int bcl_image_open(struct blockcopy *bc, const char *path, const char *format,
		   const struct bcl_file_wanted *want, struct bcl_image *i)
{
	_cleanup_free_ char *name = NULL;
	int r;

	i->path = strdup(path);
	if (!i->path)
		return bcl_oom(bc);
	r = prepare(bc, format, want, i);
	if (r < 0)
		return r;
	/* The whole path: the server stands elsewhere. */
	free(i->path);
	i->path = realpath(path, NULL);
	if (!i->path)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: %s", path, strerror(errno));
	name = bcl_asprintf("%s:%s", format, i->path);
	if (!name)
		return bcl_oom(bc);
	r = bcl_nbd_take_over(bc, name, &i->nbd);
	if (r != 0)
		return r < 0 ? r : 0;
	return attach(bc, format, name, i);
}

int bcl_image_find(const char *path, char **ret_device)
{
	_cleanup_free_ char *whole = realpath(path, NULL);

	return whole ? bcl_nbd_find_path(whole, ret_device) : 0;
}

void bcl_image_keep(struct bcl_image *i)
{
	i->created = false;
	i->was_empty = false;
}

void bcl_image_done(struct bcl_image *i)
{
	bcl_nbd_done(&i->nbd);
	if (i->created)
		(void)unlink(i->path);
	else if (i->was_empty)
		(void)!truncate(i->path, 0);
	free(i->path);
	*i = BCL_NO_IMAGE;
}

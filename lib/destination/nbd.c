// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * NBD: libnbd says hello to the server, then the kernel's client gets the socket. The device is told
 * to disconnect on its last close, so that no end of a job and no killed command leaves it. A name
 * that we give it (its "backend") tells what it is, and that it is ours.
 *
 * The kernel takes that flag with the connection, too; but then udev, who looks at the new device and
 * closes it, would be the last one. So it is connected, opened, and told.
 */
#include <dirent.h>
#include <fcntl.h>
#include <libnbd.h>
#include <linux/nbd.h>
#include <unistd.h>

#include "destination/nbd.h"
#include "destination/nbd-client.h"
#include "sysfs.h"

/* For a server that says nothing. */
#define HELLO_MS 10000
/* Of a device that is disconnected. */
#define GONE_MS 1000

bool bcl_nbd_is_meant(const char *spec)
{
	return !strncmp(spec, "nbd://", 6) || !strncmp(spec, "nbd+unix://", 11);
}

/*
 * The server
 */

static int nbd_failed(struct blockcopy *bc, const char *name, const char *what)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, nbd_get_errno() ? -nbd_get_errno() : -EIO,
			"%s: cannot %s: %s", name, what, nbd_get_error());
}

/* Until the server has said what it exports. */
static int hello(struct blockcopy *bc, struct nbd_handle *h, const char *name)
{
	int64_t end = bcl_now_ms() + HELLO_MS;

	while (!nbd_aio_is_ready(h)) {
		int64_t left = end - bcl_now_ms();

		if (nbd_aio_is_dead(h) || nbd_aio_is_closed(h))
			return nbd_failed(bc, name, "connect");
		if (left <= 0)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -ETIMEDOUT,
					"%s: the server did not answer within %d s", name,
					HELLO_MS / 1000);
		if (nbd_poll(h, (int)left) < 0)
			return nbd_failed(bc, name, "connect");
	}
	return 0;
}

static struct nbd_handle *new_handle(void)
{
	struct nbd_handle *h = nbd_create();

	/* What the kernel does not speak. */
	if (h && nbd_set_request_structured_replies(h, false) < 0) {
		nbd_close(h);
		h = NULL;
	}
	return h;
}

static int look(struct blockcopy *bc, struct nbd_handle *h, const char *name, struct bcl_nbd_export *e)
{
	static const struct {
		int (*can)(struct nbd_handle *h);
		uint64_t flag;
	} flags[] = {
		{ nbd_can_flush, NBD_FLAG_SEND_FLUSH },
		{ nbd_can_fua, NBD_FLAG_SEND_FUA },
		{ nbd_can_trim, NBD_FLAG_SEND_TRIM },
		{ nbd_can_multi_conn, NBD_FLAG_CAN_MULTI_CONN },
	};
	int64_t size = nbd_get_size(h), block = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);

	if (size < 0)
		return nbd_failed(bc, name, "learn the size");
	if (nbd_is_read_only(h) != 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EROFS,
				"%s: found a read-only export, needed a writable one", name);
	e->size = size;
	e->block_size = block > 512 && block <= 4096 ? block : 512;
	e->flags = NBD_FLAG_HAS_FLAGS;
	for (size_t i = 0; i < ELEMENTSOF(flags); i++)
		if (flags[i].can(h) > 0)
			e->flags |= flags[i].flag;
	e->socket = nbd_aio_get_fd(h);
	return e->socket < 0 ? nbd_failed(bc, name, "take its socket") : 0;
}

/* Hold the device, and have it go with its last user. */
static int hold(struct blockcopy *bc, struct bcl_nbd_client *k, int index, const char *name,
		struct bcl_nbd *n)
{
	n->device = bcl_asprintf("/dev/nbd%d", index);
	n->fd = n->device ? open(n->device, O_RDWR | O_CLOEXEC) : -1;
	if (n->fd >= 0 && bcl_nbd_client_release(k, index, name) == 0)
		return 0;
	bcl_closep(&n->fd);
	bcl_nbd_client_disconnect(k, index);
	return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "/dev/nbd%d: cannot be used", index);
}

/* The handle has connected, or is about to. It is closed. */
static int take(struct blockcopy *bc, struct nbd_handle *h, const char *name, struct bcl_nbd *n)
{
	_cleanup_free_ char *ours = bcl_asprintf(BCL_NBD_OURS "%s", name);
	_cleanup_(bcl_nbd_client_done) struct bcl_nbd_client k = {};
	struct bcl_nbd_export e = { .name = ours };
	int r = ours ? hello(bc, h, name) : bcl_oom(bc);

	if (r == 0)
		r = look(bc, h, name, &e);
	if (r == 0)
		r = bcl_nbd_client_open(bc, &k);
	if (r == 0)
		r = bcl_nbd_client_connect(bc, &k, &e);
	if (r >= 0)
		r = hold(bc, &k, r, ours, n);
	/* The kernel has the socket; it is closed here, and nothing is said to the server. */
	nbd_close(h);
	return r;
}

/* One that a command left that was killed before it had said that it goes by itself. */
static int take_over(struct blockcopy *bc, const char *name, struct bcl_nbd *n)
{
	_cleanup_free_ char *ours = bcl_asprintf(BCL_NBD_OURS "%s", name);
	_cleanup_(bcl_nbd_client_done) struct bcl_nbd_client k = {};
	int index, r;

	if (!ours || sscanf(n->device, "/dev/nbd%d", &index) != 1)
		return bcl_oom(bc);
	r = bcl_nbd_client_open(bc, &k);
	if (r < 0)
		return r;
	n->fd = open(n->device, O_RDWR | O_CLOEXEC);
	if (n->fd >= 0 && bcl_nbd_client_release(&k, index, ours) == 0)
		return 0;
	return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s: cannot be used: it was connected to %s",
			n->device, name);
}

int bcl_nbd_take_over(struct blockcopy *bc, const char *name, struct bcl_nbd *n)
{
	int r = bcl_nbd_find(name, &n->device);

	if (r <= 0)
		return r < 0 ? bcl_oom(bc) : 0;
	r = take_over(bc, name, n);
	return r < 0 ? r : 1;
}

static int connect_uri(struct blockcopy *bc, const char *uri, struct nbd_handle **ret)
{
	struct nbd_handle *h = new_handle();
	int r;

	if (!h)
		return bcl_oom(bc);
	if (nbd_aio_connect_uri(h, uri) < 0) {
		r = nbd_failed(bc, uri, "connect");
		nbd_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* Does the server answer? A request to one that has gone fails at once. */
static bool is_alive(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	_cleanup_free_ void *buf = NULL;

	if (posix_memalign(&buf, 4096, 4096)) {
		buf = NULL;
		return false;
	}
	return fd >= 0 && pread(fd, buf, 4096, 0) == 4096;
}

void bcl_nbd_be_patient(struct blockcopy *bc, dev_t dev)
{
	_cleanup_free_ char *name = bcl_nbd_name(dev), *ours = NULL, *path = NULL;
	_cleanup_(bcl_nbd_client_done) struct bcl_nbd_client k = {};
	struct bcl_saved_error saved;
	int index;

	if (!name)
		return;
	path = bcl_device_path(dev);
	ours = bcl_asprintf(BCL_NBD_OURS "%s", name);
	if (!path || !ours || sscanf(path, "/dev/nbd%d", &index) != 1)
		return;
	bcl_error_save(bc, &saved);
	if (bcl_nbd_client_open(bc, &k) == 0)
		(void)bcl_nbd_client_no_timeout(&k, index, ours);
	bcl_error_restore(bc, &saved);
}

/* A server that went without a word may have lost what it had acknowledged: no flush has told. */
static int forget_copied(struct blockcopy *bc, const struct bcl_dm_info *job, const char *uri)
{
	int r = bcl_job_message(bc, job, "dirty all");

	return r == 0 ? 0 :
		bcl_fail(bc, BLOCKCOPY_WRONG_STATE, r,
			 "%s: found %s started again, which may have lost what was copied, and the job does not take "
			 "it for that: %s; needed a new one", job->name, uri, strerror(-r));
}

int bcl_nbd_reconnect(struct blockcopy *bc, dev_t dev, const struct bcl_dm_info *job)
{
	_cleanup_free_ char *uri = bcl_nbd_name(dev), *ours = NULL, *path = NULL;
	_cleanup_(bcl_nbd_client_done) struct bcl_nbd_client k = {};
	struct bcl_nbd_export e = {};
	struct nbd_handle *h = NULL;
	uint64_t sectors;
	int index, r;

	if (!uri || !bcl_nbd_is_meant(uri))
		return 0;
	path = bcl_device_path(dev);
	ours = bcl_asprintf(BCL_NBD_OURS "%s", uri);
	if (!path || !ours || sscanf(path, "/dev/nbd%d", &index) != 1)
		return bcl_oom(bc);
	/* It may take one client only, and has us. */
	if (is_alive(path))
		return 0;
	r = connect_uri(bc, uri, &h);
	if (r < 0)
		return r;
	r = hello(bc, h, uri);
	if (r == 0)
		r = look(bc, h, uri, &e);
	if (r == 0 && (bcl_sysfs_read_u64(dev, "size", &sectors) < 0 || e.size / 512 != sectors))
		r = bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
			     "%s: found another size than it had, needed the same export", uri);
	if (r == 0)
		r = bcl_nbd_client_open(bc, &k);
	/* Before: whoever is killed in between finds it gone again. */
	if (r == 0)
		r = forget_copied(bc, job, uri);
	/* It refuses one that it has no use for: then the old one lives. */
	if (r == 0)
		(void)bcl_nbd_client_reconnect(&k, index, ours, e.socket);
	nbd_close(h);
	return r;
}

int bcl_nbd_open(struct blockcopy *bc, const char *uri, struct bcl_nbd *n)
{
	struct nbd_handle *h = NULL;
	int r = bcl_nbd_take_over(bc, uri, n);

	if (r != 0)
		return r < 0 ? r : 0;
	r = connect_uri(bc, uri, &h);
	return r < 0 ? r : take(bc, h, uri, n);
}

int bcl_nbd_connect_socket(struct blockcopy *bc, int socket, const char *name, struct bcl_nbd *n)
{
	struct nbd_handle *h = new_handle();
	int r;

	if (!h) {
		close(socket);
		return bcl_oom(bc);
	}
	if (nbd_aio_connect_socket(h, socket) < 0) {
		r = nbd_failed(bc, name, "connect");
		nbd_close(h);
		return r;
	}
	return take(bc, h, name, n);
}

void bcl_nbd_done(struct bcl_nbd *n)
{
	bcl_closep(&n->fd);
	free(n->device);
	*n = BCL_NO_NBD;
}

/*
 * Those that are there
 */

/* NULL: not ours, or no memory. */
static char *name_in(const char *backend)
{
	size_t n = strlen(BCL_NBD_OURS);

	return strncmp(backend, BCL_NBD_OURS, n) ? NULL : strdup(backend + n);
}

/* The next one of ours. Return: its number and name, or -1. */
static int next_of_ours(DIR *d, char **ret_name)
{
	struct dirent *e;

	while ((e = readdir(d))) {
		_cleanup_free_ char *attribute = NULL, *backend = NULL;
		uint64_t index;

		if (strncmp(e->d_name, "nbd", 3) || bcl_parse_u64(e->d_name + 3, &index) < 0)
			continue;
		attribute = bcl_asprintf("/sys/block/%s/backend", e->d_name);
		if (!attribute || bcl_read_line(attribute, &backend) < 0)
			continue;
		*ret_name = name_in(backend);
		if (*ret_name)
			return (int)index;
	}
	return -1;
}

static bool is_name(const char *found, const char *name)
{
	return !strcmp(found, name);
}

static bool is_path(const char *found, const char *path)
{
	const char *colon = strchr(found, ':');

	return colon && !strcmp(colon + 1, path);
}

static int find(const char *what, bool (*is)(const char *found, const char *what),
		char **ret_device)
{
	DIR *d = opendir("/sys/block");
	int index, r = 0;
	char *found;

	if (!d)
		return 0;
	while (r == 0 && (index = next_of_ours(d, &found)) >= 0) {
		if (is(found, what)) {
			*ret_device = bcl_asprintf("/dev/nbd%d", index);
			r = *ret_device ? 1 : -ENOMEM;
		}
		free(found);
	}
	closedir(d);
	return r;
}

int bcl_nbd_find(const char *name, char **ret_device)
{
	return find(name, is_name, ret_device);
}

int bcl_nbd_find_path(const char *path, char **ret_device)
{
	return find(path, is_path, ret_device);
}

char *bcl_nbd_name(dev_t dev)
{
	_cleanup_free_ char *backend = NULL;

	return bcl_sysfs_read(dev, "backend", &backend) < 0 ? NULL : name_in(backend);
}

static bool is_gone(const char *name)
{
	_cleanup_free_ char *device = NULL;

	return bcl_nbd_find(name, &device) == 0;
}

/* Its last user may be us: then it is gone, soon. */
static bool let_go(struct blockcopy *bc, int index, const char *name)
{
	struct bcl_nbd n = { .device = bcl_asprintf("/dev/nbd%d", index), .fd = -1 };
	int64_t end = bcl_now_ms() + GONE_MS;
	struct bcl_saved_error saved;
	int r;

	bcl_error_save(bc, &saved);
	r = n.device ? take_over(bc, name, &n) : -ENOMEM;
	bcl_error_restore(bc, &saved);
	bcl_nbd_done(&n);
	while (r == 0 && !is_gone(name) && bcl_now_ms() < end)
		usleep(10000);
	return r == 0 && is_gone(name);
}

/* A table, a mount, another program that has it for itself. */
static bool is_claimed(int index)
{
	_cleanup_free_ char *device = bcl_asprintf("/dev/nbd%d", index);
	_cleanup_close_ int fd = device ? open(device, O_RDONLY | O_EXCL | O_CLOEXEC) : -1;

	return fd < 0;
}

void bcl_nbd_recover(struct blockcopy *bc, unsigned int *deeds)
{
	DIR *d = opendir("/sys/block");
	int index;
	char *name;

	while (d && (index = next_of_ours(d, &name)) >= 0) {
		if (!is_claimed(index) && let_go(bc, index, name)) {
			bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: disconnected, as nobody uses it", name);
			++*deeds;
		}
		free(name);
	}
	if (d)
		closedir(d);
}

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
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <unistd.h>

#include "destination/nbd.h"
#include "spawn.h"
#include "sysfs.h"

/* Of each name that we give. */
#define OURS "blockcopy:"
/* For a server that says nothing. */
#define HELLO_MS 10000
/* Of a request, also one that was under way when the server went: the job does not wait that long. */
#define REQUEST_TIMEOUT_S 30
/* Of a device that is disconnected. */
#define GONE_MS 1000

bool bcl_nbd_is_meant(const char *spec)
{
	return !strncmp(spec, "nbd://", 6) || !strncmp(spec, "nbd+unix://", 11);
}

/*
 * The kernel's client, spoken to by netlink
 */

struct client {
	struct nl_sock *sock;
	int family;
};

static void client_done(struct client *k)
{
	if (k->sock)
		nl_socket_free(k->sock);
}

static int resolve(struct client *k)
{
	k->family = genl_ctrl_resolve(k->sock, NBD_GENL_FAMILY_NAME);
	return k->family < 0 ? -ENOENT : 0;
}

static int client_open(struct blockcopy *bc, struct client *k)
{
	static const char *const modprobe[] = { "modprobe", "nbd", NULL };

	k->sock = nl_socket_alloc();
	if (!k->sock || genl_connect(k->sock) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "cannot speak to the kernel by netlink");
	if (resolve(k) == 0)
		return 0;
	(void)bcl_run(bc, modprobe);
	return resolve(k) == 0 ? 0 :
		bcl_fail(bc, BLOCKCOPY_FAILED, -ENOSYS,
			 "the kernel has no NBD client and could not load it: `modprobe nbd` says why");
}

static struct nl_msg *new_msg(const struct client *k, int command)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, k->family, 0, 0, command, 0)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* Frees the message. Return: 0, -EIO. */
static int send_msg(struct client *k, struct nl_msg *msg)
{
	return nl_send_sync(k->sock, msg) < 0 ? -EIO : 0;
}

static int take_index(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[NBD_ATTR_MAX + 1];

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, NBD_ATTR_MAX, NULL) == 0 && attrs[NBD_ATTR_INDEX])
		*(int *)arg = nla_get_u32(attrs[NBD_ATTR_INDEX]);
	return NL_OK;
}

struct export {
	uint64_t size, block_size, flags;
	int socket;
	const char *name;
};

static int put_export(struct nl_msg *msg, const struct export *e)
{
	struct nlattr *sockets, *item;

	NLA_PUT_U64(msg, NBD_ATTR_SIZE_BYTES, e->size);
	NLA_PUT_U64(msg, NBD_ATTR_BLOCK_SIZE_BYTES, e->block_size);
	NLA_PUT_U64(msg, NBD_ATTR_SERVER_FLAGS, e->flags);
	NLA_PUT_U64(msg, NBD_ATTR_TIMEOUT, REQUEST_TIMEOUT_S);
	NLA_PUT_STRING(msg, NBD_ATTR_BACKEND_IDENTIFIER, e->name);
	sockets = nla_nest_start(msg, NBD_ATTR_SOCKETS);
	item = sockets ? nla_nest_start(msg, NBD_SOCK_ITEM) : NULL;
	if (!item)
		goto nla_put_failure;
	NLA_PUT_U32(msg, NBD_SOCK_FD, e->socket);
	nla_nest_end(msg, item);
	nla_nest_end(msg, sockets);
	return 0;

nla_put_failure:
	return -ENOMEM;
}

/* Return: the device's number, or -errno. */
static int client_connect(struct blockcopy *bc, struct client *k, const struct export *e)
{
	struct nl_msg *msg = new_msg(k, NBD_CMD_CONNECT);
	int index = -1, r;

	if (!msg || put_export(msg, e) < 0) {
		nlmsg_free(msg);
		return bcl_oom(bc);
	}
	nl_socket_modify_cb(k->sock, NL_CB_VALID, NL_CB_CUSTOM, take_index, &index);
	r = send_msg(k, msg);
	return r == 0 && index >= 0 ? index :
		bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s: the kernel's NBD client did not take it",
			 e->name + strlen(OURS));
}

/* To be disconnected on its last close. */
static int client_release(struct client *k, int index, const char *name)
{
	struct nl_msg *msg = new_msg(k, NBD_CMD_RECONFIGURE);

	if (!msg)
		return -ENOMEM;
	NLA_PUT_U32(msg, NBD_ATTR_INDEX, index);
	NLA_PUT_U64(msg, NBD_ATTR_CLIENT_FLAGS, NBD_CFLAG_DISCONNECT_ON_CLOSE);
	NLA_PUT_STRING(msg, NBD_ATTR_BACKEND_IDENTIFIER, name);
	return send_msg(k, msg);

nla_put_failure:
	nlmsg_free(msg);
	return -ENOMEM;
}

static void client_disconnect(struct client *k, int index)
{
	struct nl_msg *msg = new_msg(k, NBD_CMD_DISCONNECT);

	if (!msg)
		return;
	NLA_PUT_U32(msg, NBD_ATTR_INDEX, index);
	(void)send_msg(k, msg);
	return;

nla_put_failure:
	nlmsg_free(msg);
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

static int look(struct blockcopy *bc, struct nbd_handle *h, const char *name, struct export *e)
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
static int hold(struct blockcopy *bc, struct client *k, int index, const char *name,
		struct bcl_nbd *n)
{
	n->device = bcl_asprintf("/dev/nbd%d", index);
	n->fd = n->device ? open(n->device, O_RDWR | O_CLOEXEC) : -1;
	if (n->fd >= 0 && client_release(k, index, name) == 0)
		return 0;
	bcl_closep(&n->fd);
	client_disconnect(k, index);
	return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "/dev/nbd%d: cannot be used", index);
}

/* The handle has connected, or is about to. It is closed. */
static int take(struct blockcopy *bc, struct nbd_handle *h, const char *name, struct bcl_nbd *n)
{
	_cleanup_free_ char *ours = bcl_asprintf(OURS "%s", name);
	_cleanup_(client_done) struct client k = {};
	struct export e = { .name = ours };
	int r = ours ? hello(bc, h, name) : bcl_oom(bc);

	if (r == 0)
		r = look(bc, h, name, &e);
	if (r == 0)
		r = client_open(bc, &k);
	if (r == 0)
		r = client_connect(bc, &k, &e);
	if (r >= 0)
		r = hold(bc, &k, r, ours, n);
	/* The kernel has the socket; it is closed here, and nothing is said to the server. */
	nbd_close(h);
	return r;
}

/* One that a command left that was killed before it had said that it goes by itself. */
static int take_over(struct blockcopy *bc, const char *name, struct bcl_nbd *n)
{
	_cleanup_free_ char *ours = bcl_asprintf(OURS "%s", name);
	_cleanup_(client_done) struct client k = {};
	int index, r;

	if (!ours || sscanf(n->device, "/dev/nbd%d", &index) != 1)
		return bcl_oom(bc);
	r = client_open(bc, &k);
	if (r < 0)
		return r;
	n->fd = open(n->device, O_RDWR | O_CLOEXEC);
	if (n->fd >= 0 && client_release(&k, index, ours) == 0)
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

int bcl_nbd_open(struct blockcopy *bc, const char *uri, struct bcl_nbd *n)
{
	struct nbd_handle *h;
	int r = bcl_nbd_take_over(bc, uri, n);

	if (r != 0)
		return r < 0 ? r : 0;
	h = new_handle();
	if (!h)
		return bcl_oom(bc);
	if (nbd_aio_connect_uri(h, uri) < 0) {
		r = nbd_failed(bc, uri, "connect");
		nbd_close(h);
		return r;
	}
	return take(bc, h, uri, n);
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
		if (!attribute || bcl_read_line(attribute, &backend) < 0 ||
		    strncmp(backend, OURS, strlen(OURS)))
			continue;
		*ret_name = strdup(backend + strlen(OURS));
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

	if (bcl_sysfs_read(dev, "backend", &backend) < 0 || strncmp(backend, OURS, strlen(OURS)))
		return NULL;
	return strdup(backend + strlen(OURS));
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

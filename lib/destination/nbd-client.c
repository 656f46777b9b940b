// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/nbd.h>
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "destination/nbd-client.h"
#include "spawn.h"

/* Of a request, also one that was under way when the server went: the job does not wait that long. */
#define REQUEST_TIMEOUT_S 30

void bcl_nbd_client_done(struct bcl_nbd_client *k)
{
	if (k->sock)
		nl_socket_free(k->sock);
}

static int resolve(struct bcl_nbd_client *k)
{
	k->family = genl_ctrl_resolve(k->sock, NBD_GENL_FAMILY_NAME);
	return k->family < 0 ? -ENOENT : 0;
}

int bcl_nbd_client_open(struct blockcopy *bc, struct bcl_nbd_client *k)
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

static struct nl_msg *new_msg(const struct bcl_nbd_client *k, int command)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, k->family, 0, 0, command, 0)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* Frees the message. Return: 0, -EIO. */
static int send_msg(struct bcl_nbd_client *k, struct nl_msg *msg)
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

static int put_socket(struct nl_msg *msg, int socket)
{
	struct nlattr *sockets = nla_nest_start(msg, NBD_ATTR_SOCKETS);
	struct nlattr *item = sockets ? nla_nest_start(msg, NBD_SOCK_ITEM) : NULL;

	if (!item)
		return -ENOMEM;
	NLA_PUT_U32(msg, NBD_SOCK_FD, socket);
	nla_nest_end(msg, item);
	nla_nest_end(msg, sockets);
	return 0;

nla_put_failure:
	return -ENOMEM;
}

static int put_export(struct nl_msg *msg, const struct bcl_nbd_export *e)
{
	NLA_PUT_U64(msg, NBD_ATTR_SIZE_BYTES, e->size);
	NLA_PUT_U64(msg, NBD_ATTR_BLOCK_SIZE_BYTES, e->block_size);
	NLA_PUT_U64(msg, NBD_ATTR_SERVER_FLAGS, e->flags);
	NLA_PUT_U64(msg, NBD_ATTR_TIMEOUT, REQUEST_TIMEOUT_S);
	NLA_PUT_STRING(msg, NBD_ATTR_BACKEND_IDENTIFIER, e->name);
	return put_socket(msg, e->socket);

nla_put_failure:
	return -ENOMEM;
}

int bcl_nbd_client_connect(struct blockcopy *bc, struct bcl_nbd_client *k,
			   const struct bcl_nbd_export *e)
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
			 e->name + strlen(BCL_NBD_OURS));
}

int bcl_nbd_client_release(struct bcl_nbd_client *k, int index, const char *name)
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

int bcl_nbd_client_no_timeout(struct bcl_nbd_client *k, int index, const char *name)
{
	struct nl_msg *msg = new_msg(k, NBD_CMD_RECONFIGURE);

	if (!msg)
		return -ENOMEM;
	NLA_PUT_U32(msg, NBD_ATTR_INDEX, index);
	NLA_PUT_U64(msg, NBD_ATTR_TIMEOUT, 0);
	NLA_PUT_STRING(msg, NBD_ATTR_BACKEND_IDENTIFIER, name);
	return send_msg(k, msg);

nla_put_failure:
	nlmsg_free(msg);
	return -ENOMEM;
}

void bcl_nbd_client_disconnect(struct bcl_nbd_client *k, int index)
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

int bcl_nbd_client_reconnect(struct bcl_nbd_client *k, int index, const char *name, int socket)
{
	struct nl_msg *msg = new_msg(k, NBD_CMD_RECONFIGURE);

	if (!msg)
		return -ENOMEM;
	NLA_PUT_U32(msg, NBD_ATTR_INDEX, index);
	NLA_PUT_STRING(msg, NBD_ATTR_BACKEND_IDENTIFIER, name);
	if (put_socket(msg, socket) == 0)
		return send_msg(k, msg);

nla_put_failure:
	nlmsg_free(msg);
	return -ENOMEM;
}

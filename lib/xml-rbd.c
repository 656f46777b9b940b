// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Images of Ceph in a <disk>. libvirt keeps keys itself, and <secret> names one; here they are where Ceph's
 * programs look for them, a file for each user in /etc/ceph. So a user's name is all that is taken.
 */
#include "destination/rbd-name.h"
#include "xml-rbd.h"

/* <host name= port=>: a monitor, added to the list in "*hosts". */
static int take_host(struct blockcopy *bc, const xmlNode *host, char **hosts)
{
	_cleanup_xml_ xmlChar *transport = bcl_xml_get(host, "transport");
	_cleanup_free_ char *name = NULL, *before = *hosts;
	const char *open, *close;
	unsigned int port = 0;
	int r;

	*hosts = NULL;
	if (transport && strcmp((char *)transport, "tcp"))
		return bcl_xml_refuse(bc, "host", (char *)transport, "transport='tcp'");
	r = bcl_xml_need(bc, host, "name", &name);
	if (r == 0)
		r = bcl_xml_port(bc, host, &port);
	if (r < 0)
		return r;
	if (strpbrk(name, ",; []"))
		return bcl_xml_refuse(bc, "host", name, "the name or address of one monitor");
	/* An address of IPv6 is all hexadecimal numbers and colons. */
	open = strchr(name, ':') ? "[" : "";
	close = *open ? "]" : "";
	*hosts = port ? bcl_asprintf("%s%s%s%s%s:%u", before ? before : "", before ? "," : "", open, name,
				     close, port) :
			bcl_asprintf("%s%s%s%s%s", before ? before : "", before ? "," : "", open, name,
				     close);
	return *hosts ? 0 : bcl_oom(bc);
}

/* 32 hexadecimal digits, with or without hyphens. */
static bool is_uuid(const char *s)
{
	size_t digits = 0;

	for (; *s; s++) {
		if (strchr("0123456789abcdefABCDEF", *s))
			digits++;
		else if (*s != '-')
			return false;
	}
	return digits == 32;
}

static int check_secret(struct blockcopy *bc, const xmlNode *secret)
{
	_cleanup_xml_ xmlChar *uuid = bcl_xml_get(secret, "uuid"), *usage = bcl_xml_get(secret, "usage");
	static const char *const nothing[] = { NULL };
	_cleanup_free_ char *type = NULL;
	int r = bcl_xml_need(bc, secret, "type", &type);

	if (r == 0)
		r = bcl_xml_only(bc, secret, nothing);
	if (r < 0)
		return r;
	if (strcmp(type, "ceph"))
		return bcl_xml_refuse(bc, "secret", type, "type='ceph'");
	if (!uuid == !usage)
		return bcl_xml_refuse(bc, "secret", uuid ? "both uuid= and usage=" : "no uuid= or usage=",
				      "one of them");
	if (uuid && !is_uuid((char *)uuid))
		return bcl_xml_refuse(bc, "secret", (char *)uuid, "a UUID");
	return usage && !*usage ? bcl_xml_refuse(bc, "secret", "an empty usage=", "a name") : 0;
}

static int take_auth(struct blockcopy *bc, const xmlNode *disk, const xmlNode *source, char **ret)
{
	static const char *const known[] = { "secret", NULL };
	const xmlNode *auth = bcl_xml_child(source, "auth"), *other = bcl_xml_child(disk, "auth");
	const xmlNode *secret;
	int r;

	if (auth && other)
		return bcl_xml_refuse(bc, "disk", "<auth> in it and in <source>", "one of them");
	if (!auth)
		auth = other;
	if (!auth)
		return 0;
	r = bcl_xml_only(bc, auth, known);
	if (r == 0)
		r = bcl_xml_need(bc, auth, "username", ret);
	if (r < 0)
		return r;
	secret = bcl_xml_child(auth, "secret");
	return secret ? check_secret(bc, secret) : bcl_xml_refuse(bc, "auth", "no <secret>", "one");
}

static int take_config(struct blockcopy *bc, const xmlNode *source, char **ret)
{
	const xmlNode *config = bcl_xml_child(source, "config");
	int r = config ? bcl_xml_need(bc, config, "file", ret) : 0;

	if (r == 0 && *ret && **ret != '/')
		return bcl_xml_refuse(bc, "config", *ret, "an absolute path");
	return r;
}

/* name='POOL/[NAMESPACE/]IMAGE' */
static int take_name(struct blockcopy *bc, const xmlNode *source, struct bcl_rbd_name *n)
{
	_cleanup_free_ char *name = NULL;
	char *first, *last;
	int r = bcl_xml_need(bc, source, "name", &name);

	if (r < 0)
		return r;
	first = strchr(name, '/');
	last = strrchr(name, '/');
	if (!first || first == name || !last[1] || last == first + 1 ||
	    (last != first && memchr(first + 1, '/', last - first - 1)))
		return bcl_xml_refuse(bc, "source", name, "name='POOL/IMAGE'");
	n->pool = strndup(name, first - name);
	n->namespace = last == first ? strdup("") : strndup(first + 1, last - first - 1);
	n->image = strdup(last + 1);
	return n->pool && n->namespace && n->image ? 0 : bcl_oom(bc);
}

int bcl_xml_from_rbd(struct blockcopy *bc, const xmlNode *disk, const xmlNode *source, char **ret)
{
	static const char *const known[] = { "host", "auth", "config", NULL };
	_cleanup_(bcl_rbd_name_done) struct bcl_rbd_name n = {};
	_cleanup_xml_ xmlChar *tls = bcl_xml_get(source, "tls");
	int r = bcl_xml_only(bc, source, known);

	if (r == 0 && tls && strcmp((char *)tls, "no"))
		r = bcl_xml_refuse(bc, "source", "tls", "what Ceph has in place of it, in its configuration");
	if (r == 0)
		r = take_name(bc, source, &n);
	for (const xmlNode *c = source->children; r == 0 && c; c = c->next)
		if (bcl_xml_is(c, "host"))
			r = take_host(bc, c, &n.options[BCL_RBD_MON_HOST]);
	if (r == 0)
		r = take_config(bc, source, &n.options[BCL_RBD_CONF]);
	if (r == 0)
		r = take_auth(bc, disk, source, &n.options[BCL_RBD_ID]);
	if (r < 0)
		return r;
	*ret = bcl_rbd_name_format(&n);
	return *ret ? 0 : bcl_oom(bc);
}

/*
 * The other way
 */

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT". False: it is something else. */
static bool add_host(xmlNode *source, char *monitor)
{
	char *name = monitor + (*monitor == '['), *port = NULL;
	char *end = name == monitor ? strchr(name, ':') : strchr(name, ']');
	xmlNode *host;
	uint64_t number;

	if (end) {
		port = *end == ']' ? end + 1 : end;
		*end = '\0';
		if (port != end && *port && *port != ':')
			return false;
		if (port == end || *port)
			port++;
		if (*port && bcl_parse_u64(port, &number) < 0)
			return false;
	}
	if (!*name || (end && name != monitor && strspn(name, "0123456789abcdefABCDEF:.") != strlen(name)))
		return false;
	host = bcl_xml_add(source, "host", "name", name);
	if (host && port && *port)
		bcl_xml_set(host, "port", port);
	return true;
}

static int add_hosts(struct blockcopy *bc, xmlNode *source, const char *spec, char *monitors)
{
	char *monitor;

	while ((monitor = strsep(&monitors, ",; ")))
		if (*monitor && !add_host(source, monitor))
			return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
					"%s: found a monitor that XML cannot say, needed HOST or HOST:PORT",
					spec);
	return 0;
}

static int add_auth(struct blockcopy *bc, xmlNode *disk, const char *user)
{
	_cleanup_free_ char *usage = bcl_asprintf("client.%s", user);
	xmlNode *auth = bcl_xml_add(disk, "auth", "username", user);
	xmlNode *secret = auth && usage ? bcl_xml_add(auth, "secret", "type", "ceph") : NULL;

	if (!secret)
		return bcl_oom(bc);
	bcl_xml_set(secret, "usage", usage);
	return 0;
}

static int add(struct blockcopy *bc, xmlNode *disk, const char *spec, const struct bcl_rbd_name *n)
{
	_cleanup_free_ char *name = bcl_asprintf("%s/%s%s%s", n->pool, n->namespace,
						 *n->namespace ? "/" : "", n->image);
	xmlNode *source = bcl_xml_add(disk, "source", "protocol", "rbd");
	int r = 0;

	if (!name || !source)
		return bcl_oom(bc);
	if (n->options[BCL_RBD_KEYRING] || n->options[BCL_RBD_AUTH_SUPPORTED])
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"%s: found keyring or auth_supported, which XML cannot say, needed conf, id "
				"or mon_host", spec);
	bcl_xml_set(source, "name", name);
	if (n->options[BCL_RBD_MON_HOST])
		r = add_hosts(bc, source, spec, n->options[BCL_RBD_MON_HOST]);
	if (r == 0 && n->options[BCL_RBD_CONF])
		bcl_xml_add(source, "config", "file", n->options[BCL_RBD_CONF]);
	if (r == 0 && n->options[BCL_RBD_ID])
		r = add_auth(bc, disk, n->options[BCL_RBD_ID]);
	return r;
}

int bcl_xml_add_rbd(struct blockcopy *bc, xmlNode *disk, const char *spec)
{
	_cleanup_(bcl_rbd_name_done) struct bcl_rbd_name n = {};
	int r = bcl_rbd_name_parse(bc, spec, &n);

	return r < 0 ? r : add(bc, disk, spec, &n);
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A destination as libvirt describes it: the <disk> of `virsh blockcopy --xml`, of type file, block or
 * network (nbd, rbd). See libvirt's formatdomain for the elements. What would change where or how the data
 * is written and is not known here is refused, with its name; what is about the guest's side of a disk
 * means nothing here.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/uri.h>

#include "destination/rbd-name.h"
#include "internal.h"
#include "xml-rbd.h"

/* Of <disk>: the guest's view, what a copy has not, or what is looked at elsewhere. */
static const char *const passed_over[] = {
	"driver", "source", "auth", "target", "address", "alias", "serial", "wwn", "vendor", "product", "boot",
	"blockio", "iotune", "throttlefilters", "geometry", "acpi", "backenddomain", NULL
};

/*
 * <source protocol='nbd'>
 */

static int escape(struct blockcopy *bc, const char *s, char **ret)
{
	_cleanup_xml_ xmlChar *escaped = xmlURIEscapeStr((const xmlChar *)s, (const xmlChar *)"");

	*ret = escaped ? strdup((char *)escaped) : NULL;
	return *ret ? 0 : bcl_oom(bc);
}

static int nbd_tcp(struct blockcopy *bc, const xmlNode *host, const char *export, char **ret)
{
	_cleanup_free_ char *name = NULL;
	unsigned int port = 10809;
	int r = bcl_xml_need(bc, host, "name", &name);

	if (r == 0)
		r = bcl_xml_port(bc, host, &port);
	if (r < 0)
		return r;
	/* An address of IPv6 is all hexadecimal numbers and colons. */
	*ret = bcl_asprintf(strchr(name, ':') ? "nbd://[%s]:%u/%s" : "nbd://%s:%u/%s", name,
			    port, export);
	return *ret ? 0 : bcl_oom(bc);
}

static int nbd_unix(struct blockcopy *bc, const xmlNode *host, const char *export, char **ret)
{
	_cleanup_free_ char *path = NULL, *escaped = NULL;
	int r = bcl_xml_need(bc, host, "socket", &path);

	if (r == 0)
		r = escape(bc, path, &escaped);
	if (r < 0)
		return r;
	*ret = bcl_asprintf("nbd+unix:///%s?socket=%s", export, escaped);
	return *ret ? 0 : bcl_oom(bc);
}

static int from_nbd(struct blockcopy *bc, const xmlNode *source, char **ret)
{
	static const char *const known[] = { "host", NULL };
	_cleanup_xml_ xmlChar *name = bcl_xml_get(source, "name"), *tls = bcl_xml_get(source, "tls");
	_cleanup_xml_ xmlChar *transport = NULL;
	_cleanup_free_ char *export = NULL;
	const xmlNode *host = bcl_xml_child(source, "host");
	int r = bcl_xml_only(bc, source, known);

	if (r < 0)
		return r;
	if (tls && strcmp((char *)tls, "no"))
		return bcl_xml_refuse(bc, "source", "tls", "an export without TLS");
	if (!host)
		return bcl_xml_refuse(bc, "source", "no <host>", "one");
	for (const xmlNode *c = host->next; c; c = c->next)
		if (bcl_xml_is(c, "host"))
			return bcl_xml_refuse(bc, "source", "more than one <host>", "one");
	r = escape(bc, name ? (char *)name : "", &export);
	if (r < 0)
		return r;
	transport = bcl_xml_get(host, "transport");
	if (!transport || !strcmp((char *)transport, "tcp"))
		return nbd_tcp(bc, host, export, ret);
	if (!strcmp((char *)transport, "unix"))
		return nbd_unix(bc, host, export, ret);
	return bcl_xml_refuse(bc, "host", (char *)transport, "transport='tcp' or 'unix'");
}

/*
 * <disk>
 */

static int from_network(struct blockcopy *bc, const xmlNode *disk, const xmlNode *source, char **ret)
{
	_cleanup_free_ char *protocol = NULL;
	int r = bcl_xml_need(bc, source, "protocol", &protocol);

	if (r < 0)
		return r;
	if (!strcmp(protocol, "rbd"))
		return bcl_xml_from_rbd(bc, disk, source, ret);
	if (bcl_xml_child(disk, "auth"))
		return bcl_xml_refuse(bc, "disk", "<auth>", "protocol='rbd' with it");
	return !strcmp(protocol, "nbd") ? from_nbd(bc, source, ret) :
		bcl_xml_refuse(bc, "source", protocol, "protocol='nbd' or 'rbd'");
}

/* <source file=> and <source dev=>: elements in it change what is written to. */
static int from_local(struct blockcopy *bc, const xmlNode *source, const char *attribute, char **ret)
{
	static const char *const known[] = { "seclabel", NULL };
	int r = bcl_xml_only(bc, source, known);

	if (r == 0)
		r = bcl_xml_need(bc, source, attribute, ret);
	if (r == 0 && **ret != '/')
		return bcl_xml_refuse(bc, "source", *ret, "an absolute path");
	return r;
}

static int take_format(struct blockcopy *bc, const xmlNode *disk, struct blockcopy_options *o)
{
	const xmlNode *driver = bcl_xml_child(disk, "driver");
	_cleanup_xml_ xmlChar *type = driver ? bcl_xml_get(driver, "type") : NULL;
	int r = type ? blockcopy_options_set_format(o, (char *)type) : 0;

	return r == -EINVAL ? bcl_xml_refuse(bc, "driver", (char *)type,
				     "type='raw', or a format that qemu-img can create") :
	       r < 0 ? bcl_oom(bc) : 0;
}

static int from_disk(struct blockcopy *bc, const xmlNode *disk, struct blockcopy_options *o,
		     char **ret)
{
	const xmlNode *source = bcl_xml_child(disk, "source");
	_cleanup_xml_ xmlChar *device = bcl_xml_get(disk, "device");
	_cleanup_free_ char *type = NULL;
	int r = bcl_xml_need(bc, disk, "type", &type);

	if (r == 0)
		r = bcl_xml_only(bc, disk, passed_over);
	if (r == 0 && device && strcmp((char *)device, "disk"))
		r = bcl_xml_refuse(bc, "disk", (char *)device, "device='disk'");
	if (r == 0 && !source)
		r = bcl_xml_refuse(bc, "disk", "no <source>", "one");
	if (r == 0)
		r = take_format(bc, disk, o);
	if (r < 0)
		return r;
	blockcopy_options_set_blockdev(o, !strcmp(type, "block"));
	if (!strcmp(type, "network"))
		return from_network(bc, disk, source, ret);
	if (bcl_xml_child(disk, "auth"))
		return bcl_xml_refuse(bc, "disk", "<auth>", "type='network' with it");
	if (!strcmp(type, "file"))
		return from_local(bc, source, "file", ret);
	if (!strcmp(type, "block"))
		return from_local(bc, source, "dev", ret);
	return bcl_xml_refuse(bc, "disk", type, "type='file', 'block' or 'network'");
}

static void doc_freep(xmlDoc **doc)
{
	if (*doc)
		xmlFreeDoc(*doc);
}

int blockcopy_destination_from_xml(struct blockcopy *bc, const char *text, size_t n,
				   struct blockcopy_options *o, char **ret_destination)
{
	_cleanup_(doc_freep) xmlDoc *doc = NULL;
	_cleanup_free_ char *destination = NULL;
	const xmlError *error;
	const xmlNode *root;
	int r;

	bcl_begin(bc);
	doc = n <= INT32_MAX ? xmlReadMemory(text, (int)n, NULL, NULL, XML_PARSE_NONET |
					     XML_PARSE_NOERROR | XML_PARSE_NOWARNING) : NULL;
	if (!doc) {
		error = xmlGetLastError();
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "xml: line %d: %.*s",
				error ? error->line : 1,
				error ? (int)strcspn(error->message, "\n") : 9,
				error ? error->message : "no XML");
	}
	root = xmlDocGetRootElement(doc);
	if (doc->intSubset)
		return bcl_xml_refuse(bc, bcl_xml_name(root), "a document type", "none");
	if (!bcl_xml_is(root, "disk"))
		return bcl_xml_refuse(bc, bcl_xml_name(root), "this element", "<disk>");
	r = from_disk(bc, root, o, &destination);
	if (r < 0)
		return r;
	*ret_destination = TAKE_PTR(destination);
	return 0;
}

/*
 * The other way
 */

/* "socket=PATH" of a query, unescaped. */
static char *socket_of(const char *query)
{
	return query && !strncmp(query, "socket=", 7) ?
		xmlURIUnescapeString(query + 7, 0, NULL) : NULL;
}

static int add_nbd(struct blockcopy *bc, xmlNode *disk, const char *spec)
{
	xmlURI *uri = xmlParseURI(spec);
	char port[16], *path = NULL;
	xmlNode *source, *host;

	if (!uri)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "%s: no URI", spec);
	source = bcl_xml_add(disk, "source", "protocol", "nbd");
	if (uri->path && uri->path[0] && uri->path[1])
		bcl_xml_set(source, "name", uri->path + 1);
	host = bcl_xml_add(source, "host", NULL, NULL);
	path = socket_of(uri->query_raw);
	if (path) {
		bcl_xml_set(host, "transport", "unix");
		bcl_xml_set(host, "socket", path);
	} else {
		/* Of an address of IPv6 without its brackets. */
		const char *name = uri->server ? uri->server : "localhost";
		_cleanup_free_ char *bare = strndup(name + (*name == '['), strcspn(name, "]") -
						    (*name == '['));

		snprintf(port, sizeof(port), "%d", uri->port > 0 ? uri->port : 10809);
		bcl_xml_set(host, "name", bare ? bare : name);
		bcl_xml_set(host, "port", port);
	}
	xmlFree(path);
	xmlFreeURI(uri);
	return 0;
}

int blockcopy_destination_to_xml(struct blockcopy *bc, const char *destination, bool is_device,
				 const struct blockcopy_options *o, char **ret_text)
{
	_cleanup_(doc_freep) xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	bool nbd = !strncmp(destination, "nbd", 3) && strstr(destination, "://");
	bool rbd = bcl_rbd_is_meant(destination);
	xmlNode *disk = xmlNewNode(NULL, (const xmlChar *)"disk");
	xmlBuffer *buffer = xmlBufferCreate();
	int r = 0;

	bcl_begin(bc);
	if (!doc || !disk || !buffer)
		return bcl_oom(bc);
	xmlDocSetRootElement(doc, disk);
	bcl_xml_set(disk, "type", nbd || rbd ? "network" : is_device ? "block" : "file");
	bcl_xml_add(disk, "driver", "type", o->format ? o->format : "raw");
	if (nbd)
		r = add_nbd(bc, disk, destination);
	else if (rbd)
		r = bcl_xml_add_rbd(bc, disk, destination);
	else
		bcl_xml_add(disk, "source", is_device ? "dev" : "file", destination);
	if (r == 0)
		xmlNodeDump(buffer, doc, disk, 0, 1);
	*ret_text = r == 0 ? strdup((const char *)xmlBufferContent(buffer)) : NULL;
	xmlBufferFree(buffer);
	return r < 0 ? r : *ret_text ? 0 : bcl_oom(bc);
}

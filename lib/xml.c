// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A destination as libvirt describes it: the <disk> of `virsh blockcopy --xml`, of type file, block or
 * network (nbd). See libvirt's formatdomain for the elements. What would change where or how the data
 * is written and is not known here is refused, with its name; what is about the guest's side of a disk
 * means nothing here.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/uri.h>

#include "internal.h"

/* Of <disk>: the guest's view, or what a copy has not. */
static const char *const passed_over[] = {
	"driver", "source", "target", "address", "alias", "serial", "wwn", "vendor", "product", "boot",
	"blockio", "iotune", "throttlefilters", "geometry", "acpi", "backenddomain", NULL
};

static const char *name_of(const xmlNode *node)
{
	return (const char *)node->name;
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !strcmp(name_of(node), name);
}

static bool among(const char *word, const char *const *list)
{
	while (*list && strcmp(*list, word))
		list++;
	return *list;
}

static xmlNode *child(const xmlNode *node, const char *name)
{
	xmlNode *c = node->children;

	while (c && !is(c, name))
		c = c->next;
	return c;
}

static void xml_freep(xmlChar **s)
{
	xmlFree(*s);
}
#define _cleanup_xml_ _cleanup_(xml_freep)

static xmlChar *get(const xmlNode *node, const char *attribute)
{
	return xmlGetProp(node, (const xmlChar *)attribute);
}

static int refuse(struct blockcopy *bc, const char *where, const char *found, const char *needed)
{
	return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "xml: <%s>: found %s, needed %s", where, found,
			needed);
}

/* An attribute that must be there: a copy in "*ret". */
static int need(struct blockcopy *bc, const xmlNode *node, const char *attribute, char **ret)
{
	_cleanup_xml_ xmlChar *value = get(node, attribute);
	_cleanup_free_ char *needed = NULL;

	if (value && *value) {
		*ret = strdup((char *)value);
		return *ret ? 0 : bcl_oom(bc);
	}
	needed = bcl_asprintf("one, %s=", attribute);
	return needed ? refuse(bc, name_of(node), "no such attribute", needed) : bcl_oom(bc);
}

/* Nothing but these elements. */
static int only(struct blockcopy *bc, const xmlNode *node, const char *const *known)
{
	for (const xmlNode *c = node->children; c; c = c->next) {
		_cleanup_free_ char *found = NULL;

		if (c->type != XML_ELEMENT_NODE || among(name_of(c), known))
			continue;
		/* The end of a chain of images: there is none. */
		if (is(c, "backingStore") && !c->children && !c->properties)
			continue;
		found = bcl_asprintf("<%s>", name_of(c));
		return found ? refuse(bc, name_of(node), found, "only what a destination has here") :
			       bcl_oom(bc);
	}
	return 0;
}

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
	_cleanup_xml_ xmlChar *port = get(host, "port");
	_cleanup_free_ char *name = NULL;
	uint64_t number = 10809;
	int r = need(bc, host, "name", &name);

	if (r < 0)
		return r;
	if (port && (bcl_parse_u64((char *)port, &number) < 0 || !number || number > 65535))
		return refuse(bc, "host", (char *)port, "a port from 1 to 65535");
	/* An address of IPv6 is all hexadecimal numbers and colons. */
	*ret = bcl_asprintf(strchr(name, ':') ? "nbd://[%s]:%u/%s" : "nbd://%s:%u/%s", name,
			    (unsigned int)number, export);
	return *ret ? 0 : bcl_oom(bc);
}

static int nbd_unix(struct blockcopy *bc, const xmlNode *host, const char *export, char **ret)
{
	_cleanup_free_ char *path = NULL, *escaped = NULL;
	int r = need(bc, host, "socket", &path);

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
	_cleanup_xml_ xmlChar *name = get(source, "name"), *tls = get(source, "tls");
	_cleanup_xml_ xmlChar *transport = NULL;
	_cleanup_free_ char *export = NULL;
	const xmlNode *host = child(source, "host");
	int r = only(bc, source, known);

	if (r < 0)
		return r;
	if (tls && strcmp((char *)tls, "no"))
		return refuse(bc, "source", "tls", "an export without TLS");
	if (!host)
		return refuse(bc, "source", "no <host>", "one");
	for (const xmlNode *c = host->next; c; c = c->next)
		if (is(c, "host"))
			return refuse(bc, "source", "more than one <host>", "one");
	r = escape(bc, name ? (char *)name : "", &export);
	if (r < 0)
		return r;
	transport = get(host, "transport");
	if (!transport || !strcmp((char *)transport, "tcp"))
		return nbd_tcp(bc, host, export, ret);
	if (!strcmp((char *)transport, "unix"))
		return nbd_unix(bc, host, export, ret);
	return refuse(bc, "host", (char *)transport, "transport='tcp' or 'unix'");
}

/*
 * <disk>
 */

static int from_network(struct blockcopy *bc, const xmlNode *source, char **ret)
{
	_cleanup_free_ char *protocol = NULL;
	int r = need(bc, source, "protocol", &protocol);

	if (r < 0)
		return r;
	return !strcmp(protocol, "nbd") ? from_nbd(bc, source, ret) :
		refuse(bc, "source", protocol, "protocol='nbd'");
}

/* <source file=> and <source dev=>: elements in it change what is written to. */
static int from_local(struct blockcopy *bc, const xmlNode *source, const char *attribute, char **ret)
{
	static const char *const known[] = { "seclabel", NULL };
	int r = only(bc, source, known);

	if (r == 0)
		r = need(bc, source, attribute, ret);
	if (r == 0 && **ret != '/')
		return refuse(bc, "source", *ret, "an absolute path");
	return r;
}

static int take_format(struct blockcopy *bc, const xmlNode *disk, struct blockcopy_options *o)
{
	const xmlNode *driver = child(disk, "driver");
	_cleanup_xml_ xmlChar *type = driver ? get(driver, "type") : NULL;
	int r = type ? blockcopy_options_set_format(o, (char *)type) : 0;

	return r == -EINVAL ? refuse(bc, "driver", (char *)type,
				     "type='raw', or a format that qemu-img can create") :
	       r < 0 ? bcl_oom(bc) : 0;
}

static int from_disk(struct blockcopy *bc, const xmlNode *disk, struct blockcopy_options *o,
		     char **ret)
{
	const xmlNode *source = child(disk, "source");
	_cleanup_xml_ xmlChar *device = get(disk, "device");
	_cleanup_free_ char *type = NULL;
	int r = need(bc, disk, "type", &type);

	if (r == 0)
		r = only(bc, disk, passed_over);
	if (r == 0 && device && strcmp((char *)device, "disk"))
		r = refuse(bc, "disk", (char *)device, "device='disk'");
	if (r == 0 && !source)
		r = refuse(bc, "disk", "no <source>", "one");
	if (r == 0)
		r = take_format(bc, disk, o);
	if (r < 0)
		return r;
	blockcopy_options_set_blockdev(o, !strcmp(type, "block"));
	if (!strcmp(type, "file"))
		return from_local(bc, source, "file", ret);
	if (!strcmp(type, "block"))
		return from_local(bc, source, "dev", ret);
	if (!strcmp(type, "network"))
		return from_network(bc, source, ret);
	return refuse(bc, "disk", type, "type='file', 'block' or 'network'");
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
		return refuse(bc, name_of(root), "a document type", "none");
	if (!is(root, "disk"))
		return refuse(bc, name_of(root), "this element", "<disk>");
	r = from_disk(bc, root, o, &destination);
	if (r < 0)
		return r;
	*ret_destination = TAKE_PTR(destination);
	return 0;
}

/*
 * The other way
 */

static xmlNode *add(xmlNode *to, const char *name, const char *attribute, const char *value)
{
	xmlNode *node = xmlNewChild(to, NULL, (const xmlChar *)name, NULL);

	if (node && attribute)
		xmlNewProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
	return node;
}

static void set(xmlNode *node, const char *attribute, const char *value)
{
	xmlNewProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
}

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
	source = add(disk, "source", "protocol", "nbd");
	if (uri->path && uri->path[0] && uri->path[1])
		set(source, "name", uri->path + 1);
	host = add(source, "host", NULL, NULL);
	path = socket_of(uri->query_raw);
	if (path) {
		set(host, "transport", "unix");
		set(host, "socket", path);
	} else {
		/* Of an address of IPv6 without its brackets. */
		const char *name = uri->server ? uri->server : "localhost";
		_cleanup_free_ char *bare = strndup(name + (*name == '['), strcspn(name, "]") -
						    (*name == '['));

		snprintf(port, sizeof(port), "%d", uri->port > 0 ? uri->port : 10809);
		set(host, "name", bare ? bare : name);
		set(host, "port", port);
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
	xmlNode *disk = xmlNewNode(NULL, (const xmlChar *)"disk");
	xmlBuffer *buffer = xmlBufferCreate();
	int r = 0;

	bcl_begin(bc);
	if (!doc || !disk || !buffer)
		return bcl_oom(bc);
	xmlDocSetRootElement(doc, disk);
	set(disk, "type", nbd ? "network" : is_device ? "block" : "file");
	add(disk, "driver", "type", o->format ? o->format : "raw");
	if (nbd)
		r = add_nbd(bc, disk, destination);
	else
		add(disk, "source", is_device ? "dev" : "file", destination);
	if (r == 0)
		xmlNodeDump(buffer, doc, disk, 0, 1);
	*ret_text = r == 0 ? strdup((const char *)xmlBufferContent(buffer)) : NULL;
	xmlBufferFree(buffer);
	return r < 0 ? r : *ret_text ? 0 : bcl_oom(bc);
}

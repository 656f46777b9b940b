// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml-node.h"

const char *bcl_xml_name(const xmlNode *node)
{
	return (const char *)node->name;
}

bool bcl_xml_is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !strcmp(bcl_xml_name(node), name);
}

static bool among(const char *word, const char *const *list)
{
	while (*list && strcmp(*list, word))
		list++;
	return *list;
}

xmlNode *bcl_xml_child(const xmlNode *node, const char *name)
{
	xmlNode *c = node->children;

	while (c && !bcl_xml_is(c, name))
		c = c->next;
	return c;
}

xmlChar *bcl_xml_get(const xmlNode *node, const char *attribute)
{
	return xmlGetProp(node, (const xmlChar *)attribute);
}

int bcl_xml_refuse(struct blockcopy *bc, const char *where, const char *found, const char *needed)
{
	return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "xml: <%s>: found %s, needed %s", where, found,
			needed);
}

int bcl_xml_need(struct blockcopy *bc, const xmlNode *node, const char *attribute, char **ret)
{
	_cleanup_xml_ xmlChar *value = bcl_xml_get(node, attribute);
	_cleanup_free_ char *needed = NULL;

	if (value && *value) {
		*ret = strdup((char *)value);
		return *ret ? 0 : bcl_oom(bc);
	}
	needed = bcl_asprintf("one, %s=", attribute);
	return needed ? bcl_xml_refuse(bc, bcl_xml_name(node), "no such attribute", needed) : bcl_oom(bc);
}

int bcl_xml_only(struct blockcopy *bc, const xmlNode *node, const char *const *known)
{
	for (const xmlNode *c = node->children; c; c = c->next) {
		_cleanup_free_ char *found = NULL;

		if (c->type != XML_ELEMENT_NODE || among(bcl_xml_name(c), known))
			continue;
		/* The end of a chain of images: there is none. */
		if (bcl_xml_is(c, "backingStore") && !c->children && !c->properties)
			continue;
		found = bcl_asprintf("<%s>", bcl_xml_name(c));
		return found ? bcl_xml_refuse(bc, bcl_xml_name(node), found, "only what a destination has here") :
			       bcl_oom(bc);
	}
	return 0;
}

int bcl_xml_port(struct blockcopy *bc, const xmlNode *node, unsigned int *port)
{
	_cleanup_xml_ xmlChar *text = bcl_xml_get(node, "port");
	uint64_t number;

	if (!text)
		return 0;
	if (bcl_parse_u64((char *)text, &number) < 0 || !number || number > 65535)
		return bcl_xml_refuse(bc, bcl_xml_name(node), (char *)text, "a port from 1 to 65535");
	*port = number;
	return 0;
}

xmlNode *bcl_xml_add(xmlNode *to, const char *name, const char *attribute, const char *value)
{
	xmlNode *node = xmlNewChild(to, NULL, (const xmlChar *)name, NULL);

	if (node && attribute)
		xmlNewProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
	return node;
}

void bcl_xml_set(xmlNode *node, const char *attribute, const char *value)
{
	xmlNewProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
}

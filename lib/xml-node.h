/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements of a <disk>, read and made. */
#ifndef BCL_XML_NODE_H
#define BCL_XML_NODE_H

#include <libxml/tree.h>

#include "internal.h"

static inline void bcl_xml_freep(xmlChar **s)
{
	xmlFree(*s);
}
#define _cleanup_xml_ _cleanup_(bcl_xml_freep)

const char *bcl_xml_name(const xmlNode *node);
bool bcl_xml_is(const xmlNode *node, const char *name);
/* The first child of that name; NULL. */
xmlNode *bcl_xml_child(const xmlNode *node, const char *name);
/* An attribute, for the caller to free; NULL. */
xmlChar *bcl_xml_get(const xmlNode *node, const char *attribute);

/* The following return 0 or -errno, with an error that names the element. */
int bcl_xml_refuse(struct blockcopy *bc, const char *where, const char *found, const char *needed);
/* An attribute that must be there: a copy in "*ret". */
int bcl_xml_need(struct blockcopy *bc, const xmlNode *node, const char *attribute, char **ret);
/* Nothing but these elements. */
int bcl_xml_only(struct blockcopy *bc, const xmlNode *node, const char *const *known);
/* "port", if there is one. */
int bcl_xml_port(struct blockcopy *bc, const xmlNode *node, unsigned int *port);

/* A new child, with an attribute unless that is NULL. */
xmlNode *bcl_xml_add(xmlNode *to, const char *name, const char *attribute, const char *value);
void bcl_xml_set(xmlNode *node, const char *attribute, const char *value);

#endif /* BCL_XML_NODE_H */

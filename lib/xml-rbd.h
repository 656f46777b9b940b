/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <source protocol='rbd'>, and its <auth>. */
#ifndef BCL_XML_RBD_H
#define BCL_XML_RBD_H

#include "xml-node.h"

/* Return: 0 with "rbd:..." in "*ret", -errno. */
int bcl_xml_from_rbd(struct blockcopy *bc, const xmlNode *disk, const xmlNode *source, char **ret);
/* The other way: <source> and <auth> in "@disk". */
int bcl_xml_add_rbd(struct blockcopy *bc, xmlNode *disk, const char *spec);

#endif /* BCL_XML_RBD_H */

// SPDX-License-Identifier: LGPL-2.1-or-later
#include "destination/rbd-name.h"

static const char *const words[BCL_RBD_OPTIONS] = {
	[BCL_RBD_CONF] = "conf",
	[BCL_RBD_ID] = "id",
	[BCL_RBD_MON_HOST] = "mon_host",
	[BCL_RBD_KEYRING] = "keyring",
	[BCL_RBD_AUTH_SUPPORTED] = "auth_supported",
};

bool bcl_rbd_is_meant(const char *spec)
{
	return !strncmp(spec, BCL_RBD_PREFIX, strlen(BCL_RBD_PREFIX));
}

const char *bcl_rbd_option_word(enum bcl_rbd_option o)
{
	return words[o];
}

void bcl_rbd_name_done(struct bcl_rbd_name *n)
{
	free(n->pool);
	free(n->namespace);
	free(n->image);
	for (size_t i = 0; i < BCL_RBD_OPTIONS; i++)
		free(n->options[i]);
	*n = (struct bcl_rbd_name) {};
}

static int refuse(struct blockcopy *bc, const char *spec, const char *found, const char *needed)
{
	return !bc ? -EINVAL : bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "%s: found %s, needed %s", spec,
					found, needed);
}

/*
 * What is before the next of "@delimiters", without its backslashes; "*rest" is moved behind it, and
 * "*ret_delimiter" is it, or '\0' at the end. NULL without memory.
 */
static char *next_word(const char **rest, const char *delimiters, char *ret_delimiter)
{
	char *word = malloc(strlen(*rest) + 1), *to = word;
	const char *p = *rest;

	if (!word)
		return NULL;
	while (*p && !strchr(delimiters, *p)) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p++;
	}
	*to = '\0';
	*ret_delimiter = *p;
	*rest = *p ? p + 1 : p;
	return word;
}

/* "*delimiter" is what followed the image, and what follows the option after it. */
static int parse_option(struct blockcopy *bc, const char *spec, const char **rest, char *delimiter,
			struct bcl_rbd_name *n)
{
	_cleanup_free_ char *word = next_word(rest, "=:", delimiter);
	size_t i = 0;

	if (!word)
		return -ENOMEM;
	while (i < BCL_RBD_OPTIONS && strcmp(words[i], word))
		i++;
	if (i == BCL_RBD_OPTIONS)
		return refuse(bc, spec, *word ? word : "an empty option",
			      "conf, id, mon_host, keyring or auth_supported");
	if (n->options[i])
		return refuse(bc, spec, "an option twice", "each once");
	if (*delimiter == '=')
		n->options[i] = next_word(rest, ":", delimiter);
	else
		return refuse(bc, spec, word, "a value with it");
	if (!n->options[i])
		return -ENOMEM;
	return *n->options[i] ? 0 : refuse(bc, spec, word, "a value with it");
}

static int parse(struct blockcopy *bc, const char *spec, struct bcl_rbd_name *n)
{
	char *path[3] = {}, delimiter = '/';
	const char *rest = spec + strlen(BCL_RBD_PREFIX);
	size_t count = 0;
	bool empty = false;
	int r = 0;

	while (delimiter == '/' && count < ELEMENTSOF(path)) {
		path[count] = next_word(&rest, "/@:", &delimiter);
		if (!path[count])
			r = -ENOMEM;
		else
			empty |= !*path[count];
		count++;
	}
	n->pool = path[0];
	n->image = count > 1 ? path[count - 1] : NULL;
	n->namespace = count > 2 ? path[1] : strdup("");
	if (r < 0 || !n->namespace)
		return -ENOMEM;
	if (delimiter == '@')
		return refuse(bc, spec, "a snapshot", "an image, which can be written to");
	if (delimiter == '/' || !n->image || empty)
		return refuse(bc, spec, "no name of an image", "rbd:POOL/IMAGE");
	while (r == 0 && delimiter == ':')
		r = parse_option(bc, spec, &rest, &delimiter, n);
	return r;
}

int bcl_rbd_name_parse(struct blockcopy *bc, const char *spec, struct bcl_rbd_name *ret)
{
	struct bcl_rbd_name n = {};
	int r = bcl_rbd_is_meant(spec) ? parse(bc, spec, &n) :
					 refuse(bc, spec, "another word", BCL_RBD_PREFIX);

	if (r == 0) {
		*ret = n;
		return 0;
	}
	bcl_rbd_name_done(&n);
	return r == -ENOMEM && bc ? bcl_oom(bc) : r;
}

/* "@before", and "@text" with a backslash before each of "@special". Return: the end. */
static char *append(char *to, const char *before, const char *text, const char *special)
{
	to = stpcpy(to, before);
	for (; *text; text++) {
		if (strchr(special, *text))
			*to++ = '\\';
		*to++ = *text;
	}
	*to = '\0';
	return to;
}

char *bcl_rbd_name_format(const struct bcl_rbd_name *n)
{
	size_t size = 64 + 2 * (strlen(n->pool) + strlen(n->namespace) + strlen(n->image));
	char *text, *to;

	for (size_t i = 0; i < BCL_RBD_OPTIONS; i++)
		size += n->options[i] ? 32 + 2 * strlen(n->options[i]) : 0;
	text = malloc(size);
	if (!text)
		return NULL;
	to = append(text, BCL_RBD_PREFIX, n->pool, "\\/@:");
	if (*n->namespace)
		to = append(to, "/", n->namespace, "\\/@:");
	to = append(to, "/", n->image, "\\/@:");
	for (size_t i = 0; i < BCL_RBD_OPTIONS; i++) {
		if (!n->options[i])
			continue;
		to = stpcpy(append(to, ":", words[i], ""), "=");
		to = append(to, "", n->options[i], "\\:");
	}
	return text;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of ranges: lines of offset and length, the JSON of `qemu-img map`, and that of `nbdinfo --map`.
 * What is told to be zero, or clean, is left out where the destination has it already.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

struct list {
	const char *path;
	uint64_t size;		/* of the device */
	bool zero_there;
	struct blockcopy_range *v;
	size_t n, room;
};

/* "@where" is a line or an element. Return: exit status. */
static int add(struct list *l, const char *where, size_t nr, uint64_t offset, uint64_t length)
{
	if (offset > l->size || length > l->size - offset)
		return complain(BLOCKCOPY_REFUSED,
				"%s: %s %zu: found %" PRIu64 " bytes from byte %" PRIu64 " on, needed them "
				"within the %" PRIu64 " bytes of the device",
				l->path, where, nr, length, offset, l->size);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct blockcopy_range *v = reallocarray(l->v, room, sizeof(*v));

		if (!v)
			return complain(BLOCKCOPY_FAILED, "out of memory");
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = (struct blockcopy_range) { offset, length };
	return BLOCKCOPY_OK;
}

static int take_line(struct list *l, char *line, size_t nr)
{
	static const char blank[] = " \t\r";
	char *save, *offset, *length;
	uint64_t from, n;

	line[strcspn(line, "#")] = '\0';
	offset = strtok_r(line, blank, &save);
	if (!offset)
		return BLOCKCOPY_OK;
	length = strtok_r(NULL, blank, &save);
	if (!length || strtok_r(NULL, blank, &save))
		return complain(BLOCKCOPY_USAGE, "%s: line %zu: found %s, needed an offset and a length", l->path,
				nr, length ? "more than two words" : "one word");
	if (parse_size(offset, 1, &from) < 0 || parse_size(length, 1, &n) < 0)
		return complain(BLOCKCOPY_USAGE, "%s: line %zu: found \"%s %s\", needed bytes, or sizes such as 64K",
				l->path, nr, offset, length);
	return add(l, "line", nr, from, n);
}

static int take_lines(struct list *l, char *text)
{
	int status = BLOCKCOPY_OK;
	size_t nr = 1;

	for (char *line = text, *end; line && !status; line = end, nr++) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		status = take_line(l, line, nr);
	}
	return status;
}

static bool number(struct json_object *o, const char *key, uint64_t *ret)
{
	struct json_object *v;
	bool ok = json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_int) &&
		  json_object_get_int64(v) >= 0;

	if (ok)
		*ret = json_object_get_uint64(v);
	return ok;
}

static bool flag(struct json_object *o, const char *key, bool *ret)
{
	struct json_object *v;
	bool ok = json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_boolean);

	if (ok)
		*ret = json_object_get_boolean(v);
	return ok;
}

/* What an export says: of base:allocation, or of a dirty bitmap of QEMU's. Return: whether it is known. */
static bool is_nbd(struct json_object *o, bool *zero, bool *clean)
{
	static const char *const words[] = { "data", "hole", "zero", "hole,zero", "clean", "dirty" };
	struct json_object *v;
	const char *word;

	if (!json_object_object_get_ex(o, "description", &v) || !json_object_is_type(v, json_type_string))
		return false;
	word = json_object_get_string(v);
	*zero = strstr(word, "zero") != NULL;
	*clean = !strcmp(word, "clean");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static int take_element(struct list *l, struct json_object *o, size_t nr)
{
	bool zero = false, data = true, clean = false;
	uint64_t offset, length;

	if (!json_object_is_type(o, json_type_object) || !number(o, "length", &length) ||
	    (number(o, "start", &offset) ? !flag(o, "zero", &zero) || !flag(o, "data", &data) :
	     !number(o, "offset", &offset) || !is_nbd(o, &zero, &clean)))
		return complain(BLOCKCOPY_USAGE,
				"%s: element %zu: found %.200s, needed start, length, data and zero as qemu-img map "
				"has them, or offset, length and description as nbdinfo --map has them",
				l->path, nr, json_object_to_json_string(o));
	if (json_object_object_get_ex(o, "start", NULL))
		zero = zero && !data;
	return clean || (zero && l->zero_there) ? BLOCKCOPY_OK : add(l, "element", nr, offset, length);
}

static int take_json(struct list *l, const char *text, size_t n)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *array = tok ? json_tokener_parse_ex(tok, text, n) : NULL;
	size_t end = tok ? json_tokener_get_parse_end(tok) : 0, line = 1;
	int status = BLOCKCOPY_OK;

	for (size_t i = 0; i < end; i++)
		line += text[i] == '\n';
	while (end < n && isspace((unsigned char)text[end]))
		end++;
	if (!tok)
		status = complain(BLOCKCOPY_FAILED, "out of memory");
	else if (!array || end < n || !json_object_is_type(array, json_type_array))
		status = complain(BLOCKCOPY_USAGE, "%s: line %zu: found no array of JSON that ends there (%s), "
						   "needed one", l->path, line,
				  json_tokener_error_desc(json_tokener_get_error(tok)));
	for (size_t i = 0; !status && i < json_object_array_length(array); i++)
		status = take_element(l, json_object_array_get_idx(array, i), i + 1);
	json_object_put(array);
	if (tok)
		json_tokener_free(tok);
	return status;
}

/* All of it, with a NUL behind. NULL: errno says why. */
static char *read_all(FILE *f, size_t *ret_n)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	char buf[BUFSIZ];
	size_t k;
	int bad;

	if (!to)
		return NULL;
	while ((k = fread(buf, 1, sizeof(buf), f)))
		fwrite(buf, 1, k, to);
	bad = ferror(f) ? errno : 0;
	if (fclose(to) || bad) {
		free(text);
		errno = bad ?: ENOMEM;
		return NULL;
	}
	*ret_n = n;
	return text;
}

int read_ranges(const char *path, uint64_t size, bool zero_there, struct blockcopy_range **ret, size_t *ret_n)
{
	bool standard = !strcmp(path, "-");
	struct list l = { .path = standard ? "standard input" : path, .size = size, .zero_there = zero_there };
	FILE *f = standard ? stdin : fopen(path, "re");
	char *text = NULL;
	size_t n, first;
	int status;

	if (f)
		text = read_all(f, &n);
	status = text ? BLOCKCOPY_OK : complain(BLOCKCOPY_FAILED, "%s: %s", l.path, strerror(errno));
	if (f && !standard)
		fclose(f);
	if (status)
		return status;
	first = strspn(text, " \t\r\n");
	if (strlen(text) != n)
		status = complain(BLOCKCOPY_USAGE, "%s: found a zero byte, needed text", l.path);
	else if (text[first] == '[' || text[first] == '{')
		status = take_json(&l, text, n);
	else
		status = take_lines(&l, text);
	free(text);
	if (status) {
		free(l.v);
		return status;
	}
	*ret = l.v;
	*ret_n = l.n;
	return BLOCKCOPY_OK;
}

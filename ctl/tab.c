// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tab.h"

static const char blanks[] = " \t\r\n";

void tab_entry_done(struct tab_entry *e)
{
	free(e->text);
	*e = (struct tab_entry) { .line = e->line };
}

static const char *or_nothing(const char *word)
{
	return word && strcmp(word, "-") && strcmp(word, "none") ? word : NULL;
}

/* Return: 1 an entry, 0 nothing on this line, -EINVAL. */
static int parse(struct tab_entry *e, const char **ret_what)
{
	char *words[6] = {}, *rest = e->text;
	size_t n = 0;

	rest[strcspn(rest, "#")] = '\0';
	for (char *word; n < 6 && (word = strtok_r(NULL, blanks, &rest)); )
		words[n++] = word;
	if (!n)
		return 0;
	if (n < 2 || n > 5 || n == 3) {
		*ret_what = "needed NAME DEVICE [DESTINATION METADATA [OPTIONS]]";
		return -EINVAL;
	}
	e->name = words[0];
	e->device = words[1];
	e->destination = or_nothing(words[2]);
	e->metadata = or_nothing(words[3]);
	e->options = words[4] ? words[4] : words[0] + strlen(words[0]);
	if (strchr(e->name, '/') || !or_nothing(e->device)) {
		*ret_what = "needed a name without slash, and a device";
		return -EINVAL;
	}
	if (!e->destination != !e->metadata) {
		*ret_what = "found a destination without metadata or the other way round: a job "
			    "that is to come back needs both";
		return -EINVAL;
	}
	return 1;
}

int tab_next(FILE *f, struct tab_entry *e, const char **ret_what)
{
	for (;;) {
		size_t size = 0;
		int r;

		tab_entry_done(e);
		errno = 0;
		if (getline(&e->text, &size, f) < 0)
			return feof(f) ? 0 : -errno;
		e->line++;
		r = parse(e, ret_what);
		if (r)
			return r;
	}
}

static const struct {
	const char *key;
	int has_value;
} boot_options[] = {
	{ "noauto", 0 },
	{ "nofail", 0 },
	{ "initramfs", 0 },
	{ "timeout", 1 },
};

/* Does the word at "@word", of "@n" bytes, begin with that key? Return: where its value begins, or NULL. */
static const char *value_of(const char *word, size_t n, const char *key)
{
	size_t k = strlen(key);

	if (n < k || strncmp(word, key, k))
		return NULL;
	if (n == k)
		return "";
	return word[k] == '=' ? word + k + 1 : NULL;
}

int tab_is_boot_option(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof(boot_options) / sizeof(*boot_options); i++) {
		const char *value = value_of(word, n, boot_options[i].key);

		if (value && !!*value == boot_options[i].has_value)
			return 1;
	}
	return 0;
}

const char *tab_option(const struct tab_entry *e, const char *key)
{
	const char *word = e->options;

	while (*word) {
		size_t n = strcspn(word, ",");
		const char *value = value_of(word, n, key);

		if (value)
			return value;
		word += n + (word[n] == ',');
	}
	return NULL;
}

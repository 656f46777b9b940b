// SPDX-License-Identifier: GPL-2.0-only
/* What start and set have in common, out of settings.def. */
#include <errno.h>
#include <string.h>

#include "ctl.h"

enum kind { NUMBER, WORD };

enum setting_id {
#define SETTING(id, key, kind, needed) SET_##id,
#include "settings.def"
#undef SETTING
	SET_MAX,
};

static const struct setting_def {
	const char *key;
	enum kind kind;
	const char *needed;
} defs[SET_MAX] = {
#define SETTING(id, key, kind, needed) { key, kind, needed },
#include "settings.def"
#undef SETTING
};

void print_settings(void)
{
	printf("\nKeys:\n");
	for (int id = 0; id < SET_MAX; id++)
		printf("  %-25s %s\n", defs[id].key, defs[id].needed);
}

static int parse_value(const struct ctl *c, int id, const char *s, uint64_t *ret)
{
	int r;

	switch (id) {
	case SET_bandwidth:
		r = parse_size(s, c->opt.bytes ? 1 : 1 << 20, ret);
		/* What the kernel counts with is signed. */
		return r == 0 && *ret > INT64_MAX ? -ERANGE : r;
	case SET_write_timeout:
		return parse_number(s, INT32_MAX, ret);
	default:
		return parse_size(s, 1, ret);
	}
}

static int to_options(const struct setting *s, struct blockcopy_options *o)
{
	switch (s->id) {
#define NUMBER s->number
#define WORD s->word
#define SETTING(id, key, kind, needed)				\
	case SET_##id:						\
		return blockcopy_options_set_##id(o, kind);
#include "settings.def"
#undef SETTING
#undef NUMBER
#undef WORD
	}
	return -EINVAL;
}

/* "@o" decides whether the value is one. */
static int take(const struct ctl *c, int id, const char *value, struct blockcopy_options *o,
		struct setting *ret)
{
	struct setting s = { .id = id, .word = value };
	int r = 0;

	if (defs[id].kind == NUMBER)
		r = parse_value(c, id, value, &s.number);
	if (r == 0)
		r = to_options(&s, o);
	if (r == -ENOMEM)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	if (r < 0)
		return complain(BLOCKCOPY_USAGE, "%s: found \"%s\", needed %s", defs[id].key, value,
				defs[id].needed);
	*ret = s;
	return BLOCKCOPY_OK;
}

int fill_settings(const struct ctl *c, struct blockcopy_options *o)
{
	const char *const given[SET_MAX] = {
#define SETTING(id, key, kind, needed) [SET_##id] = c->opt.id,
#include "settings.def"
#undef SETTING
	};
	struct setting unused;
	int r = BLOCKCOPY_OK;

	for (int id = 0; id < SET_MAX && r == BLOCKCOPY_OK; id++)
		if (given[id])
			r = take(c, id, given[id], o, &unused);
	return r;
}

int parse_setting(const struct ctl *c, const char *arg, struct blockcopy_options *o,
		  struct setting *ret)
{
	const char *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value - arg) : 0;

	if (!n)
		return complain(BLOCKCOPY_USAGE, "set: found \"%s\", needed KEY=VALUE", arg);
	for (int id = 0; id < SET_MAX; id++)
		if (n == strlen(defs[id].key) && !strncmp(arg, defs[id].key, n))
			return take(c, id, value + 1, o, ret);
	return complain(BLOCKCOPY_USAGE, "set: found \"%s\", needed one of"
#define SETTING(id, key, kind, needed) " " key "="
#include "settings.def"
#undef SETTING
			, arg);
}

int apply_setting(struct ctl *c, const struct setting *s)
{
	switch (s->id) {
#define NUMBER s->number
#define WORD s->word
#define SETTING(id, key, kind, needed)				\
	case SET_##id:						\
		return blockcopy_set_##id(c->bc, c->arg[0], kind);
#include "settings.def"
#undef SETTING
#undef NUMBER
#undef WORD
	}
	return -EINVAL;
}

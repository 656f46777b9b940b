// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "blockcopy-abi.h"
#include "table.h"

int bcl_table_new(struct bcl_table **ret)
{
	struct bcl_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*ret = t;
	return 0;
}

void bcl_table_free(struct bcl_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free(t->lines[i].type);
		bcl_free_secret(t->lines[i].params);
	}
	free(t->lines);
	free(t);
}

int bcl_table_add(struct bcl_table *t, uint64_t start, uint64_t len, const char *type,
		  const char *params)
{
	struct bcl_line *lines, line = { .start = start, .len = len };

	lines = reallocarray(t->lines, t->n + 1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	t->lines = lines;

	line.type = strdup(type);
	line.params = strdup(params);
	if (!line.type || !line.params) {
		free(line.type);
		bcl_free_secret(line.params);
		return -ENOMEM;
	}
	t->lines[t->n++] = line;
	return 0;
}

uint64_t bcl_table_len(const struct bcl_table *t)
{
	return t->n ? t->lines[t->n - 1].start + t->lines[t->n - 1].len : 0;
}

bool bcl_table_equal(const struct bcl_table *a, const struct bcl_table *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct bcl_line *x = &a->lines[i], *y = &b->lines[i];

		if (x->start != y->start || x->len != y->len || strcmp(x->type, y->type) ||
		    strcmp(x->params, y->params))
			return false;
	}
	return true;
}

bool bcl_table_has(const struct bcl_table *t, const char *type)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->lines[i].type, type))
			return true;
	return false;
}

bool bcl_table_is_one(const struct bcl_table *t, const char *type)
{
	return t->n == 1 && !strcmp(t->lines[0].type, type);
}

/* "<cipher> <key> <iv offset> ...": print the key as zeroes, as dmsetup does. */
static void print_crypt(FILE *f, const char *params)
{
	size_t before = strcspn(params, " ");
	const char *key = params[before] ? params + before + 1 : params + before;
	size_t n = strcspn(key, " ");

	fprintf(f, "%.*s", (int)(key - params), params);
	/* A key in the kernel's keyring is a reference, not a secret. */
	if (*key == ':')
		fprintf(f, "%.*s", (int)n, key);
	else
		for (size_t i = 0; i < n; i++)
			fputc('0', f);
	fputs(key + n, f);
}

int bcl_table_text(const struct bcl_table *t, const char *indent, bool show_keys, char **ret_text)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		const struct bcl_line *l = &t->lines[i];

		fprintf(f, "%s%" PRIu64 " %" PRIu64 " %s", indent, l->start, l->len, l->type);
		if (*l->params)
			fputc(' ', f);
		if (!show_keys && !strcmp(l->type, "crypt"))
			print_crypt(f, l->params);
		else
			fputs(l->params, f);
		fputc('\n', f);
	}
	if (fclose(f)) {
		bcl_free_secret(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

int bcl_words_split(const char *s, struct bcl_words *ret)
{
	struct bcl_words w = {};
	char *save = NULL;
	size_t room;

	w.text = strdup(s);
	/* Each word but the last takes two bytes at least. */
	room = strlen(s) / 2 + 1;
	w.word = reallocarray(NULL, room, sizeof(*w.word));
	if (!w.text || !w.word) {
		bcl_words_done(&w);
		return -ENOMEM;
	}
	for (char *p = strtok_r(w.text, " ", &save); p; p = strtok_r(NULL, " ", &save))
		w.word[w.n++] = p;
	*ret = w;
	return 0;
}

void bcl_words_done(struct bcl_words *w)
{
	free(w->text);
	free(w->word);
	*w = (struct bcl_words) {};
}

int bcl_linear_parse(const char *params, char **ret_dev, uint64_t *ret_offset)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	uint64_t offset;
	char *dev;
	int r;

	r = bcl_words_split(params, &w);
	if (r < 0)
		return r;
	if (w.n != 2)
		return -EINVAL;
	r = bcl_parse_u64(w.word[1], &offset);
	if (r < 0)
		return r;
	dev = strdup(w.word[0]);
	if (!dev)
		return -ENOMEM;
	*ret_dev = dev;
	*ret_offset = offset;
	return 0;
}

bool bcl_table_below(const struct bcl_table *t, dev_t *ret_dev, uint64_t *ret_offset)
{
	_cleanup_free_ char *below = NULL;
	uint64_t offset;
	dev_t dev;

	if (!bcl_table_is_one(t, "linear") ||
	    bcl_linear_parse(t->lines[0].params, &below, &offset) < 0 ||
	    bcl_parse_devno(below, &dev) < 0)
		return false;
	*ret_dev = dev;
	*ret_offset = offset;
	return true;
}

bool bcl_region_sectors_valid(uint64_t v)
{
	return v >= BLOCKCOPY_REGION_SECTORS_MIN && v <= BLOCKCOPY_REGION_SECTORS_MAX &&
	       (v & (v - 1)) == 0;
}

void bcl_args_done(struct bcl_args *a)
{
	free(a->source);
	free(a->destination);
	free(a->copy_mode);
	free(a->sync);
	free(a->detect_zeroes);
	free(a->on_source_error);
	free(a->on_target_error);
	free(a->metadata);
	*a = (struct bcl_args) {};
}

static int replace_word(char **to, const char *from)
{
	char *word = from ? strdup(from) : NULL;

	if (!from)
		return 0;
	if (!word)
		return -ENOMEM;
	free(*to);
	*to = word;
	return 0;
}

int bcl_args_overlay(struct bcl_args *a, const struct bcl_args *from)
{
	if (from->bandwidth_set) {
		a->bandwidth_set = true;
		a->bandwidth = from->bandwidth;
	}
	if (from->buf_size_set) {
		a->buf_size_set = true;
		a->buf_size = from->buf_size;
	}
	if (from->write_timeout_set) {
		a->write_timeout_set = true;
		a->write_timeout = from->write_timeout;
	}
	a->target_is_zero = from->target_is_zero;
	a->compare = from->compare;
	a->paused = from->paused;
	a->finished = from->finished;
	if (replace_word(&a->copy_mode, from->copy_mode) < 0 ||
	    replace_word(&a->sync, from->sync) < 0 ||
	    replace_word(&a->detect_zeroes, from->detect_zeroes) < 0 ||
	    replace_word(&a->on_source_error, from->on_source_error) < 0 ||
	    replace_word(&a->on_target_error, from->on_target_error) < 0)
		return -ENOMEM;
	return 0;
}

static bool same_word(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool bcl_args_same_job(const struct bcl_args *a, const struct bcl_args *b)
{
	return same_word(a->source, b->source) && a->source_offset == b->source_offset &&
	       same_word(a->destination, b->destination) &&
	       a->destination_offset == b->destination_offset &&
	       a->region_sectors == b->region_sectors && same_word(a->metadata, b->metadata) &&
	       a->paused == b->paused && a->finished == b->finished;
}

/* A cursor over the words of a line. */
struct cursor {
	char **word;
	size_t n;
};

static const char *next(struct cursor *c)
{
	if (!c->n)
		return NULL;
	c->n--;
	return *c->word++;
}

static int take_word(struct cursor *c, char **to)
{
	const char *w = next(c);

	if (!w || *to)	/* missing value, or given twice */
		return -EINVAL;
	*to = strdup(w);
	return *to ? 0 : -ENOMEM;
}

static int take_u64(struct cursor *c, bool *set, uint64_t *to)
{
	const char *w = next(c);

	if (!w || *set)
		return -EINVAL;
	*set = true;
	return bcl_parse_u64(w, to);
}

static int take_flag(bool *to)
{
	if (*to)
		return -EINVAL;
	*to = true;
	return 0;
}

/* Return: 1 taken, 0 not an argument we know, -errno. */
static int parse_arg(struct cursor *c, const char *name, struct bcl_args *a)
{
	const struct {
		const char *name;
		char **to;
	} words[] = {
		{ "copy_mode", &a->copy_mode },
		{ "sync", &a->sync },
		{ "detect_zeroes", &a->detect_zeroes },
		{ "on_source_error", &a->on_source_error },
		{ "on_target_error", &a->on_target_error },
		{ "metadata", &a->metadata },
	};
	const struct {
		const char *name;
		bool *set;
		uint64_t *to;
	} numbers[] = {
		{ "bandwidth", &a->bandwidth_set, &a->bandwidth },
		{ "buf_size", &a->buf_size_set, &a->buf_size },
		{ "write_timeout", &a->write_timeout_set, &a->write_timeout },
	};
	const struct {
		const char *name;
		bool *to;
	} flags[] = {
		{ "target_is_zero", &a->target_is_zero },
		{ "compare", &a->compare },
		{ "paused", &a->paused },
		{ "pivoted", &a->pivoted },
		{ "finished", &a->finished },
	};
	int r;

	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		if (!strcmp(name, words[i].name)) {
			r = take_word(c, words[i].to);
			return r < 0 ? r : 1;
		}
	for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
		if (!strcmp(name, numbers[i].name)) {
			r = take_u64(c, numbers[i].set, numbers[i].to);
			return r < 0 ? r : 1;
		}
	for (size_t i = 0; i < ELEMENTSOF(flags); i++)
		if (!strcmp(name, flags[i].name)) {
			r = take_flag(flags[i].to);
			return r < 0 ? r : 1;
		}
	return 0;
}

static int parse_args(struct cursor *c, struct bcl_args *a)
{
	const char *w = next(c);
	uint64_t count;
	int r;

	if (!w)
		return 0;
	r = bcl_parse_u64(w, &count);
	if (r < 0)
		return r;
	if (count != c->n)
		return -EINVAL;
	while ((w = next(c))) {
		r = parse_arg(c, w, a);
		if (r < 0)
			return r;
		if (r == 0) {
			a->unknown = true;
			return 0;
		}
	}
	return 0;
}

int bcl_args_parse(const char *params, struct bcl_args *ret)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	_cleanup_(bcl_args_done) struct bcl_args a = {};
	struct cursor c;
	bool set[3] = {};
	int r;

	r = bcl_words_split(params, &w);
	if (r < 0)
		return r;
	c = (struct cursor) { w.word, w.n };

	r = take_word(&c, &a.source);
	if (r == 0)
		r = take_u64(&c, &set[0], &a.source_offset);
	if (r == 0)
		r = take_word(&c, &a.destination);
	if (r == 0)
		r = take_u64(&c, &set[1], &a.destination_offset);
	if (r == 0)
		r = take_u64(&c, &set[2], &a.region_sectors);
	if (r < 0)
		return r;
	if (!bcl_region_sectors_valid(a.region_sectors))
		return -EINVAL;
	r = parse_args(&c, &a);
	if (r < 0)
		return r;

	*ret = a;
	a = (struct bcl_args) {};
	return 0;
}

int bcl_args_format(const struct bcl_args *a, char **ret_params)
{
	const struct {
		const char *name, *value;
	} words[] = {
		{ "copy_mode", a->copy_mode },
		{ "sync", a->sync },
		{ "detect_zeroes", a->detect_zeroes },
		{ "on_source_error", a->on_source_error },
		{ "on_target_error", a->on_target_error },
		{ "metadata", a->metadata },
	};
	const struct {
		const char *name;
		bool set;
		uint64_t value;
	} numbers[] = {
		{ "bandwidth", a->bandwidth_set, a->bandwidth },
		{ "buf_size", a->buf_size_set, a->buf_size },
		{ "write_timeout", a->write_timeout_set, a->write_timeout },
	};
	_cleanup_free_ char *args = NULL;
	char *params = NULL;
	size_t size = 0;
	unsigned int count = 0;
	FILE *f = open_memstream(&args, &size);

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		if (words[i].value) {
			fprintf(f, " %s %s", words[i].name, words[i].value);
			count += 2;
		}
	for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
		if (numbers[i].set) {
			fprintf(f, " %s %" PRIu64, numbers[i].name, numbers[i].value);
			count += 2;
		}
	if (a->target_is_zero) {
		fputs(" target_is_zero", f);
		count++;
	}
	if (a->compare) {
		fputs(" compare", f);
		count++;
	}
	if (a->paused) {
		fputs(" paused", f);
		count++;
	}
	if (a->pivoted) {
		fputs(" pivoted", f);
		count++;
	}
	if (a->finished) {
		fputs(" finished", f);
		count++;
	}
	if (fclose(f))
		return -ENOMEM;

	params = bcl_asprintf("%s %" PRIu64 " %s %" PRIu64 " %" PRIu64, a->source, a->source_offset,
			      a->destination, a->destination_offset, a->region_sectors);
	if (params && count) {
		char *with = bcl_asprintf("%s %u%s", params, count, args);

		free(params);
		params = with;
	}
	if (!params)
		return -ENOMEM;
	*ret_params = params;
	return 0;
}

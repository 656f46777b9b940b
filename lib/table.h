/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device-mapper tables as data: build, compare, print, parse. Pure: no I/O, no handle. */
#ifndef BCL_TABLE_H
#define BCL_TABLE_H

#include "util.h"

struct bcl_line {
	uint64_t start;		/* sectors */
	uint64_t len;		/* sectors */
	char *type;
	char *params;		/* of a table, or the text of a status; may hold a key */
};

struct bcl_table {
	struct bcl_line *lines;
	size_t n;
};

int bcl_table_new(struct bcl_table **ret);
/* Zeroes what it frees: a crypt line holds a key. */
void bcl_table_free(struct bcl_table *t);
DEFINE_CLEANUP(struct bcl_table, bcl_table_free)

/* Return: 0, -ENOMEM. */
int bcl_table_add(struct bcl_table *t, uint64_t start, uint64_t len, const char *type,
		  const char *params);

/* Sectors from 0 to the end of the last line. */
uint64_t bcl_table_len(const struct bcl_table *t);
bool bcl_table_equal(const struct bcl_table *a, const struct bcl_table *b);
/* Does any line have this target type? */
bool bcl_table_has(const struct bcl_table *t, const char *type);
/* Exactly one line of this type? */
bool bcl_table_is_one(const struct bcl_table *t, const char *type);

/*
 * The text as dmsetup prints it, each line ends with a newline and begins with "@indent". The key
 * of a crypt line is printed as zeroes unless "@show_keys".
 */
int bcl_table_text(const struct bcl_table *t, const char *indent, bool show_keys, char **ret_text);

/* The parameters of a linear line. Return: 0, -EINVAL, -ENOMEM. */
int bcl_linear_parse(const char *params, char **ret_dev, uint64_t *ret_offset);

/* One linear line: what it stands on, and from which sector on. Return: whether it is one. */
bool bcl_table_below(const struct bcl_table *t, dev_t *ret_dev, uint64_t *ret_offset);

/* The parameters of a blockcopy line, see kmod/blockcopy-abi.h. */
struct bcl_args {
	char *source;
	uint64_t source_offset;		/* sectors */
	char *destination;
	uint64_t destination_offset;	/* sectors */
	uint64_t region_sectors;

	/* Arguments; NULL or unset where the line does not say. */
	char *copy_mode;
	char *sync;
	char *detect_zeroes;
	char *on_source_error;
	char *on_target_error;
	char *metadata;			/* device; as given to the target, or MAJ:MIN from it */
	bool bandwidth_set;
	uint64_t bandwidth;
	bool buf_size_set;
	uint64_t buf_size;
	bool write_timeout_set;
	uint64_t write_timeout;		/* ms */
	bool target_is_zero;
	bool compare;
	bool paused;
	bool pivoted;
	bool finished;
	bool unknown;	/* a newer target's argument was met; those after it were not looked at */
};

void bcl_args_done(struct bcl_args *a);
/*
 * What is set in "@from" but for devices and regions, over what is in "@a"; flags in any
 * case. Return: 0, -ENOMEM.
 */
int bcl_args_overlay(struct bcl_args *a, const struct bcl_args *from);
/* The same devices in the same state, whatever the limits, and whether it has pivoted since. */
bool bcl_args_same_job(const struct bcl_args *a, const struct bcl_args *b);
/*
 * Strict in what it knows: word count, numbers, values and duplicates. An argument it does not
 * know ends the parsing with "unknown" set, so that a job of a newer module can still be pivoted
 * and aborted.
 * Return: 0, -EINVAL, -ERANGE, -ENOMEM; *ret is written on success only.
 */
int bcl_args_parse(const char *params, struct bcl_args *ret);
/* The inverse. Return: 0, -ENOMEM. */
int bcl_args_format(const struct bcl_args *a, char **ret_params);

/* Is "@v" a region size that the target takes, in sectors? */
bool bcl_region_sectors_valid(uint64_t v);

/* A word list split at spaces; "words" point into "text". */
struct bcl_words {
	char *text;
	char **word;
	size_t n;
};

int bcl_words_split(const char *s, struct bcl_words *ret);
void bcl_words_done(struct bcl_words *w);

#endif /* BCL_TABLE_H */

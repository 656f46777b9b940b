/* SPDX-License-Identifier: GPL-2.0-only */
/* /etc/blockcopytab: devices that are given a dm layer at boot, and what they are copied to. */
#ifndef BLOCKCOPY_TAB_H
#define BLOCKCOPY_TAB_H

#include <stdio.h>

#define TAB_FILE "/etc/blockcopytab"

/*
 * A line: NAME DEVICE [DESTINATION METADATA [OPTIONS]], separated by blanks; "-" or "none" where there
 * is nothing. OPTIONS are words of `blockcopy start`, without dashes, KEY=VALUE or KEY, and those for
 * the boot (noauto, nofail, initramfs, timeout=SECONDS), with commas in between. "#" begins a comment.
 */
struct tab_entry {
	char *text;		/* the words below are in it */
	unsigned int line;
	const char *name, *device;
	const char *destination, *metadata;	/* NULL: nothing */
	char *options;		/* "" without */
};

/*
 * The next entry of the file. Return: 1 an entry, for tab_entry_done(); 0 the end; -EINVAL a line that
 * makes no sense, *ret_what says why and "line" where, and the next call goes on after it; else -errno,
 * the file cannot be read.
 */
int tab_next(FILE *f, struct tab_entry *e, const char **ret_what);
void tab_entry_done(struct tab_entry *e);

/* The value of an option for the boot, "" for one without, NULL when it is not there. */
const char *tab_option(const struct tab_entry *e, const char *key);
/* Is the word (of "@n" bytes) one of those? */
int tab_is_boot_option(const char *word, size_t n);

#endif /* BLOCKCOPY_TAB_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files as destinations. */
#ifndef BCL_DESTINATION_FILE_H
#define BCL_DESTINATION_FILE_H

#include "internal.h"

struct bcl_file_wanted {
	uint64_t size;		/* bytes, of a file that is created */
	uint64_t block_size;	/* logical, bytes: the source's */
	bool reuse;		/* take what is there as it is */
};

/* A file on its way to a table. What was made for it goes with bcl_file_done(), unless it is kept. */
struct bcl_file {
	char *path;
	char *loop_path;
	int fd;
	int loop;		/* -1 where the loop device was there before */
	bool created;
	bool resized;
	uint64_t old_size;	/* when it was resized */
};

/* Is "@spec" a file, or may one be made there? Not in /dev. */
bool bcl_file_is_meant(const char *spec);

/* A loop device that stands on the file. Return: 1 there is one, 0 none, -ENOMEM. */
int bcl_file_loop(const char *path, char **ret_loop);

/*
 * Create it if it is missing, attach a loop device if it has none. bcl_file_done() also after a
 * failure. Return: 0, -errno.
 */
int bcl_file_open(struct blockcopy *bc, const char *path, const struct bcl_file_wanted *want,
		  struct bcl_file *f);

#define BCL_NO_FILE ((struct bcl_file) { .fd = -1, .loop = -1 })

/* A table holds it: it stays. */
void bcl_file_keep(struct bcl_file *f);
void bcl_file_done(struct bcl_file *f);

/* Why one cannot be used without, or with, reuse_external. Return: -errno. */
int bcl_file_not_empty(struct blockcopy *bc, const char *path);
int bcl_file_missing(struct blockcopy *bc, const char *path);

/* The file that a loop device stands on; NULL if it is none. */
char *bcl_file_behind(dev_t dev);

#endif /* BCL_DESTINATION_FILE_H */

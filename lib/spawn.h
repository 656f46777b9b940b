/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs. */
#ifndef BCL_SPAWN_H
#define BCL_SPAWN_H

#include "internal.h"

/*
 * Run a program of PATH and wait for it. What it says is the error's text, a line of it.
 * Return: 0 it succeeded, -errno.
 */
int bcl_run(struct blockcopy *bc, const char *const argv[]);

/* The same, with what it prints to "@out". */
int bcl_run_to(struct blockcopy *bc, const char *const argv[], int out);

/*
 * The same, for a program that is asked something. Return: its exit status, with the first line of what it
 * says in "*ret_line", or if that is not 0 the last line of standard error; -errno.
 */
int bcl_ask(struct blockcopy *bc, const char *const argv[], char **ret_line);

/*
 * The same, for one that may take long: it goes on by itself after "@ms". Return: 0 it succeeded, -ETIMEDOUT,
 * -errno.
 */
int bcl_run_for(struct blockcopy *bc, const char *const argv[], int ms);

/* A server that is not of use yet. */
struct bcl_server {
	pid_t watcher;
	int to_watcher;
};

/*
 * Run a server that is given a listening socket, as by systemd. "@err" gets what it says.
 * Return: 0 it was started, -errno.
 */
int bcl_serve(struct blockcopy *bc, const char *const argv[], int listening, int err,
	      struct bcl_server *s);

/* It is to outlive us, or to go. It goes, too, if we are killed before. */
void bcl_server_done(struct bcl_server *s, bool keep);

/* The first line of what such a file has. NULL without memory. */
char *bcl_said(int fd);

#endif /* BCL_SPAWN_H */

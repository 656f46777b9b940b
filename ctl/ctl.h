/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the controller share. It is a thin face over libblockcopy. */
#ifndef BLOCKCOPY_CTL_H
#define BLOCKCOPY_CTL_H

#include <blockcopy.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* NAMEs of one --group. */
#define GROUP_MAX 99

/* Without --max-blackout. */
#define MAX_BLACKOUT_MS 500

enum command {
#define COMMAND(name, min, max, args, help) CMD_##name,
#include "commands.def"
#undef COMMAND
	CMD_MAX,
};

/* As given; NULL or false: not given. */
struct options {
#define FLAG bool
#define TEXT const char *
#define NOOP bool
#define OPTION(id, name, kind, commands, value, help, text) kind id;
#include "options.def"
#undef OPTION
#undef FLAG
#undef TEXT
#undef NOOP
};

struct progress;

struct ctl {
	struct blockcopy *bc;
	enum command command;
	struct options opt;
	char **arg;	/* after the command, NULL-terminated */
	int n_arg;
	struct progress *progress;	/* what is on the terminal, or NULL */
};

/* ---- main.c ---- */

/* Print "blockcopy: ..." on standard error. Return: the exit status that was given. */
int complain(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The error of the handle, as a line and an exit status. */
int failed(struct ctl *c);
/* Say how a job ended, in virsh's words or as JSON. */
void print_result(struct ctl *c, const char *word, const char *phrase, const uint64_t *blackout_us);

/* ---- cmd-job.c ---- */

/* As --keep-source and --source-failed say. Return: exit status. */
int pivot_job(struct ctl *c, unsigned int max_blackout_ms);
/* blockcopy_finish(), or the other one with --keep-tracking. Return: exit status. */
int finish_job(struct ctl *c, unsigned int max_blackout_ms, uint64_t *ret_blackout_us);

/* ---- tab-check.c: the line of blockcopytab for a device ---- */

/*
 * A device that comes back at boot as its metadata says must not be copied without it: a pivot would
 * not be known there. Return: exit status.
 */
int check_tab(struct ctl *c, const char *name);
/* The metadata of its line. Return: NULL without, or no memory; else to be freed. */
char *tab_metadata(struct ctl *c, const char *name);
/*
 * Before a pivot: what to tell after it, where the next boot would use the old device and nobody would
 * notice. Return: NULL if there is nothing to tell; else to be freed.
 */
char *stale_tab_line(struct ctl *c, const char *name);

/* ---- options.c ---- */

/* Return: -1 go on; else an exit status, something was printed. */
int parse_command_line(struct ctl *c, int argc, char **argv);
/*
 * Options of a line of blockcopytab, "KEY=VALUE,KEY", into those of the command line, which have
 * precedence. "@words" is cut up. Return: exit status.
 */
int take_tab_options(struct ctl *c, char *words, unsigned int line);
/* "@what" is a command or NULL. Return: exit status. */
int print_help(const char *what);

/* ---- size.c: pure ---- */

/*
 * "64K", "1.5GiB", "100": bytes. Bare numbers are multiplied with "@unit". Return: 0, -EINVAL,
 * -ERANGE.
 */
int parse_size(const char *s, uint64_t unit, uint64_t *ret);
/* A decimal number without sign. */
int parse_number(const char *s, uint64_t max, uint64_t *ret);
/* "1.5 GiB" into "@buf", which it returns. */
#define SIZE_TEXT 32
const char *format_size(uint64_t bytes, char buf[SIZE_TEXT]);
/* Seconds that are left, "1:02:03" or "12 days"; negative: unknown. Likewise, at most 9 bytes. */
const char *format_eta(int64_t s, char buf[SIZE_TEXT]);

/* ---- utf8.c ---- */

/* A dm name may hold any bytes: those that are not UTF-8 are written as \xNN. The caller frees it; NULL: no memory. */
char *valid_utf8(const char *s);

/* ---- ranges.c ---- */

/*
 * The ranges in a file, or on standard input for "-", of a device of "@size" bytes. "@zero_there": what is told to
 * be zero is not among them. The caller frees the array. Return: exit status, something was printed.
 */
int read_ranges(const char *path, uint64_t size, bool zero_there, struct blockcopy_range **ret, size_t *ret_n);

/* ---- values of options, each complains and returns an exit status, or 0 ---- */

int get_max_blackout(struct ctl *c, unsigned int *ret_ms);
/* -1 without the option. */
int get_timeout(struct ctl *c, int64_t *ret_ms);

/* ---- cmd-start.c ---- */

/* Return: exit status. */
int fill_granularity(const struct ctl *c, struct blockcopy_options *o);
int fill_options(struct ctl *c, struct blockcopy_options *o);

/* ---- settings.c: each complains and returns an exit status, or 0 ---- */

struct setting {
	int id;
	uint64_t number;
	const char *word;
};

/* What "set" takes, for its help. */
void print_settings(void);
/* Those of the options that can be changed later, too. */
int fill_settings(const struct ctl *c, struct blockcopy_options *o);
/* "KEY=VALUE". "@o" is scratch: it takes the value or refuses it. */
int parse_setting(const struct ctl *c, const char *arg, struct blockcopy_options *o,
		  struct setting *ret);
/* Change it in the job. Return: 0, -errno with the error in the handle. */
int apply_setting(struct ctl *c, const struct setting *s);

/* ---- background.c ---- */

/*
 * Abort, idempotent, in a process of its own. Return: exit status, as soon as the device has its
 * plain table; the rest is done when this one has gone.
 */
int abort_in_background(struct ctl *c);

/* ---- cmd-verify.c ---- */

/* Compare, and complain where the copy is not equal: for before a pivot. Return: exit status. */
int verify_first(struct ctl *c);

/* ---- progress.c ---- */

struct progress {
	FILE *to;
	bool verify;		/* it is that of a verify */
	bool tty;
	size_t width;		/* of the line on the terminal */
	int64_t printed_at;	/* ms */
	int state;		/* printed last */
};

void progress_begin(struct progress *p, FILE *to);
/* A blockcopy_progress_fn; userdata is the struct. */
void progress_show(void *userdata, const struct blockcopy_info *info);
/* Leave the line. */
void progress_end(struct progress *p);
/* Milliseconds between looks. */
int progress_interval(const struct progress *p);

/* ---- json.c ---- */

/* One line with newline; flushed. */
void json_print_info(FILE *f, const struct blockcopy_info *info);
void json_print_list(FILE *f, struct blockcopy_info **list, size_t n);
void json_print_change(FILE *f, const char *change, const struct blockcopy_info *info);
/* What a verify found, and where. */
void json_print_verify(FILE *f, const struct blockcopy_info *info, const struct blockcopy_range *ranges,
		       size_t n);
/* Where the devices may differ, and what of it could not be read. */
void json_print_map(FILE *f, const struct blockcopy_info *info, const struct blockcopy_range *dirty,
		    size_t n_dirty, const struct blockcopy_range *unread, size_t n_unread);
void json_print_metadata(FILE *f, const struct blockcopy_metadata *md);
void json_print_result(FILE *f, const char *name, const char *result, const uint64_t *blackout_us);

/* ---- cancel.c ---- */

/* Make SIGINT, SIGTERM and SIGHUP cancel waits of the library. Return: 0, -errno. */
int cancel_on_signals(struct ctl *c);
/* The signals as they were before, for a child. */
void cancel_restore(void);

/* ---- cmd-look.c ---- */

/* blockcopy_wait() for the job that is named, with progress where it is wanted. */
int wait_with_progress(struct ctl *c, int64_t timeout_ms);

/*
 * What there is to say about a change: a line without newline, and as names and values that live as long as the
 * info.
 */
#define CHANGE_LINE	512
void change_line(enum blockcopy_change change, const struct blockcopy_info *i, char buf[CHANGE_LINE]);
#define CHANGE_FIELDS	9
struct field {
	const char *name, *value;
};
void change_fields(enum blockcopy_change change, const struct blockcopy_info *i,
		   struct field ret[CHANGE_FIELDS]);

/* ---- journal.c ---- */

/* The device that lines are about from now on, or NULL; kept. */
void journal_set_subject(const char *name);
/* If standard error is the journal's, make an entry, of a priority of syslog(3). Return: whether it is one. */
bool journal_line(int priority, const char *line);
/* An entry of the journal with the fields of the change; else a line on standard error. */
void journal_change(enum blockcopy_change change, const struct blockcopy_info *i);
/* The status of the unit, and that it has begun. Without systemd: nothing. */
void notify_systemd(bool ready, const char *status);

/* ---- cmd-*.c: each returns an exit status ---- */

#define COMMAND(name, min, max, args, help) int cmd_##name(struct ctl *c);
#include "commands.def"
#undef COMMAND

#endif /* BLOCKCOPY_CTL_H */

// SPDX-License-Identifier: GPL-2.0-only
/* The command line, out of options.def and commands.def. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "tab.h"

/* What --help fits into, with 24 lines. */
#define SCREEN_WIDTH 80

enum kind { FLAG, TEXT, NOOP };

#define ON(command) (1ULL << CMD_##command)
#define ALSO(command) (ON(command) << 32)
static_assert(CMD_MAX <= 32, "ON() and ALSO() have 32 bits each");

enum option_id {
#define OPTION(id, name, kind, commands, value, help, text) OPT_##id,
#include "options.def"
#undef OPTION
	OPT_MAX,
};

static const struct option_def {
	const char *name;
	enum kind kind;
	uint64_t commands;
	const char *value;
	const char *help;
} option_defs[OPT_MAX] = {
#define OPTION(id, name, kind, commands, value, help, text) { name, kind, commands, value, help },
#include "options.def"
#undef OPTION
};

static const struct command_def {
	const char *name;
	int min, max;
	const char *args;
	const char *help;
} command_defs[CMD_MAX] = {
#define COMMAND(name, min, max, args, help) { #name, min, max, args, help },
#include "commands.def"
#undef COMMAND
};

static enum command find_command(const char *name)
{
	int i;

	for (i = 0; i < CMD_MAX; i++)
		if (!strcmp(command_defs[i].name, name))
			break;
	return i;
}

static void store(struct options *o, int id, const char *value)
{
	switch (id) {
#define FLAG true
#define NOOP true
#define TEXT value
#define OPTION(id, name, kind, commands, value_name, help, text) \
	case OPT_##id:					\
		o->id = kind;				\
		break;
#include "options.def"
#undef OPTION
#undef FLAG
#undef NOOP
#undef TEXT
	}
}

static bool takes(const struct option_def *d, enum command command)
{
	return (d->commands | d->commands >> 32) & (1ULL << command);
}

/* "--name VALUE" */
#define OPTION_TEXT 64
static const char *option_text(const struct option_def *d, char buf[OPTION_TEXT])
{
	snprintf(buf, OPTION_TEXT, "--%s%s%s", d->name, d->value ? " " : "", d->value ?: "");
	return buf;
}

/* Those that are told in the manual only: as many on a line as a screen is wide. */
static void print_other_options(enum command command)
{
	size_t column = 0;
	char buf[OPTION_TEXT];

	for (int i = 0; i < OPT_MAX; i++) {
		const struct option_def *d = &option_defs[i];

		if (!d->help || !(d->commands >> 32 & (1ULL << command)))
			continue;
		option_text(d, buf);
		if (!column)
			printf("\nAlso, see blockcopy-%s(8):", command_defs[command].name);
		if (!column || column + 2 + strlen(buf) >= SCREEN_WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += printf("  %s", buf);
	}
	if (column)
		printf("\n");
}

static void print_options(enum command command)
{
	char buf[OPTION_TEXT];
	bool any = false;

	for (int i = 0; i < OPT_MAX; i++) {
		const struct option_def *d = &option_defs[i];

		if (!d->help || !(d->commands & (1ULL << command)))
			continue;
		if (!any)
			printf("\nOptions:\n");
		any = true;
		printf("  %-25s %s\n", option_text(d, buf), d->help);
	}
	print_other_options(command);
}

/* Two on a line, so that all fit a screen. */
static const struct {
	enum command first, second;
	const char *names, *help;
} together[] = {
	{ CMD_pause, CMD_resume, "pause, resume", "stop copying, keeping account of writes; go on" },
	{ CMD_attach, CMD_detach, "attach, detach", "put the dm device NAME on an unused disk; take it away" },
};

static void print_command(enum command command)
{
	for (size_t i = 0; i < sizeof(together) / sizeof(*together); i++) {
		if (command == together[i].second)
			return;
		if (command == together[i].first) {
			printf("  %-14s %s\n", together[i].names, together[i].help);
			return;
		}
	}
	printf("  %-14s %s\n", command_defs[command].name, command_defs[command].help);
}

/* For scripts, units and users of virsh: --help only names them, as it is to fit a screen. */
static bool is_for_few(int command)
{
	return command == CMD_job || command == CMD_metrics || command == CMD_boot || command == CMD_metadata;
}

static void print_commands(void)
{
	const char *before = "Also, see blockcopy(8):";

	printf("Usage: blockcopy COMMAND [ARGUMENT]... [OPTION]...\n"
	       "Copy a device-mapper device in use to another device, then switch to it.\n\n");
	for (int i = 0; i < CMD_MAX; i++)
		if (i != CMD_help && i != CMD_version && !is_for_few(i))
			print_command(i);
	for (int i = 0; i < CMD_MAX; i++)
		if (is_for_few(i)) {
			printf("%s %s", before, command_defs[i].name);
			before = ",";
		}
	printf(".\n");
	printf("\n`blockcopy COMMAND --help` shows its options. See blockcopy(8).\n");
}

int print_help(const char *what)
{
	enum command command = what ? find_command(what) : CMD_MAX;
	const struct command_def *d;
	int n;

	if (!what) {
		print_commands();
		return BLOCKCOPY_OK;
	}
	if (command == CMD_MAX)
		return complain(BLOCKCOPY_USAGE, "%s: no such command", what);
	d = &command_defs[command];
	n = printf("Usage: blockcopy %s%s%s", d->name, *d->args ? " " : "", d->args);
	printf("%s[OPTION]...\n%c%s.\n", n + 12 < SCREEN_WIDTH ? " " : "\n\t", toupper(*d->help),
	       d->help + 1);
	if (command == CMD_set)
		print_settings();
	print_options(command);
	return BLOCKCOPY_OK;
}

/* Return: -1, or an exit status. */
static int take_option(struct ctl *c, int id, const char *value)
{
	const struct option_def *d = &option_defs[id];

	if (!takes(d, c->command))
		return complain(BLOCKCOPY_USAGE, "option --%s does not apply to %s", d->name,
				command_defs[c->command].name);
	store(&c->opt, id, value);
	return -1;
}

static int take_tab_option(struct ctl *c, char *word, unsigned int line)
{
	char *value = strchr(word, '=');
	size_t n = value ? (size_t)(value - word) : strlen(word);

	for (int id = 0; id < OPT_MAX; id++) {
		const struct option_def *d = &option_defs[id];

		if (id == OPT_tab || !takes(d, CMD_boot) || strlen(d->name) != n ||
		    strncmp(d->name, word, n) || (d->kind == TEXT) != !!value)
			continue;
		store(&c->opt, id, value ? value + 1 : NULL);
		return BLOCKCOPY_OK;
	}
	return complain(BLOCKCOPY_USAGE, "line %u: found the option \"%s\", needed one of `blockcopy "
					 "help boot`, or noauto, nofail, initramfs, timeout=", line, word);
}

int take_tab_options(struct ctl *c, char *words, unsigned int line)
{
	const struct options given = c->opt;
	int r = BLOCKCOPY_OK;

	for (char *word; !r && (word = strsep(&words, ",")); )
		if (*word && !tab_is_boot_option(word, strlen(word)))
			r = take_tab_option(c, word, line);
#define FLAG bool
#define NOOP bool
#define TEXT const char *
#define OPTION(id, name, kind, commands, value_name, help, text) \
	if (given.id != (kind)0)			\
		c->opt.id = given.id;
#include "options.def"
#undef OPTION
#undef FLAG
#undef NOOP
#undef TEXT
	return r;
}

int parse_command_line(struct ctl *c, int argc, char **argv)
{
	struct option long_options[OPT_MAX + 3] = {};
	const struct command_def *d;
	int taken[64], n_taken = 0, id;
	const char *values[64];
	bool help = false;

	for (int i = 0; i < OPT_MAX; i++)
		long_options[i] = (struct option) {
			option_defs[i].name,
			option_defs[i].kind == TEXT ? required_argument : no_argument,
			NULL, 256 + i,
		};
	long_options[OPT_MAX] = (struct option) { "help", no_argument, NULL, 'h' };
	long_options[OPT_MAX + 1] = (struct option) { "version", no_argument, NULL, 'V' };

	opterr = 0;
	while ((id = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
		if (id == 'h') {
			help = true;
			continue;
		}
		if (id == 'V') {
			printf("blockcopy %s\n", blockcopy_version());
			return BLOCKCOPY_OK;
		}
		if (id == ':')
			return complain(BLOCKCOPY_USAGE, "option %s needs a value",
					argv[optind - 1]);
		if (id == '?')
			return complain(BLOCKCOPY_USAGE,
					"option %s: unknown, ambiguous or with a value it does not "
					"take; see `blockcopy help`", argv[optind - 1]);
		if (n_taken == 64)
			return complain(BLOCKCOPY_USAGE, "too many options");
		/* Kept until the command is known. */
		taken[n_taken] = id - 256;
		values[n_taken++] = optarg;
	}
	/* Wherever it stood: the command is known only now. */
	if (help)
		return print_help(argv[optind]);
	if (optind == argc)
		return complain(BLOCKCOPY_USAGE, "no command; see `blockcopy help`");
	c->command = find_command(argv[optind]);
	if (c->command == CMD_MAX)
		return complain(BLOCKCOPY_USAGE, "%s: no such command; see `blockcopy help`",
				argv[optind]);
	d = &command_defs[c->command];
	c->arg = argv + optind + 1;
	c->n_arg = argc - optind - 1;
	if (c->n_arg < d->min || c->n_arg > d->max)
		return complain(BLOCKCOPY_USAGE, "%s: too %s arguments: blockcopy %s %s", d->name,
				c->n_arg < d->min ? "few" : "many", d->name, d->args);
	for (int i = 0; i < n_taken; i++) {
		int r = take_option(c, taken[i], values[i]);

		if (r >= 0)
			return r;
	}
	return -1;
}

/* ---- values ---- */

int get_max_blackout(struct ctl *c, unsigned int *ret_ms)
{
	uint64_t ms = MAX_BLACKOUT_MS;

	if (c->opt.max_blackout &&
	    (parse_number(c->opt.max_blackout, 60000, &ms) < 0 || ms < 1))
		return complain(BLOCKCOPY_USAGE,
				"max-blackout: found \"%s\", needed 1 to 60000 milliseconds",
				c->opt.max_blackout);
	*ret_ms = ms;
	return BLOCKCOPY_OK;
}

int get_timeout(struct ctl *c, int64_t *ret_ms)
{
	uint64_t s;

	*ret_ms = -1;
	if (!c->opt.timeout)
		return BLOCKCOPY_OK;
	if (parse_number(c->opt.timeout, INT32_MAX, &s) < 0 || s < 1)
		return complain(BLOCKCOPY_USAGE, "timeout: found \"%s\", needed at least 1 second",
				c->opt.timeout);
	*ret_ms = (int64_t)s * 1000;
	return BLOCKCOPY_OK;
}

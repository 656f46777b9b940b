// SPDX-License-Identifier: GPL-2.0-only
/*
 * tables page COMMAND VERSION < COMMAND.in	the manual page of a command
 * tables main VERSION < blockcopy.in		that of all of them
 * tables completion < blockcopy.in		the completion of bash
 * tables list					"COMMAND --OPTION [VALUE]", a line each
 *
 * What options.def, commands.def and settings.def say, for those who read it elsewhere than on the command
 * line. Runs when it is built.
 *
 * The input is the description; after a line "@EXAMPLES" the examples; after "@SEE" the other pages, a word each.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum command {
#define COMMAND(name, min, max, args, help) CMD_##name,
#include "../commands.def"
#undef COMMAND
	CMD_MAX,
};

#define ON(command) (1ULL << CMD_##command)
#define ALSO(command) ON(command)

static const struct option_def {
	const char *name;
	uint64_t commands;
	const char *value, *help, *text;
} options[] = {
#define OPTION(id, name, kind, commands, value, help, text) { name, commands, value, help, text },
#include "../options.def"
#undef OPTION
};

static const struct command_def {
	const char *name, *args, *help;
} commands[CMD_MAX] = {
#define COMMAND(name, min, max, args, help) { #name, args, help },
#include "../commands.def"
#undef COMMAND
};

static const struct setting_def {
	const char *key, *needed;
} settings[] = {
#define SETTING(id, key, kind, needed) { key, needed },
#include "../settings.def"
#undef SETTING
};

#define ELEMENTSOF(a) (sizeof(a) / sizeof(*(a)))
/* NOLINTBEGIN(bugprone-macro-parentheses): it declares "o" */
#define for_each_option(o, command)						\
	for (const struct option_def *o = options; o < options + ELEMENTSOF(options); o++)	\
		if (o->help && o->commands & (1ULL << (command)))
/* NOLINTEND(bugprone-macro-parentheses) */

/* version and help are told in the page of all. */
static bool has_page(int command)
{
	return command != CMD_version && command != CMD_help;
}

/* With hyphens that can be copied. */
static void put_literal(const char *s, size_t n)
{
	for (; n; s++, n--)
		printf(*s == '-' ? "\\-" : *s == '\\' ? "\\e" : "%c", *s);
}

/* Words that begin with "--" are options. */
static void put_sentences(const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " "), word = n;

		if (!strncmp(s, "--", 2)) {
			while (strchr(".,:;", s[word - 1]))
				word--;
			printf("\\fB");
			put_literal(s, word);
			printf("\\fP");
		} else {
			word = 0;
		}
		put_literal(s + word, n - word);
		s += n;
		if (*s)
			putchar(*s++);
	}
	putchar('\n');
}

static void put_option(const struct option_def *o)
{
	printf(".TP\n\\fB\\-\\-");
	put_literal(o->name, strlen(o->name));
	printf("\\fP");
	if (o->value)
		printf(" \\fI%s\\fP", o->value);
	putchar('\n');
	put_sentences(o->help);
	if (*o->text) {
		printf(".br\n");
		put_sentences(o->text);
	}
}

static void put_options(int command)
{
	bool any = false;

	for_each_option(o, command) {
		if (!any)
			printf(".SH OPTIONS\n");
		any = true;
		put_option(o);
	}
}

static void put_settings(void)
{
	printf(".SH KEYS\n");
	for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
		printf(".TP\n\\fB");
		put_literal(settings[i].key, strlen(settings[i].key));
		printf("\\fP=\\fIVALUE\\fP\n");
		put_sentences(settings[i].needed);
	}
}

static const char exit_status[] =
	".SH EXIT STATUS\n"
	".TP 4\n0\ndone\n"
	".TP 4\n1\nfailed\n"
	".TP 4\n2\nwrong usage\n"
	".TP 4\n3\nno such device or job\n"
	".TP 4\n4\nwrong state: a pivot before READY, a second start on one device\n"
	".TP 4\n5\ntimed out\n"
	".TP 4\n6\nrefused for safety: too small, in use, mounted, read\\-only, carries a signature ...\n"
	".PP\nEach failure is one line on standard error that names the device, what was found and what was needed.\n";

static const char files[] =
	".SH FILES\n"
	".TP\n.I /dev/mapper/NAME\nthe device\n"
	".TP\n.I /etc/blockcopytab\nwhat comes back at boot, see\n.BR blockcopytab (5)\n"
	".TP\n.I /run/blockcopy\nlocks; no state\n"
	".TP\n.I /var/lib/blockcopy\nmetadata that is not to be believed after a crash\n";

static void put_title(const char *page, const char *version, const char *help)
{
	printf(".\\\" Made from ctl/*.def and ctl/man/*.in.\n.TH ");
	for (const char *c = page; *c; c++)
		putchar(*c == '-' ? '-' : *c & ~0x20);
	printf(" 8 \"\" \"dm\\-blockcopy %s\" \"Copying block devices in use\"\n.SH NAME\n", version);
	put_literal(page, strlen(page));
	printf(" \\- %s\n.SH SYNOPSIS\n", help);
}

static char *line;
static size_t line_size;

static bool next_line(void)
{
	return getline(&line, &line_size, stdin) > 0;
}

/* The input up to the line "@mark", or the end. */
static void put_until(const char *mark)
{
	while (next_line() && strcmp(line, mark))
		fputs(line, stdout);
}

/* What follows the options in every page. */
static void put_rest(const char *page)
{
	char name[64];
	bool any = false;

	fputs(exit_status, stdout);
	fputs(files, stdout);
	printf(".SH EXAMPLES\n");
	put_until("@SEE\n");
	printf(".SH SEE ALSO\n");
	while (next_line()) {
		line[strcspn(line, "\n")] = '\0';
		for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
			size_t n = strcspn(word, "(");

			if (any)
				printf(",\n");
			printf(".BR ");
			put_literal(word, n);
			printf(" %s", word + n);
			any = true;
		}
	}
	for (int i = 0; i < CMD_MAX && !strcmp(page, "blockcopy"); i++) {
		if (!has_page(i))
			continue;
		snprintf(name, sizeof(name), "blockcopy-%s", commands[i].name);
		printf(",\n.BR ");
		put_literal(name, strlen(name));
		printf(" (8)");
	}
	putchar('\n');
}

static void put_page(int command, const char *version)
{
	const struct command_def *d = &commands[command];
	char name[64];
	bool any = false;

	snprintf(name, sizeof(name), "blockcopy-%s", d->name);
	put_title(name, version, d->help);
	printf(".B blockcopy %s\n", d->name);
	if (*d->args)
		printf(".I %s\n", d->args);
	for_each_option(o, command)
		any = true;
	if (any)
		printf(".RI [ OPTION ]...\n");
	printf(".SH DESCRIPTION\n");
	put_until("@EXAMPLES\n");
	if (command == CMD_set)
		put_settings();
	put_options(command);
	put_rest(name);
}

static void put_main(const char *version)
{
	put_title("blockcopy", version, "copy a device\\-mapper device in use, and switch to the copy");
	printf(".B blockcopy\n.I COMMAND\n.RI [ ARGUMENT ]...\n.RI [ OPTION ]...\n.SH DESCRIPTION\n");
	put_until("@COMMANDS\n");
	printf(".SH COMMANDS\n");
	for (int i = 0; i < CMD_MAX; i++)
		printf(".TP\n\\fB%s\\fP \\fI%s\\fP\n%s\n", commands[i].name, commands[i].args,
		       commands[i].help);
	put_until("@EXAMPLES\n");
	put_rest("blockcopy");
}

static void put_completion_options(int command)
{
	printf("\t%s) options='", commands[command].name);
	for_each_option(o, command)
		printf("--%s%s ", o->name, o->value ? "=" : "");
	printf("--help' ;;\n");
}

/* The lines "@OPTIONS", "@COMMANDS" and "@KEYS" of the input are replaced. */
static void put_completion(void)
{
	while (next_line()) {
		if (!strcmp(line, "@OPTIONS\n")) {
			for (int i = 0; i < CMD_MAX; i++)
				put_completion_options(i);
		} else if (!strcmp(line, "@COMMANDS\n")) {
			printf("\tlocal commands='");
			for (int i = 0; i < CMD_MAX; i++)
				printf("%s%s", i ? " " : "", commands[i].name);
			printf("'\n");
		} else if (!strcmp(line, "@KEYS\n")) {
			printf("\tlocal keys='");
			for (size_t i = 0; i < ELEMENTSOF(settings); i++)
				printf("%s%s=", i ? " " : "", settings[i].key);
			printf("'\n");
		} else {
			fputs(line, stdout);
		}
	}
}

static void put_list(void)
{
	for (int i = 0; i < CMD_MAX; i++) {
		printf("%s\n", commands[i].name);
		for_each_option(o, i)
			printf("%s --%s%s%s\n", commands[i].name, o->name, o->value ? " " : "",
			       o->value ? o->value : "");
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	for (int i = 0; i < CMD_MAX && argc == 4 && !strcmp(what, "page"); i++)
		if (!strcmp(argv[2], commands[i].name)) {
			put_page(i, argv[3]);
			return 0;
		}
	if (argc == 3 && !strcmp(what, "main"))
		put_main(argv[2]);
	else if (!strcmp(what, "completion"))
		put_completion();
	else if (!strcmp(what, "list"))
		put_list();
	else
		return 2;
	return fflush(stdout) || ferror(stdout);
}

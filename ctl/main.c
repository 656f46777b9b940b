// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ctl.h"

int complain(int status, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		line = NULL;
	va_end(ap);
	if (!line || !journal_line(LOG_ERR, line))
		fprintf(stderr, "blockcopy: %s\n", line ? line : "out of memory");
	free(line);
	return status;
}

int failed(struct ctl *c)
{
	return complain(blockcopy_error(c->bc), "%s", blockcopy_error_message(c->bc));
}

void print_result(struct ctl *c, const char *word, const char *phrase, const uint64_t *blackout_us)
{
	if (c->opt.json) {
		json_print_result(stdout, c->arg[0], word, blackout_us);
		return;
	}
	puts(phrase);
	if (blackout_us)
		printf("Writes were held for %.3f ms\n", *blackout_us / 1000.0);
	fflush(stdout);
}

static void print_log(void *userdata, enum blockcopy_log_level level, const char *line)
{
	const struct ctl *c = userdata;

	if (level == BLOCKCOPY_LOG_DETAIL && !c->opt.verbose)
		return;
	/* Not behind what is being redrawn. */
	if (c->progress)
		progress_end(c->progress);
	if (level == BLOCKCOPY_LOG_INFO)
		puts(line);
	else if (!journal_line(level == BLOCKCOPY_LOG_WARNING ? LOG_WARNING : LOG_INFO, line))
		fprintf(stderr, "blockcopy: %s%s\n",
			level == BLOCKCOPY_LOG_WARNING ? "warning: " : "", line);
}

int main(int argc, char **argv)
{
	static int (*const commands[CMD_MAX])(struct ctl *c) = {
#define COMMAND(name, min, max, args, help) [CMD_##name] = cmd_##name,
#include "commands.def"
#undef COMMAND
	};
	struct ctl c = {};
	int status;

	setlocale(LC_CTYPE, "");
	status = parse_command_line(&c, argc, argv);
	if (status < 0) {
		if (blockcopy_new(&c.bc) < 0)
			return complain(BLOCKCOPY_FAILED, "out of memory");
		blockcopy_set_log(c.bc, print_log, &c);
		if (c.command != CMD_start)
			blockcopy_set_force(c.bc, c.opt.force);
		status = commands[c.command](&c);
		blockcopy_free(c.bc);
	}
	/* A full disk or a closed pipe under our output is a failure too. */
	if ((fflush(stdout) || ferror(stdout)) && status == BLOCKCOPY_OK)
		status = complain(BLOCKCOPY_FAILED, "standard output: %s", strerror(errno));
	return status;
}

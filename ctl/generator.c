// SPDX-License-Identifier: GPL-2.0-only
/*
 * blockcopy-generator NORMAL-DIR [EARLY-DIR LATE-DIR]: units of systemd for the lines of blockcopytab, as systemd.generator(7) has
 * it. For a line NAME DEVICE DESTINATION METADATA
 *
 *	blockcopy-attach@NAME.service	when DEVICE and METADATA are there, or are late: before blockcopy.target
 *	blockcopy-resume@NAME.service	after that, when DESTINATION is there, be it later: before blockcopy.target, unless "nofail"
 *
 * The services are templates; what is generated is what starts them, and what they wait for.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tab.h"

#ifndef UNIT_DIR
#define UNIT_DIR "/usr/lib/systemd/system"
#endif

static const char *dir;
static int status;

static void complain(const char *what)
{
	fprintf(stderr, "<3>blockcopy-generator: %s: %s\n", what, strerror(errno));
	status = 1;
}

__attribute__((format(printf, 1, 2))) static char *text(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		exit(1);
	va_end(ap);
	return s;
}

/* As systemd.unit(5) has it: a name, or a path without its first slash. */
static char *escape(const char *s)
{
	char *out = malloc(4 * strlen(s) + 1), *p = out;

	if (!out)
		exit(1);
	for (const char *c = s; *c; c++) {
		if (*c == '/') {
			/* One for all in a row, and none at the end. */
			if (c[1] && c[1] != '/')
				*p++ = '-';
		}
		else if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.", *c) &&
			 !(*c == '.' && c == s))
			*p++ = *c;
		else
			p += sprintf(p, "\\x%02x", (unsigned char)*c);
	}
	*p = '\0';
	return out;
}

/* What udev does to a value before it becomes a link. */
static char *udev_escape(const char *s)
{
	char *out = malloc(4 * strlen(s) + 1), *p = out;

	if (!out)
		exit(1);
	for (; *s; s++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#+-.:=@_", *s) ||
		    (unsigned char)*s >= 0x80)
			*p++ = *s;
		else
			p += sprintf(p, "\\x%02x", (unsigned char)*s);
	}
	*p = '\0';
	return out;
}

/* The unit of a path or tag, NULL if it is neither. */
static char *device_unit(const char *device)
{
	static const char *const tags[][2] = {
		{ "UUID=", "by-uuid" }, { "LABEL=", "by-label" },
		{ "PARTUUID=", "by-partuuid" }, { "PARTLABEL=", "by-partlabel" },
	};
	char *path = NULL, *unit;

	if (*device == '/')
		path = strdup(device);
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags) && !path; i++)
		if (!strncmp(device, tags[i][0], strlen(tags[i][0]))) {
			char *value = udev_escape(device + strlen(tags[i][0]));

			path = text("/dev/disk/%s/%s", tags[i][1], value);
			free(value);
		}
	if (!path)
		return NULL;
	unit = escape(path + strspn(path, "/"));
	free(path);
	path = text("%s.device", unit);
	free(unit);
	return path;
}

/* WANTING wants UNIT, which is an instance of a template. */
static void wanted(const char *wanting, const char *unit, const char *template)
{
	char *wants = text("%s/%s.wants", dir, wanting);
	char *link = text("%s/%s", wants, unit);
	char *to = text(UNIT_DIR "/%s", template);

	if ((mkdir(wants, 0755) < 0 && errno != EEXIST) || (symlink(to, link) < 0 && errno != EEXIST))
		complain(link);
	free(to);
	free(link);
	free(wants);
}

static void drop_in(const char *unit, const char *content)
{
	char *d = text("%s/%s.d", dir, unit);
	char *file = text("%s/tab.conf", d);
	FILE *f;

	if (mkdir(d, 0755) < 0 && errno != EEXIST) {
		complain(d);
	} else {
		f = fopen(file, "we");
		if (!f || fprintf(f, "# Generated from " TAB_FILE "\n[Unit]\n%s", content) < 0 || fclose(f))
			complain(file);
	}
	free(file);
	free(d);
}

static void generate(const struct tab_entry *e)
{
	char *name = escape(e->name);
	char *attach = text("blockcopy-attach@%s.service", name);
	char *resume = text("blockcopy-resume@%s.service", name);
	char *device = device_unit(e->device);
	char *destination = e->destination ? device_unit(e->destination) : NULL;
	char *metadata = e->metadata ? device_unit(e->metadata) : NULL;
	char *content = text("Wants=%s %s\nAfter=%s %s\n", device ? device : "", metadata ? metadata : "",
			     device ? device : "", metadata ? metadata : "");

	drop_in(attach, content);
	wanted("blockcopy.target", attach, "blockcopy-attach@.service");
	free(content);
	if (e->destination) {
		content = text("Requires=%s %s\nAfter=%s %s\n%s", attach, destination ? destination : "", attach,
			       destination ? destination : "",
			       tab_option(e, "nofail") ? "" : "Before=blockcopy.target\n");
		drop_in(resume, content);
		free(content);
		if (!tab_option(e, "nofail"))
			wanted("blockcopy.target", resume, "blockcopy-resume@.service");
		/* When it comes late. */
		if (destination)
			wanted(destination, resume, "blockcopy-resume@.service");
	}
	free(metadata);
	free(destination);
	free(device);
	free(resume);
	free(attach);
	free(name);
}

int main(int argc, char **argv)
{
	const char *file = getenv("BLOCKCOPY_TAB"), *what;
	struct tab_entry e = {};
	int r, any = 0;
	FILE *f;

	if (argc < 2) {
		fputs("usage: blockcopy-generator DIR\n", stderr);
		return 2;
	}
	dir = argv[1];
	f = fopen(file ? file : TAB_FILE, "re");
	if (!f) {
		if (errno != ENOENT)
			complain(TAB_FILE);
		return status;
	}
	while ((r = tab_next(f, &e, &what)) > 0 || r == -EINVAL)
		if (r == -EINVAL) {
			fprintf(stderr, "<3>blockcopy-generator: " TAB_FILE ": line %u: %s\n", e.line, what);
			status = 1;
		} else if (!tab_option(&e, "noauto")) {
			generate(&e);
			any = 1;
		}
	if (r < 0) {
		errno = -r;
		complain(TAB_FILE);
	}
	tab_entry_done(&e);
	fclose(f);
	if (any) {
		wanted("multi-user.target", "blockcopy.target", "blockcopy.target");
		wanted("blockcopy.target", "blockcopy-watch.service", "blockcopy-watch.service");
	}
	return status;
}

// SPDX-License-Identifier: GPL-2.0-only
/* What systemd is told: entries of the journal, and the status of the unit. Without systemd: lines on standard error. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "ctl.h"

#define FIELDS_MAX	16

struct entry {
	struct iovec fields[FIELDS_MAX];
	int n;
};

static const char *subject;

/* Is standard error the journal's? systemd says which stream that is, as it can be turned elsewhere meanwhile. */
static bool is_journal(void)
{
	static int known = -1;
	const char *word = getenv("JOURNAL_STREAM");
	char stream[64];
	struct stat st;

	if (known < 0) {
		known = 0;
		if (word && fstat(STDERR_FILENO, &st) == 0) {
			snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
			known = !strcmp(word, stream);
		}
	}
	return known;
}

static void add(struct entry *e, const char *name, const char *value)
{
	char *text;

	if (e->n == FIELDS_MAX || asprintf(&text, "%s=%s", name, value) < 0)
		return;
	e->fields[e->n++] = (struct iovec) { text, strlen(text) };
}

/* Return: whether the journal has it. */
static bool send_entry(struct entry *e, int priority, const char *line)
{
	char digit[2] = { (char)('0' + priority) };
	int r;

	add(e, "MESSAGE", line);
	add(e, "PRIORITY", digit);
	add(e, "SYSLOG_IDENTIFIER", "blockcopy");
	r = sd_journal_sendv(e->fields, e->n);
	for (int i = 0; i < e->n; i++)
		free(e->fields[i].iov_base);
	return r >= 0;
}

void journal_set_subject(const char *name)
{
	subject = name;
}

bool journal_line(int priority, const char *line)
{
	struct entry e = {};

	if (!is_journal())
		return false;
	if (subject)
		add(&e, "BLOCKCOPY_NAME", subject);
	return send_entry(&e, priority, line);
}

/* Is it something that somebody should look at? */
static int priority_of(const struct blockcopy_info *i)
{
	if (blockcopy_info_state(i) == BLOCKCOPY_STATE_ID_FAILED)
		return LOG_ERR;
	if (strcmp(blockcopy_info_io_status(i), "ok") != 0 || blockcopy_info_destination_gone(i) ||
	    !strcmp(blockcopy_info_metadata(i), "failed"))
		return LOG_WARNING;
	return LOG_INFO;
}

void journal_change(enum blockcopy_change change, const struct blockcopy_info *i)
{
	/* As blockcopy-boot(8) has them: never to be changed. */
	static const char *const ids[] = {
		[BLOCKCOPY_CHANGE_FOUND] = "f237f659d74b4c71983d917bdddbcdae",
		[BLOCKCOPY_CHANGE_STARTED] = "d6ed287e2ee649129ae16b7f70bd2cc9",
		[BLOCKCOPY_CHANGE_EVENT] = "0f8400afc39a4319b90f07cb56fb2cf8",
		[BLOCKCOPY_CHANGE_ENDED] = "1885b7d886ab4d368226aa9982953b0f",
	};
	struct field fields[CHANGE_FIELDS];
	struct entry e = {};
	char line[CHANGE_LINE];

	change_line(change, i, line);
	if (is_journal()) {
		change_fields(change, i, fields);
		add(&e, "MESSAGE_ID", ids[change]);
		for (int k = 0; k < CHANGE_FIELDS; k++)
			add(&e, fields[k].name, fields[k].value);
		if (send_entry(&e, priority_of(i), line))
			return;
	}
	fprintf(stderr, "%s\n", line);
}

void notify_systemd(bool ready, const char *status)
{
	sd_notifyf(0, "%sSTATUS=%s", ready ? "READY=1\n" : "", status);
}

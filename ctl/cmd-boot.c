// SPDX-License-Identifier: GPL-2.0-only
/* boot: what blockcopytab says is to be there after a boot. The units of systemd call it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "tab.h"

/* How long a destination that has the data may take to appear; systemd waits as long for a device. */
#define TIMEOUT_S	90

/* Return: exit status. */
static int timeout_of(const struct tab_entry *e, uint64_t *ret_s)
{
	const char *word = tab_option(e, "timeout");
	char number[24];

	*ret_s = TIMEOUT_S;
	if (!word)
		return BLOCKCOPY_OK;
	snprintf(number, sizeof(number), "%.*s", (int)strcspn(word, ","), word);
	if (parse_number(number, INT32_MAX, ret_s) < 0)
		return complain(BLOCKCOPY_USAGE, "line %u: timeout: found \"%s\", needed seconds",
				e->line, number);
	return BLOCKCOPY_OK;
}

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Once for each reason. */
static void tell_waiting(const char *why, char **told)
{
	char *status;

	if ((*told && !strcmp(*told, why)) || asprintf(&status, "Waiting: %s", why) < 0)
		return;
	notify_systemd(false, status);
	free(status);
	free(*told);
	*told = strdup(why);
}

/* Return: exit status. "@told" is scratch. */
static int attach_until(struct ctl *c, const struct tab_entry *e, int64_t until, char **told)
{
	const struct timespec pause = { .tv_nsec = 200000000 };

	/* Which device it needs, the metadata tells; nobody else could wait for it. */
	for (;;) {
		bool is_new;

		if (blockcopy_attach_job(c->bc, e->device, e->name, e->destination, e->metadata,
					 &is_new) == 0) {
			if (!is_new)
				printf("%s: is there already\n", e->name);
			return BLOCKCOPY_OK;
		}
		if (blockcopy_error(c->bc) != BLOCKCOPY_NOT_FOUND || now_s() >= until)
			return failed(c);
		tell_waiting(blockcopy_error_message(c->bc), told);
		nanosleep(&pause, NULL);
	}
}

static int attach(struct ctl *c, const struct tab_entry *e)
{
	char *told = NULL;
	uint64_t timeout;
	int r = timeout_of(e, &timeout);

	if (r)
		return r;
	r = attach_until(c, e, now_s() + (int64_t)timeout, &told);
	if (told)
		notify_systemd(false, r ? "Failed" : "Attached");
	free(told);
	return r;
}

static int resume_with(struct ctl *c, const struct tab_entry *e, struct blockcopy_options *o)
{
	bool has_job;
	int r = fill_options(c, o);

	if (r)
		return r;
	if (blockcopy_options_set_metadata(o, e->metadata) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	if (blockcopy_come_back(c->bc, e->name, e->device, e->destination, o, &has_job) < 0)
		return failed(c);
	printf("%s: %s\n", e->name, has_job ? "its job goes on" : "no job to go on with");
	notify_systemd(false, has_job ? "Its job goes on" : "No job to go on with");
	return BLOCKCOPY_OK;
}

static int resume(struct ctl *c, const struct tab_entry *e)
{
	struct blockcopy_options *o;
	int r;

	if (!e->destination)
		return BLOCKCOPY_OK;
	r = take_tab_options(c, e->options, e->line);
	if (r)
		return r;
	if (blockcopy_options_new(&o) < 0)
		return complain(BLOCKCOPY_FAILED, "out of memory");
	r = resume_with(c, e, o);
	blockcopy_options_free(o);
	return r;
}

static int list(struct ctl *c, const struct tab_entry *e)
{
	(void)c;
	printf("%s\t%s\t%s\t%s\t%s\n", e->name, e->device, e->destination ? e->destination : "-",
	       e->metadata ? e->metadata : "-", *e->options ? e->options : "-");
	return BLOCKCOPY_OK;
}

/* Do it for the line that it is about, if it is. Return: exit status. */
static int take_line(struct ctl *c, const struct tab_entry *e,
		     int (*deed)(struct ctl *c, const struct tab_entry *e), bool *found)
{
	const char *name = c->n_arg > 1 ? c->arg[1] : NULL;
	const struct options given = c->opt;
	int status;

	if (name ? strcmp(name, e->name) != 0 : deed != list && tab_option(e, "noauto") != NULL)
		return BLOCKCOPY_OK;
	*found = true;
	journal_set_subject(e->name);
	status = deed(c, e);
	journal_set_subject(NULL);
	c->opt = given;
	return status;
}

/*
 * For the line of NAME, or all that are not "noauto". A line that makes no sense is none of NAME's; the
 * first failure is what is returned.
 */
static int each(struct ctl *c, FILE *f, const char *file,
		int (*deed)(struct ctl *c, const struct tab_entry *e))
{
	const char *name = c->n_arg > 1 ? c->arg[1] : NULL, *what;
	struct tab_entry e = {};
	int status = BLOCKCOPY_OK, r;
	bool found = false;

	while (!(name && found) && (r = tab_next(f, &e, &what)) != 0) {
		int s;

		if (r == -EINVAL)
			s = complain(BLOCKCOPY_USAGE, "%s: line %u: %s", file, e.line, what);
		else if (r < 0)
			s = complain(BLOCKCOPY_FAILED, "%s: %s", file, strerror(-r));
		else
			s = take_line(c, &e, deed, &found);
		if (s && !status && (found || !name))
			status = s;
		if (r < 0 && r != -EINVAL)
			break;
	}
	if (name && !found)
		status = complain(BLOCKCOPY_NOT_FOUND, "%s: found no line for %s, needed one", file,
				  name);
	tab_entry_done(&e);
	return status;
}

/* For the status of the unit: how many there are of each kind. */
static void tell_status(struct ctl *c, bool ready)
{
	struct blockcopy_info **list;
	size_t n, n_ready = 0, n_failed = 0;
	char status[80];

	if (blockcopy_list(c->bc, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		n_ready += blockcopy_info_ready(list[i]);
		n_failed += blockcopy_info_state(list[i]) == BLOCKCOPY_STATE_ID_FAILED;
	}
	blockcopy_info_list_free(list, n);
	snprintf(status, sizeof(status), "%zu job%s, %zu ready, %zu failed", n, n == 1 ? "" : "s", n_ready, n_failed);
	notify_systemd(ready, status);
}

/*
 * Metadata that fails keeps what was true before, and may answer again after a crash: that it is not to be
 * believed then is noted as soon as it happens.
 */
static void note_metadata(struct ctl *c, enum blockcopy_change change, const struct blockcopy_info *i)
{
	if (change == BLOCKCOPY_CHANGE_ENDED || strcmp(blockcopy_info_metadata(i), "failed") != 0)
		return;
	if (blockcopy_distrust(c->bc, blockcopy_info_name(i)) < 0)
		failed(c);
	else
		printf("%s: its metadata has failed, noted\n", blockcopy_info_name(i));
	fflush(stdout);
}

/* Ends with a signal. Ready when it has seen what jobs there are. */
static int watch(struct ctl *c)
{
	struct blockcopy_monitor *m;
	int64_t timeout_ms = 0;
	bool ready = false;
	int r;

	if (blockcopy_monitor_new(c->bc, NULL, &m) < 0)
		return failed(c);
	for (;;) {
		enum blockcopy_change change;
		struct blockcopy_info *i;

		r = blockcopy_monitor_next(m, timeout_ms, &change, &i);
		if (r == -ETIMEDOUT) {
			tell_status(c, !ready);
			ready = true;
			timeout_ms = -1;
			continue;
		}
		if (r < 0)
			break;
		journal_change(change, i);
		note_metadata(c, change, i);
		blockcopy_info_free(i);
		timeout_ms = 0;
	}
	blockcopy_monitor_free(m);
	return failed(c);
}

int cmd_boot(struct ctl *c)
{
	static const struct {
		const char *verb;
		int (*deed)(struct ctl *c, const struct tab_entry *e);
	} verbs[] = { { "attach", attach }, { "resume", resume }, { "list", list } };
	const char *file = c->opt.tab ? c->opt.tab : TAB_FILE;
	FILE *f;
	int status;

	if (!strcmp(c->arg[0], "watch"))
		return watch(c);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(c->arg[0], verbs[i].verb))
			continue;
		f = fopen(file, "re");
		if (!f)
			return complain(BLOCKCOPY_FAILED, "%s: %s", file, strerror(errno));
		status = each(c, f, file, verbs[i].deed);
		fclose(f);
		return status;
	}
	return complain(BLOCKCOPY_USAGE, "boot %s: needed attach, resume, list or watch", c->arg[0]);
}

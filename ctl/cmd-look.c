// SPDX-License-Identifier: GPL-2.0-only
/* Commands that look: info, list, wait, monitor. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "ctl.h"

static void print_size(const char *label, uint64_t bytes)
{
	char buf[SIZE_TEXT];

	printf("%-14s %s\n", label, format_size(bytes, buf));
}

static const char *mirroring(const struct blockcopy_info *i)
{
	if (blockcopy_info_actively_synced(i))
		return ", actively synced";
	return blockcopy_info_mirroring(i) ? ", mirroring" : "";
}

/* What guest writes do at the destination, and what they have to bear. */
static void print_mirror(const struct blockcopy_info *i)
{
	printf("%-14s %s%s\n", "Copy mode:", blockcopy_info_copy_mode(i), mirroring(i));
	if (blockcopy_info_mirrored_bytes(i))
		print_size("Mirrored:", blockcopy_info_mirrored_bytes(i));
	if (blockcopy_info_write_timeout(i))
		printf("%-14s %u ms\n", "Write timeout:", blockcopy_info_write_timeout(i));
	if (blockcopy_info_timeouts(i))
		printf("%-14s %" PRIu64 " now, %" PRIu64 " in all\n", "Late writes:",
		       blockcopy_info_late_writes(i), blockcopy_info_timeouts(i));
}

static void print_errors(const struct blockcopy_info *i)
{
	const char *error = blockcopy_info_error(i);

	printf("%-14s %s\n", "I/O status:", blockcopy_info_io_status(i));
	if (blockcopy_info_on_source_error(i) && blockcopy_info_on_target_error(i))
		printf("%-14s source %s, target %s\n", "On error:",
		       blockcopy_info_on_source_error(i), blockcopy_info_on_target_error(i));
	if (blockcopy_info_source_errors(i) || blockcopy_info_target_errors(i))
		printf("%-14s source %" PRIu64 ", target %" PRIu64 "\n", "Errors:",
		       blockcopy_info_source_errors(i), blockcopy_info_target_errors(i));
	if (blockcopy_info_unread_bytes(i))
		print_size("Unreadable:", blockcopy_info_unread_bytes(i));
	if (error)
		printf("%-14s %s (%s)\n", "Error:", error, blockcopy_error_word_explain(error));
}

static void print_verify(const struct blockcopy_info *i)
{
	char a[SIZE_TEXT], b[SIZE_TEXT], d[SIZE_TEXT];

	if (strcmp(blockcopy_info_verify(i), "none"))
		printf("%-14s %s, %s of %s compared, %s differ\n", "Verify:", blockcopy_info_verify(i),
		       format_size(blockcopy_info_verify_bytes(i), a),
		       format_size(blockcopy_info_verify_total_bytes(i), b),
		       format_size(blockcopy_info_verify_differing_bytes(i), d));
}

static void print_info(const struct blockcopy_info *i)
{
	char a[SIZE_TEXT], b[SIZE_TEXT];
	const char *spec = blockcopy_info_destination_spec(i);
	int64_t eta = blockcopy_info_eta_s(i);

	printf("%-14s %s\n", "Name:", blockcopy_info_name(i));
	printf("%-14s %s%s%s\n", "State:", blockcopy_info_state_word(i),
	       blockcopy_info_paused(i) ? ", paused" : "",
	       blockcopy_info_suspended(i) ? ", device suspended" : "");
	if (blockcopy_info_way_back(i))
		printf("%-14s %s only at the source\n", "Way back:",
		       format_size(blockcopy_info_source_only_bytes(i), a));
	printf("%-14s %s\n", "Source:", blockcopy_info_source(i));
	printf("%-14s %s%s%s%s%s\n", "Destination:", blockcopy_info_destination(i),
	       spec ? " (" : "", spec ? spec : "", spec ? ")" : "",
	       blockcopy_info_destination_gone(i) ? ", destination is gone" : "");
	printf("%-14s [%3u %%] %s of %s\n", "Block Copy:", blockcopy_info_percent(i),
	       format_size(blockcopy_info_offset(i), a), format_size(blockcopy_info_len(i), b));
	print_size("Dirty:", blockcopy_info_dirty_bytes(i));
	print_size("In flight:", blockcopy_info_inflight_bytes(i));
	print_size("Copied:", blockcopy_info_copied_bytes(i));
	printf("%-14s %s/s\n", "Rate:", format_size(blockcopy_info_rate(i), a));
	if (blockcopy_info_bandwidth(i))
		printf("%-14s %s/s\n", "Limit:", format_size(blockcopy_info_bandwidth(i), a));
	if (eta >= 0 && !blockcopy_info_ready(i))
		printf("%-14s %" PRId64 " s\n", "Time left:", eta);
	print_size("Region size:", blockcopy_info_region_size(i));
	print_mirror(i);
	print_verify(i);
	print_errors(i);
}

int cmd_info(struct ctl *c)
{
	struct blockcopy_info *i;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return failed(c);
	if (c->opt.json)
		json_print_info(stdout, i);
	else
		print_info(i);
	blockcopy_info_free(i);
	return BLOCKCOPY_OK;
}

/* A star: guest writes go to both at this moment. */
static void mode_of(const struct blockcopy_info *i, char buf[SIZE_TEXT])
{
	snprintf(buf, SIZE_TEXT, "%s%s", blockcopy_info_copy_mode(i), blockcopy_info_mirroring(i) ? "*" : "");
}

/* The first that stands on the job on "@name", or "@n". */
static size_t above(struct blockcopy_info **list, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *below = blockcopy_info_below(list[i]);

		if (below && !strcmp(below, name))
			break;
	}
	return i;
}

/* Columns as wide as what is in them. */
struct widths {
	int name;
	int mode;
	int source;
};

typedef void (*row_fn)(struct widths *w, const struct blockcopy_info *i, int indent);

/* A job, and what it stands on. */
static void walk_tree(struct widths *w, struct blockcopy_info **list, size_t n, size_t i, size_t depth, row_fn fn)
{
	const char *below = blockcopy_info_below(list[i]);

	fn(w, list[i], 2 * (int)depth);
	/* No circle, if the tables changed while they were read. */
	if (!below || above(list, n, below) != i || depth >= n)
		return;
	for (size_t k = 0; k < n; k++)
		if (!strcmp(blockcopy_info_name(list[k]), below))
			walk_tree(w, list, n, k, depth + 1, fn);
}

static void walk_list(struct widths *w, struct blockcopy_info **list, size_t n, row_fn fn)
{
	for (size_t i = 0; i < n; i++)
		if (above(list, n, blockcopy_info_name(list[i])) == n)
			walk_tree(w, list, n, i, 0, fn);
}

static void widen(int *width, const char *text, int indent)
{
	int n = (int)strlen(text) + indent;

	if (n > *width)
		*width = n;
}

static void widen_row(struct widths *w, const struct blockcopy_info *i, int indent)
{
	char mode[SIZE_TEXT];

	mode_of(i, mode);
	widen(&w->name, blockcopy_info_name(i), indent);
	widen(&w->mode, mode, 0);
	widen(&w->source, blockcopy_info_source(i), 0);
}

static void print_row(struct widths *w, const struct blockcopy_info *i, int indent)
{
	const char *spec = blockcopy_info_destination_spec(i);
	char mode[SIZE_TEXT];

	mode_of(i, mode);
	printf("%*s%-*s %-10s %4u %% %-*s %-*s %s%s%s\n", indent, "", w->name - indent, blockcopy_info_name(i),
	       blockcopy_info_state_word(i), blockcopy_info_percent(i), w->mode, mode, w->source,
	       blockcopy_info_source(i), spec ? spec : blockcopy_info_destination(i),
	       blockcopy_info_destination_gone(i) ? " (gone)" : "",
	       blockcopy_info_way_back(i) ? " (way back)" : "");
}

static void print_list(struct blockcopy_info **list, size_t n)
{
	struct widths w = { .name = 4, .mode = 4, .source = 6 };

	walk_list(&w, list, n, widen_row);
	printf("%-*s %-10s %s %-*s %-*s %s\n", w.name, "Name", "State", "Copied", w.mode, "Mode", w.source, "Source",
	       "Destination");
	walk_list(&w, list, n, print_row);
}

int cmd_list(struct ctl *c)
{
	struct blockcopy_info **list;
	size_t n;

	if (blockcopy_list(c->bc, &list, &n) < 0)
		return failed(c);
	if (c->opt.json)
		json_print_list(stdout, list, n);
	else if (n)
		print_list(list, n);
	blockcopy_info_list_free(list, n);
	return BLOCKCOPY_OK;
}

int wait_with_progress(struct ctl *c, int64_t timeout_ms)
{
	struct progress progress;
	int r;

	progress_begin(&progress, stderr);
	c->progress = &progress;
	r = blockcopy_wait(c->bc, c->arg[0], timeout_ms, progress_interval(&progress),
			   c->opt.verbose ? progress_show : NULL, &progress);
	c->progress = NULL;
	progress_end(&progress);
	return r;
}

int cmd_wait(struct ctl *c)
{
	int64_t timeout_ms;
	int r = get_timeout(c, &timeout_ms);

	if (r)
		return r;
	return wait_with_progress(c, timeout_ms) < 0 ? failed(c) : BLOCKCOPY_OK;
}

static const char *const change_words[] = {
	[BLOCKCOPY_CHANGE_FOUND] = "found",
	[BLOCKCOPY_CHANGE_STARTED] = "started",
	[BLOCKCOPY_CHANGE_EVENT] = "event",
	[BLOCKCOPY_CHANGE_ENDED] = "ended",
};

void change_line(enum blockcopy_change change, const struct blockcopy_info *i, char buf[CHANGE_LINE])
{
	const char *event = blockcopy_info_event(i), *error = blockcopy_info_error(i);

	snprintf(buf, CHANGE_LINE, "%s: %s: %s, %u %%%s, %s%s%s%s%s%s", blockcopy_info_name(i),
		 change_words[change], blockcopy_info_state_word(i), blockcopy_info_percent(i),
		 blockcopy_info_paused(i) ? ", paused" : "", blockcopy_info_copy_mode(i), mirroring(i),
		 event ? ", last event " : "", event ? event : "", error ? ", error " : "", error ? error : "");
}

static void print_change(enum blockcopy_change change, const struct blockcopy_info *i)
{
	char stamp[32], line[CHANGE_LINE];
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%FT%T%z", localtime_r(&now, &tm));
	change_line(change, i, line);
	printf("%s %s\n", stamp, line);
	fflush(stdout);
}

void change_fields(enum blockcopy_change change, const struct blockcopy_info *i, struct field ret[CHANGE_FIELDS])
{
	const char *event = blockcopy_info_event(i), *error = blockcopy_info_error(i);
	const struct field fields[CHANGE_FIELDS] = {
		{ "BLOCKCOPY_NAME", blockcopy_info_name(i) },
		{ "BLOCKCOPY_UUID", blockcopy_info_uuid(i) },
		{ "BLOCKCOPY_CHANGE", change_words[change] },
		{ "BLOCKCOPY_EVENT", event ? event : "" },
		{ "BLOCKCOPY_STATE", blockcopy_info_state_word(i) },
		{ "BLOCKCOPY_READY", blockcopy_info_ready(i) ? "1" : "0" },
		{ "BLOCKCOPY_ERROR", error ? error : "" },
		{ "BLOCKCOPY_SOURCE", blockcopy_info_source(i) },
		{ "BLOCKCOPY_DESTINATION", blockcopy_info_destination(i) },
	};

	memcpy(ret, fields, sizeof(fields));
}

/* What the command of --exec finds in its environment. */
static void run(const char *command, enum blockcopy_change change, const struct blockcopy_info *i)
{
	struct field fields[CHANGE_FIELDS];
	int status;

	change_fields(change, i, fields);
	for (int n = 0; n < CHANGE_FIELDS; n++)
		setenv(fields[n].name, fields[n].value, 1);
	status = system(command);
	if (status)
		complain(BLOCKCOPY_FAILED, "%s: %s: --exec command ended with status %d",
			 blockcopy_info_name(i), change_words[change],
			 WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

int cmd_monitor(struct ctl *c)
{
	struct blockcopy_monitor *m;
	int64_t timeout_ms;
	int r = get_timeout(c, &timeout_ms);

	if (r)
		return r;
	if (blockcopy_monitor_new(c->bc, c->n_arg ? c->arg[0] : NULL, &m) < 0)
		return failed(c);
	for (;;) {
		enum blockcopy_change change;
		struct blockcopy_info *i;

		r = blockcopy_monitor_next(m, timeout_ms, &change, &i);
		if (r < 0)
			break;
		if (c->opt.json)
			json_print_change(stdout, change_words[change], i);
		else
			print_change(change, i);
		if (c->opt.exec)
			run(c->opt.exec, change, i);
		blockcopy_info_free(i);
		if (ferror(stdout))
			break;
	}
	blockcopy_monitor_free(m);
	/* The one job that was followed has ended: that is how it is to end. */
	return r < 0 && r != -ENODATA ? failed(c) : BLOCKCOPY_OK;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Progress: one line redrawn on a terminal, plain lines at intervals elsewhere. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define TTY_INTERVAL_MS 250
#define LINE_INTERVAL_MS 2000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, FILE *to)
{
	*p = (struct progress) {
		.to = to,
		.tty = isatty(fileno(to)),
		.printed_at = now_ms() - LINE_INTERVAL_MS,
		.state = -1,
	};
}

int progress_interval(const struct progress *p)
{
	return p->tty ? TTY_INTERVAL_MS : LINE_INTERVAL_MS / 4;
}

static void format_eta(int64_t s, char *buf, size_t size)
{
	if (s < 0)
		snprintf(buf, size, "--:--");
	else if (s >= 3600)
		snprintf(buf, size, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60),
			 (int)(s % 60));
	else
		snprintf(buf, size, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/* "Block Copy: [ 12 %]" is virsh's; the rest is ours. */
static int format_line(const struct blockcopy_info *info, char *buf, size_t size)
{
	char rate[SIZE_TEXT], dirty[SIZE_TEXT], eta[32];
	const char *error = blockcopy_info_error(info);
	const char *state = blockcopy_info_state_word(info);

	format_eta(blockcopy_info_eta_s(info), eta, sizeof(eta));
	return snprintf(buf, size, "Block Copy: [%3u %%]  %s/s, %s left, %s dirty, %s%s%s%s",
			blockcopy_info_percent(info), format_size(blockcopy_info_rate(info), rate),
			eta, format_size(blockcopy_info_dirty_bytes(info), dirty), state,
			blockcopy_info_paused(info) ? ", paused" : "", error ? ", " : "",
			error ? error : "");
}

static int format_verify(const struct blockcopy_info *info, char *buf, size_t size)
{
	uint64_t total = blockcopy_info_verify_total_bytes(info);
	uint64_t bytes = blockcopy_info_verify_bytes(info);
	char done[SIZE_TEXT], all[SIZE_TEXT], differ[SIZE_TEXT];

	/* The kernel's devices are below 2^63 bytes. */
	return snprintf(buf, size, "Verify: [%3u %%]  %s of %s, %s differ, %s%s",
			total ? (unsigned int)(bytes / ((total + 99) / 100)) : 100,
			format_size(bytes, done), format_size(total, all),
			format_size(blockcopy_info_verify_differing_bytes(info), differ),
			blockcopy_info_state_word(info), blockcopy_info_paused(info) ? ", paused" : "");
}

void progress_show(void *userdata, const struct blockcopy_info *info)
{
	struct progress *p = userdata;
	int state = blockcopy_info_state(info);
	int64_t now = now_ms();
	char line[256];
	size_t n;

	if (!p->tty && state == p->state && now - p->printed_at < LINE_INTERVAL_MS)
		return;
	n = p->verify ? format_verify(info, line, sizeof(line)) : format_line(info, line, sizeof(line));
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	if (p->tty) {
		/* Blanks over what a longer line left. */
		fprintf(p->to, "\r%s%*s", line, p->width > n ? (int)(p->width - n) : 0, "");
		p->width = n;
	} else {
		fprintf(p->to, "%s\n", line);
	}
	fflush(p->to);
	p->printed_at = now;
	p->state = state;
}

void progress_end(struct progress *p)
{
	if (p->tty && p->width) {
		fputc('\n', p->to);
		fflush(p->to);
	}
	p->width = 0;
}

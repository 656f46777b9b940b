// SPDX-License-Identifier: GPL-2.0-only
/* Progress: one line redrawn on a terminal, plain lines at intervals elsewhere. */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
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

#define CELL (SIZE_TEXT + 16)

/*
 * "Block Copy: [ 12 %]" is virsh's; the rest is ours. What a narrow terminal has no room for is left out: first what is
 * dirty, then the words of virsh, the rate, the time left.
 */
static int format_line(const struct blockcopy_info *info, size_t width, char *buf, size_t size)
{
	const char *error = blockcopy_info_error(info), *words = "Block Copy: ";
	char rate[CELL], left[CELL], dirty[CELL], number[SIZE_TEXT];
	char *const parts[] = { dirty, NULL, rate, left };
	int n;

	snprintf(rate, sizeof(rate), "%s/s, ", format_size(blockcopy_info_rate(info), number));
	snprintf(left, sizeof(left), "%s left, ", format_eta(blockcopy_info_eta_s(info), number));
	snprintf(dirty, sizeof(dirty), "%s dirty, ", format_size(blockcopy_info_dirty_bytes(info), number));
	for (size_t i = 0;; i++) {
		n = snprintf(buf, size, "%s[%3u %%]  %s%s%s%s%s%s%s", words, blockcopy_info_percent(info), rate, left,
			     dirty, blockcopy_info_state_word(info), blockcopy_info_paused(info) ? ", paused" : "",
			     error ? ", " : "", error ? error : "");
		if ((size_t)n <= width || i == sizeof(parts) / sizeof(*parts))
			return n;
		if (parts[i])
			*parts[i] = '\0';
		else
			words = "";
	}
}

static int format_verify(const struct blockcopy_info *info, size_t width, char *buf, size_t size)
{
	uint64_t total = blockcopy_info_verify_total_bytes(info);
	uint64_t bytes = blockcopy_info_verify_bytes(info);
	char done[SIZE_TEXT], all[SIZE_TEXT], differ[SIZE_TEXT];
	char extent[2 * SIZE_TEXT + 8];
	int n;

	snprintf(extent, sizeof(extent), "%s of %s, ", format_size(bytes, done), format_size(total, all));
	for (;;) {
		/* The kernel's devices are below 2^63 bytes. */
		n = snprintf(buf, size, "Verify: [%3u %%]  %s%s differ, %s%s",
			     total ? (unsigned int)(bytes / ((total + 99) / 100)) : 100, extent,
			     format_size(blockcopy_info_verify_differing_bytes(info), differ),
			     blockcopy_info_state_word(info), blockcopy_info_paused(info) ? ", paused" : "");
		if ((size_t)n <= width || !*extent)
			return n;
		*extent = '\0';
	}
}

void progress_show(void *userdata, const struct blockcopy_info *info)
{
	struct progress *p = userdata;
	int state = blockcopy_info_state(info);
	int64_t now = now_ms();
	struct winsize terminal;
	size_t n, width = SIZE_MAX;
	char line[256];

	if (!p->tty && state == p->state && now - p->printed_at < LINE_INTERVAL_MS)
		return;
	/* In the last column the cursor of some terminals is on the next line already. */
	if (p->tty && ioctl(fileno(p->to), TIOCGWINSZ, &terminal) == 0 && terminal.ws_col > 1)
		width = terminal.ws_col - 1;
	n = p->verify ? format_verify(info, width, line, sizeof(line)) : format_line(info, width, line, sizeof(line));
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	if (n > width)
		n = width;
	line[n] = '\0';
	if (p->tty) {
		/* Blanks over what a longer line left. */
		if (p->width > width)
			p->width = width;
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

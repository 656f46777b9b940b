// SPDX-License-Identifier: GPL-2.0-only
/*
 * top: all jobs on a terminal, drawn anew each second and after each event. Keys and signals come through an fd
 * that ends the wait for events.
 */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "top.h"

#define INTERVAL_MS	1000
/* Changes that are passed over before the next look at all jobs. */
#define CHANGES_MAX	100
#define DETAIL_LINES	3
/* How long a message is shown, if no key is pressed. */
#define MESSAGE_S	10

#define KEY_ESCAPE	27

enum question { Q_NONE, Q_LIMIT, Q_PIVOT };

struct top {
	struct ctl *c;
	struct blockcopy_monitor *monitor;
	int input;		/* epoll of keys and signals */
	int signals;
	sigset_t old_mask;

	struct blockcopy_info **list;
	size_t n;
	char selected[256];	/* its name: others come and go */
	size_t row;		/* where it was, for when it has gone */
	size_t first;		/* row on the screen */

	enum question asks;
	char subject[256];	/* the job that it is about */
	char answer[32];
	char message[1024];
	time_t told;		/* when, on CLOCK_MONOTONIC */

	bool over;
	int signal;		/* that ended it, or 0 */
};

/* ---- the screen ---- */

static size_t selected_row(const struct top *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(blockcopy_info_name(t->list[i]), t->selected))
			return i;
	return t->row < t->n ? t->row : t->n ? t->n - 1 : 0;
}

static void select_row(struct top *t, size_t row)
{
	if (row >= t->n)
		return;
	snprintf(t->selected, sizeof(t->selected), "%s", blockcopy_info_name(t->list[row]));
	t->row = row;
}

/* Over as many lines as it needs, broken at blanks, at most "@lines". The cursor stays behind it. */
static void draw_wrapped(int y, int lines, const char *text)
{
	while (*text && lines--) {
		size_t n = strlen(text), fits = COLS > 1 ? COLS - 1 : 1;

		if (n > fits) {
			for (n = fits; n && text[n] != ' '; n--)
				;
			n = n ?: fits;
		}
		mvaddnstr(y++, 0, text, (int)n);
		text += n;
		/* One at the end of it all is where an answer is typed. */
		if (*text == ' ' && text[1])
			text++;
	}
}

static void draw_title(const struct top *t)
{
	char line[TOP_LINE], rate[SIZE_TEXT];
	size_t ready = 0, failed = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < t->n; i++) {
		ready += blockcopy_info_ready(t->list[i]);
		failed += blockcopy_info_state(t->list[i]) == BLOCKCOPY_STATE_ID_FAILED;
		sum += blockcopy_info_rate(t->list[i]);
	}
	snprintf(line, sizeof(line), "%zu job%s, %zu ready, %zu failed, %s/s", t->n, t->n == 1 ? "" : "s",
		 ready, failed, format_size(sum, rate));
	attron(A_BOLD);
	mvaddnstr(0, 0, line, COLS);
	attroff(A_BOLD);
}

static void draw_row(int y, const struct blockcopy_info *i, bool selected)
{
	int state = blockcopy_info_state(i);
	attr_t look = selected ? A_REVERSE : A_NORMAL;
	char line[TOP_LINE];

	if (has_colors() && state == BLOCKCOPY_STATE_ID_FAILED)
		look |= COLOR_PAIR(1);
	else if (has_colors() && blockcopy_info_ready(i))
		look |= COLOR_PAIR(2);
	top_row(i, COLS, TOP_NAME_MIN, line);
	attron(look);
	mvaddnstr(y, 0, line, COLS);
	if (selected)
		hline(' ', COLS);
	attroff(look);
}

static void draw_list(struct top *t, int rows)
{
	size_t row = selected_row(t), height = rows > 0 ? rows : 0;
	char line[TOP_LINE];

	top_head(COLS, TOP_NAME_MIN, line);
	attron(A_UNDERLINE);
	mvaddnstr(1, 0, line, COLS);
	attroff(A_UNDERLINE);
	if (row < t->first)
		t->first = row;
	if (height && row >= t->first + height)
		t->first = row - height + 1;
	if (t->first + height > t->n)
		t->first = t->n > height ? t->n - height : 0;
	for (size_t i = 0; i < height && t->first + i < t->n; i++)
		draw_row(2 + (int)i, t->list[t->first + i], t->first + i == row);
	if (!t->n)
		mvaddnstr(2, 0, "There is no job.", COLS);
}

static void draw_detail(const struct top *t, int y)
{
	char text[2048] = "";

	if (t->asks == Q_LIMIT)
		snprintf(text, sizeof(text), "Limit of %s in MiB/s, or as 500K, 1.5GiB; 0 is none: %s", t->subject,
			 t->answer);
	else if (t->asks == Q_PIVOT)
		snprintf(text, sizeof(text), "Switch %s to its destination? y/n ", t->subject);
	else if (*t->message)
		snprintf(text, sizeof(text), "%s", t->message);
	else if (t->n)
		top_detail(t->list[selected_row(t)], text, sizeof(text));
	draw_wrapped(y, DETAIL_LINES, text);
}

static void draw(struct top *t)
{
	static const char *const keys[] = {
		[Q_NONE] = "p pause  b limit  P pivot  q quit",
		[Q_LIMIT] = "Enter do it  Esc leave it",
		[Q_PIVOT] = "y do it  any other key leave it",
	};
	int cursor_y, cursor_x;

	erase();
	draw_title(t);
	draw_list(t, LINES - 3 - DETAIL_LINES);
	draw_detail(t, LINES - 1 - DETAIL_LINES);
	getyx(stdscr, cursor_y, cursor_x);
	attron(A_DIM);
	mvaddnstr(LINES - 1, 0, keys[t->asks], COLS - 1);
	attroff(A_DIM);
	move(cursor_y, cursor_x);
	curs_set(t->asks != Q_NONE);
	refresh();
}

/* ---- deeds ---- */

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void __attribute__((format(printf, 2, 3))) tell(struct top *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(t->message, sizeof(t->message), format, ap);
	va_end(ap);
	t->told = now_s();
}

static void note_log(void *userdata, enum blockcopy_log_level level, const char *line)
{
	struct top *t = userdata;

	if (level == BLOCKCOPY_LOG_WARNING)
		tell(t, "warning: %s", line);
}

static void done(struct top *t, int r, const char *what)
{
	if (r < 0)
		tell(t, "%s", blockcopy_error_message(t->c->bc));
	else if (!*t->message)
		tell(t, "%s: %s", t->subject, what);
}

static void toggle_pause(struct top *t, const struct blockcopy_info *i)
{
	bool resume = blockcopy_info_paused(i) || blockcopy_info_state(i) == BLOCKCOPY_STATE_ID_FAILED;

	if (resume)
		done(t, blockcopy_resume(t->c->bc, t->subject), "goes on");
	else
		done(t, blockcopy_pause(t->c->bc, t->subject), "paused");
}

static void set_limit(struct top *t)
{
	uint64_t bytes;

	if (parse_size(t->answer, 1 << 20, &bytes) < 0 || bytes > INT64_MAX) {
		tell(t, "found \"%s\", needed MiB/s or a suffix: 1.5GiB", t->answer);
		return;
	}
	done(t, blockcopy_set_bandwidth(t->c->bc, t->subject, bytes), bytes ? "limited" : "not limited");
}

static void pivot(struct top *t)
{
	uint64_t blackout_us = 0;
	char what[80], *warning;
	int r;

	tell(t, "%s: switching ...", t->subject);
	draw(t);
	*t->message = '\0';
	warning = stale_tab_line(t->c, t->subject);
	r = blockcopy_pivot(t->c->bc, t->subject, MAX_BLACKOUT_MS, &blackout_us);
	snprintf(what, sizeof(what), "switched, writes were held for %.3f ms", blackout_us / 1000.0);
	done(t, r, what);
	if (r == 0 && warning)
		tell(t, "%s", warning);
	free(warning);
}

/* ---- keys ---- */

static void take_answer(struct top *t, int key)
{
	size_t n = strlen(t->answer);

	if (key == KEY_ESCAPE) {
		t->asks = Q_NONE;
	} else if (t->asks == Q_PIVOT) {
		t->asks = Q_NONE;
		if (key == 'y' || key == 'Y')
			pivot(t);
	} else if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		t->asks = Q_NONE;
		if (n)
			set_limit(t);
	} else if (key == KEY_BACKSPACE || key == '\b' || key == 127) {
		t->answer[n ? n - 1 : 0] = '\0';
	} else if (key > ' ' && key < 127 && n + 1 < sizeof(t->answer)) {
		t->answer[n] = (char)key;
		t->answer[n + 1] = '\0';
	}
}

static void ask(struct top *t, enum question question)
{
	t->asks = question;
	*t->answer = '\0';
}

static void take_key(struct top *t, int key)
{
	size_t row = selected_row(t);

	if (t->asks) {
		take_answer(t, key);
		return;
	}
	*t->message = '\0';
	if (key == 'q' || key == 'Q') {
		t->over = true;
		return;
	}
	if (!t->n)
		return;
	snprintf(t->subject, sizeof(t->subject), "%s", blockcopy_info_name(t->list[row]));
	switch (key) {
	case KEY_UP:
	case 'k':
		select_row(t, row ? row - 1 : 0);
		break;
	case KEY_DOWN:
	case 'j':
		select_row(t, row + 1);
		break;
	case 'p':
		toggle_pause(t, t->list[row]);
		break;
	case 'b':
		ask(t, Q_LIMIT);
		break;
	case 'P':
		if (blockcopy_info_ready(t->list[row]))
			ask(t, Q_PIVOT);
		else
			tell(t, "%s: found it %s, needed it ready to pivot",
				 t->subject, blockcopy_info_state_word(t->list[row]));
		break;
	}
}

static void take_signals(struct top *t)
{
	struct signalfd_siginfo s;
	struct winsize size;

	while (read(t->signals, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo != SIGWINCH) {
			t->signal = (int)s.ssi_signo;
			t->over = true;
		} else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
			resizeterm(size.ws_row, size.ws_col);
			/* What the terminal made of the old screen, nobody knows. */
			clearok(curscr, TRUE);
		}
	}
}

static void take_input(struct top *t)
{
	struct epoll_event events[2];
	int n = epoll_wait(t->input, events, 2, 0), key;
	bool keys = false;

	take_signals(t);
	for (int i = 0; i < n; i++)
		keys |= events[i].data.fd == STDIN_FILENO;
	if (!keys || t->over)
		return;
	key = getch();
	/* Readable and nothing to be read: the terminal has gone. */
	if (key == ERR)
		t->over = true;
	for (; key != ERR && !t->over; key = getch())
		take_key(t, key);
}

/* ---- around it ---- */

static int look(struct top *t)
{
	struct blockcopy_info **list;
	size_t n;

	if (blockcopy_list(t->c->bc, &list, &n) < 0)
		return -1;
	blockcopy_info_list_free(t->list, t->n);
	t->list = list;
	t->n = n;
	select_row(t, selected_row(t));
	return 0;
}

/* Return: 0, or -1 with the error in the handle. */
static int run(struct top *t)
{
	while (!t->over) {
		int64_t timeout_ms = INTERVAL_MS;
		int r = 0;

		if (look(t) < 0)
			return -1;
		if (now_s() >= t->told + MESSAGE_S)
			*t->message = '\0';
		draw(t);
		/* After the first change, those that are there already: they are one. */
		for (int i = 0; r == 0 && i < CHANGES_MAX; i++) {
			enum blockcopy_change change;
			struct blockcopy_info *info;

			r = blockcopy_monitor_next(t->monitor, timeout_ms, &change, &info);
			if (r == 0)
				blockcopy_info_free(info);
			timeout_ms = 0;
		}
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return -1;
		take_input(t);
	}
	return 0;
}

/* Return: 0, -errno. */
static int open_input(struct top *t)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	int fds[2] = { STDIN_FILENO };
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaddset(&mask, signals[i]);
	if (sigprocmask(SIG_BLOCK, &mask, &t->old_mask) < 0)
		return -errno;
	t->signals = fds[1] = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	t->input = epoll_create1(EPOLL_CLOEXEC);
	if (t->signals < 0 || t->input < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = fds[i] };

		if (epoll_ctl(t->input, EPOLL_CTL_ADD, fds[i], &e) < 0)
			return -errno;
	}
	return 0;
}

/* Return: exit status. */
static int on_screen(struct top *t)
{
	struct ctl *c = t->c;
	SCREEN *screen = newterm(NULL, stdout, stdin);
	int r;

	if (!screen)
		return complain(BLOCKCOPY_FAILED, "found the terminal \"%s\", needed one that is known, or --once",
				getenv("TERM") ?: "");
	set_escdelay(50);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_RED, -1);
		init_pair(2, COLOR_GREEN, -1);
	}
	r = run(t);
	endwin();
	delscreen(screen);
	return r < 0 ? failed(c) : BLOCKCOPY_OK;
}

static int watch(struct ctl *c)
{
	struct top t = { .c = c, .input = -1, .signals = -1 };
	int r = open_input(&t);

	if (r < 0)
		return complain(BLOCKCOPY_FAILED, "standard input: %s", strerror(-r));
	/* Of the monitor only: a deed is not to end half way because of a key. */
	blockcopy_set_cancel_fd(c->bc, t.input);
	r = blockcopy_monitor_new(c->bc, NULL, &t.monitor);
	blockcopy_set_cancel_fd(c->bc, -1);
	blockcopy_set_log(c->bc, note_log, &t);
	r = r < 0 ? failed(c) : on_screen(&t);
	blockcopy_set_log(c->bc, NULL, NULL);
	blockcopy_monitor_free(t.monitor);
	blockcopy_info_list_free(t.list, t.n);
	close(t.signals);
	close(t.input);
	sigprocmask(SIG_SETMASK, &t.old_mask, NULL);
	if (t.signal) {
		/* Curses has put a handler there. */
		signal(t.signal, SIG_DFL);
		raise(t.signal);
	}
	return r;
}

static int once(struct ctl *c)
{
	struct blockcopy_info **list;
	char line[TOP_LINE];
	int width = TOP_NAME_MIN;
	size_t n;

	if (blockcopy_list(c->bc, &list, &n) < 0)
		return failed(c);
	for (size_t i = 0; i < n; i++)
		if (strlen(blockcopy_info_name(list[i])) > (size_t)width)
			width = (int)strlen(blockcopy_info_name(list[i]));
	if (n) {
		top_head(TOP_ALL, width, line);
		puts(line);
	}
	for (size_t i = 0; i < n; i++) {
		top_row(list[i], TOP_ALL, width, line);
		puts(line);
	}
	blockcopy_info_list_free(list, n);
	return BLOCKCOPY_OK;
}

int cmd_top(struct ctl *c)
{
	if (c->opt.once || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return once(c);
	return watch(c);
}

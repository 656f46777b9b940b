// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting. A dm event tells that something happened, not what: arm the control fd, look at the
 * status, then poll. What happens after the look ends the poll; what happened before was seen.
 */
#include <poll.h>

#include "internal.h"

int bcl_wait_open(struct blockcopy *bc, struct bcl_wait *ret)
{
	int fd = bcl_dm_events_open();

	if (fd < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, fd,
				"/dev/mapper/control: cannot be opened: %s", strerror(-fd));
	*ret = (struct bcl_wait) { .fd = fd, .cancel_fd = bc->cancel_fd };
	return 0;
}

void bcl_wait_done(struct bcl_wait *w)
{
	bcl_closep(&w->fd);
	w->fd = -1;
}

int bcl_wait_arm(struct blockcopy *bc, struct bcl_wait *w)
{
	int r = bcl_dm_events_arm(w->fd);

	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r,
				"/dev/mapper/control: cannot wait for events: %s", strerror(-r));
	return 0;
}

int bcl_wait_event(struct blockcopy *bc, struct bcl_wait *w, int64_t timeout_ms)
{
	int64_t end = timeout_ms < 0 ? -1 : bcl_now_ms() + timeout_ms;

	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = w->fd, .events = POLLIN },
			{ .fd = w->cancel_fd, .events = POLLIN },	/* -1 is skipped */
		};
		int64_t left = end < 0 ? -1 : end - bcl_now_ms();
		int n;

		if (end >= 0 && left < 0)
			left = 0;
		n = poll(fds, ELEMENTSOF(fds), left > 60000 ? 60000 : (int)left);
		if (n < 0 && errno != EINTR)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "poll: %s", strerror(errno));
		if (n > 0 && fds[1].revents)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -EINTR, "interrupted");
		if (n > 0 && fds[0].revents)
			return 1;
		if (end >= 0 && bcl_now_ms() >= end)
			return 0;
	}
}

/* The drain may take as long as the hold, the rest is for a busy machine. */
#define COMPLETE_TIMEOUT_MS (2 * BLOCKCOPY_HOLD_MS_MAX + 30000)

int bcl_wait_completed(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret)
{
	_cleanup_(bcl_wait_done) struct bcl_wait w = { .fd = -1 };
	int64_t end = bcl_now_ms() + COMPLETE_TIMEOUT_MS;
	int r;

	r = bcl_wait_open(bc, &w);
	if (r < 0)
		return r;
	/* The kernel bounds this one itself; given up half way nobody would know how it ended. */
	w.cancel_fd = -1;
	for (;;) {
		_cleanup_(bcl_job_done) struct bcl_job j = {};
		int64_t left;

		r = bcl_wait_arm(bc, &w);
		if (r == 0)
			r = bcl_job_find(bc, dev->name, &j);
		if (r < 0)
			return r;
		if (j.status.state != BLOCKCOPY_STATE_ID_COMPLETING) {
			*ret = j;
			j = (struct bcl_job) {};
			return 0;
		}
		left = end - bcl_now_ms();
		if (left <= 0)
			return bcl_fail(bc, BLOCKCOPY_TIMED_OUT, -ETIMEDOUT,
					"%s: still completing after %d s", dev->name,
					COMPLETE_TIMEOUT_MS / 1000);
		r = bcl_wait_event(bc, &w, left);
		if (r < 0)
			return r;
	}
}

/* Return: 1 over, 0 go on waiting, -errno. */
static int judge(struct blockcopy *bc, const struct bcl_job *j)
{
	if (j->status.ready)
		return 1;
	if (j->status.state == BLOCKCOPY_STATE_ID_FAILED)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO,
				"%s: the copy failed: %s (the device runs on its source; "
				"`blockcopy resume` tries again, `blockcopy abort` gives up)",
				j->dev.name, bcl_job_why(j));
	return 0;
}

/* Once for each time that it happens: somebody has to do something, or the wait has no end. */
static void tell_pause(struct blockcopy *bc, const struct bcl_job *j, bool *told)
{
	bool paused = bcl_job_paused_by_error(j);

	if (paused && !*told)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: the copy is paused, %s; waiting for `blockcopy resume %s`",
			j->dev.name, bcl_job_why(j), j->dev.name);
	*told = paused;
}

/* Likewise: it is not ready before the source can be read. */
static void tell_unread(struct blockcopy *bc, const struct bcl_job *j, bool *told)
{
	bool unread = j->status.unread_bytes;

	if (unread && !*told)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: its source cannot be read everywhere, and is tried again; `blockcopy map %s "
			"--unread` lists where", j->dev.name, j->dev.name);
	*told = unread;
}

static int report(struct blockcopy *bc, const struct bcl_job *j, blockcopy_progress_fn progress,
		  void *userdata)
{
	struct blockcopy_info *info;
	int r;

	if (!progress)
		return 0;
	r = bcl_info_from_job(bc, j, &info);
	if (r < 0)
		return r;
	progress(userdata, info);
	blockcopy_info_free(info);
	return 0;
}

int bcl_wait_for(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
		 blockcopy_progress_fn progress, void *userdata, const struct bcl_wait_what *what)
{
	_cleanup_(bcl_wait_done) struct bcl_wait w = { .fd = -1 };
	int64_t end = timeout_ms < 0 ? INT64_MAX : bcl_now_ms() + timeout_ms;
	bool told = false, told_unread = false;
	int r;

	r = bcl_wait_open(bc, &w);
	if (r < 0)
		return r;
	for (;;) {
		_cleanup_(bcl_job_done) struct bcl_job j = {};
		int64_t left = end - bcl_now_ms();

		r = bcl_wait_arm(bc, &w);
		if (r == 0)
			r = bcl_job_find(bc, name, &j);
		if (r == 0)
			r = report(bc, &j, progress, userdata);
		if (r == 0)
			r = what->judge(bc, &j);
		if (r != 0)
			return r < 0 ? r : 0;
		tell_pause(bc, &j, &told);
		tell_unread(bc, &j, &told_unread);
		if (left <= 0)
			return what->timed_out(bc, &j, (long long)timeout_ms / 1000);
		if (end == INT64_MAX)
			left = -1;
		if (interval_ms >= 0 && progress && (left < 0 || left > interval_ms))
			left = interval_ms;
		r = bcl_wait_event(bc, &w, left);
		if (r < 0)
			return r;
	}
}

static int not_ready(struct blockcopy *bc, const struct bcl_job *j, long long s)
{
	return bcl_fail(bc, BLOCKCOPY_TIMED_OUT, -ETIMEDOUT,
			"%s: not ready after %lld s, %u %% copied%s", j->dev.name, s,
			(unsigned int)(j->status.total ? j->status.synced * 100 / j->status.total : 0),
			bcl_job_paused_by_error(j) ? ", paused by an error" :
			j->status.unread_bytes ? ", the rest cannot be read at the source" : "");
}

int blockcopy_wait(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
		   blockcopy_progress_fn progress, void *userdata)
{
	static const struct bcl_wait_what ready = { judge, not_ready };

	bcl_begin(bc);
	return bcl_wait_for(bc, name, timeout_ms, interval_ms, progress, userdata, &ready);
}

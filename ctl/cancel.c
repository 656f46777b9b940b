// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals that end a wait. They come through an fd, so that a wait ends between two looks and
 * never in the middle of a change.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "ctl.h"

static sigset_t old_mask;
static bool blocked;

int cancel_on_signals(struct ctl *c)
{
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, &old_mask) < 0)
		return -errno;
	blocked = true;
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	/* Lives as long as the process. */
	blockcopy_set_cancel_fd(c->bc, fd);
	return 0;
}

void cancel_restore(void)
{
	if (blocked)
		sigprocmask(SIG_SETMASK, &old_mask, NULL);
}

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
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	/* What nohup, or a shell in the background, has us ignore would come through once blocked. */
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct sigaction found;

		if (sigaction(signals[i], NULL, &found) == 0 && found.sa_handler != SIG_IGN)
			sigaddset(&mask, signals[i]);
	}
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

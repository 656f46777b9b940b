// SPDX-License-Identifier: GPL-2.0-only
/*
 * An abort that nobody has to wait for. The kernel gives the device its plain table at once, but
 * the call that did it may take seconds more, where the destination does not answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

#define LOOK_INTERVAL_MS 20

static int abort_here(struct ctl *c)
{
	return blockcopy_abort(c->bc, c->arg[0], true) < 0 ? failed(c) : BLOCKCOPY_OK;
}

/* In the child. It ends by itself, and must not keep the terminal or a pipe of the caller's. */
static void child(struct ctl *c, int to_parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	cancel_restore();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	dup2(to_parent, STDERR_FILENO);
	close(to_parent);
	blockcopy_set_cancel_fd(c->bc, -1);
	status = abort_here(c);
	fflush(stderr);
	_exit(status);
}

/* Is the guest still on the job's table, as far as one can tell? */
static bool has_job(struct ctl *c)
{
	struct blockcopy_info *i;

	if (blockcopy_info_get(c->bc, c->arg[0], &i) < 0)
		return blockcopy_error(c->bc) != BLOCKCOPY_NOT_FOUND;
	blockcopy_info_free(i);
	return true;
}

/* Pass on what the child said. Return: false when it will say nothing more. */
static bool pass_on(int from_child)
{
	char buf[512];
	ssize_t n = read(from_child, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR;
	fwrite(buf, 1, n, stderr);
	return n > 0;
}

/* Until the child has ended or there is no job any more. Return: exit status. */
static int follow(struct ctl *c, pid_t pid, int from_child)
{
	struct pollfd fd = { .fd = from_child, .events = POLLIN };
	int status;

	for (;;) {
		int n = poll(&fd, 1, LOOK_INTERVAL_MS);

		if (n > 0 && !pass_on(from_child))
			break;
		if (n == 0 && !has_job(c))
			return BLOCKCOPY_OK;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return complain(BLOCKCOPY_FAILED, "waitpid: %m");
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return complain(BLOCKCOPY_FAILED, "the abort was killed; `blockcopy recover %s` completes it",
			c->arg[0]);
}

int abort_in_background(struct ctl *c)
{
	int fds[2], status;
	pid_t pid;

	/* Then there is nothing that takes time, and no end of a job to look for. */
	if (!has_job(c))
		return abort_here(c);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return abort_here(c);
	/* What is in the buffers is ours to write. */
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		/* It takes as long as it takes. */
		return abort_here(c);
	}
	if (pid == 0) {
		close(fds[0]);
		child(c, fds[1]);
	}
	close(fds[1]);
	status = follow(c, pid, fds[0]);
	close(fds[0]);
	return status;
}

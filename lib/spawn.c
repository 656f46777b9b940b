// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"

/* sd_listen_fds(3): descriptors from this one on. */
#define LISTEN_FD 3

/* Exit status of what is between us and a program that takes too long; timeout(1) has the same. */
#define RUN_TIMEOUT 124

static int failed(struct blockcopy *bc, const char *program, int r)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, r, "cannot run %s: %s", program, strerror(-r));
}

/* In the child: nothing but system calls. "@out" is -1 for nowhere. Never returns. */
static void become(const char *const argv[], char **env, int out, int err)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(out < 0 ? null : out, STDOUT_FILENO);
	}
	dup2(err, STDERR_FILENO);
	/* An image has what the device has, which not everybody may read. */
	umask(077);
	execvpe(argv[0], (char *const *)argv, env);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

char *bcl_said(int fd)
{
	char buf[512], *text, *end;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	text = buf;
	end = strchr(text, '\n');
	if (end)
		*end = '\0';
	return strdup(*text ? text : "it said nothing");
}

/* Return: its exit status, as a shell has it, or -errno. */
static int wait_for(struct blockcopy *bc, const char *program, pid_t pid)
{
	int status;

	if (pid < 0)
		return failed(bc, program, -errno);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed(bc, program, -errno);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int bcl_run(struct blockcopy *bc, const char *const argv[])
{
	return bcl_run_to(bc, argv, -1);
}

int bcl_run_to(struct blockcopy *bc, const char *const argv[], int out)
{
	_cleanup_close_ int err = memfd_create("stderr", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	pid_t pid;
	int r;

	if (err < 0)
		return failed(bc, argv[0], -errno);
	pid = fork();
	if (pid == 0)
		become(argv, environ, out, err);
	r = wait_for(bc, argv[0], pid);
	if (r <= 0)
		return r;
	text = bcl_said(err);
	return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s failed: %s", argv[0], text ? text : "?");
}

/* The end of what is in a file, without an empty line there. */
static char *last_line(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char buf[512], *line;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, size < (off_t)sizeof(buf) ? 0 :
			  size - (off_t)sizeof(buf) + 1);

	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n > 0 ? n : 0] = '\0';
	line = strrchr(buf, '\n');
	line = line ? line + 1 : buf;
	return strdup(*line ? line : "it said nothing");
}

int bcl_ask(struct blockcopy *bc, const char *const argv[], char **ret_line)
{
	_cleanup_close_ int out = memfd_create("stdout", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("stderr", MFD_CLOEXEC);
	pid_t pid;
	int r;

	if (out < 0 || err < 0)
		return failed(bc, argv[0], -errno);
	pid = fork();
	if (pid == 0)
		become(argv, environ, out, err);
	r = wait_for(bc, argv[0], pid);
	if (r < 0)
		return r;
	*ret_line = r ? last_line(err) : bcl_said(out);
	return *ret_line ? r : bcl_oom(bc);
}

/* In the child: a child of it does the work, and is init's when this one has gone. Never returns. */
static void run_for(const char *const argv[], int ms)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		become(argv, environ, -1, open("/dev/null", O_RDWR | O_CLOEXEC));
	/* A lock that our parent holds is not to be held by us, if it is killed. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	for (; pid > 0 && ms > 0; ms -= 10) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
		usleep(10000);
	}
	_exit(pid > 0 ? RUN_TIMEOUT : 1);
}

int bcl_run_for(struct blockcopy *bc, const char *const argv[], int ms)
{
	pid_t pid = fork();
	int r;

	if (pid == 0)
		run_for(argv, ms);
	r = wait_for(bc, argv[0], pid);
	if (r <= 0)
		return r;
	return r == RUN_TIMEOUT ?
		bcl_fail(bc, BLOCKCOPY_FAILED, -ETIMEDOUT, "%s: not done within %d ms", argv[0], ms) :
		bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s failed: exit status %d", argv[0], r);
}

/* The environment, with room for two variables in front. */
static char **copy_environ(void)
{
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 3, sizeof(*env));
	if (env)
		memcpy(env + 2, environ, n * sizeof(*env));
	return env;
}

/* In the child of a child: whoever started us has not to wait for it. Never returns. */
static void become_server(const char *const argv[], char **env, char pid_text[32], int listening,
			  int err)
{
	setsid();
	/* Nobody's directory is kept busy by it. */
	if (chdir("/") < 0)
		_exit(127);
	snprintf(pid_text, 32, "LISTEN_PID=%d", (int)getpid());
	/* "err" first: it may have the number that the socket is to get. */
	dup2(err, STDERR_FILENO);
	if (listening == LISTEN_FD)
		fcntl(listening, F_SETFD, 0);
	else
		dup2(listening, LISTEN_FD);
	become(argv, env, -1, STDERR_FILENO);
}

/* Between us and the server, so that it does not stay when we are killed before it is of use. */
static void watch(pid_t server, int from_us)
{
	char word;
	ssize_t n;

	do
		n = read(from_us, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		kill(server, SIGTERM);
	_exit(0);
}

int bcl_serve(struct blockcopy *bc, const char *const argv[], int listening, int err,
	      struct bcl_server *s)
{
	char pid_text[32], fds_text[] = "LISTEN_FDS=1";
	_cleanup_free_ char **env = copy_environ();
	pid_t server;
	int fds[2];

	if (!env)
		return bcl_oom(bc);
	env[0] = fds_text;
	env[1] = pid_text;
	/* No pipe: who writes to one whose reader was killed gets a signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return failed(bc, argv[0], -errno);
	s->watcher = fork();
	if (s->watcher == 0) {
		close(fds[1]);
		server = fork();
		if (server == 0)
			become_server(argv, env, pid_text, listening, err);
		/* What the two talk by is theirs. */
		close_range(STDERR_FILENO + 1, fds[0] - 1, 0);
		close_range(fds[0] + 1, ~0U, 0);
		if (server > 0)
			watch(server, fds[0]);
		_exit(1);
	}
	close(fds[0]);
	if (s->watcher < 0) {
		close(fds[1]);
		return failed(bc, argv[0], -errno);
	}
	s->to_watcher = fds[1];
	return 0;
}

void bcl_server_done(struct bcl_server *s, bool keep)
{
	if (keep)
		(void)!send(s->to_watcher, "k", 1, MSG_NOSIGNAL);
	bcl_closep(&s->to_watcher);
	while (waitpid(s->watcher, NULL, 0) < 0 && errno == EINTR)
		;
}

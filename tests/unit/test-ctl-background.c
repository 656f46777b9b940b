// SPDX-License-Identifier: GPL-2.0-only
/* The abort that nobody waits for, ctl/background.c, with an abort that does as it is told. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "unit.h"

/* Between the test, the parent and the child. */
static struct shared {
	int has_job;		/* the device has a job */
	int swap_ms;		/* the abort takes it away after so long, -1: never */
	int return_ms;		/* and returns so much later */
	int status;		/* with this */
	pid_t aborter;		/* where it ran */
	pid_t session;
	int done;
} *shared;

static void sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- in place of the library and main.c ---- */

static enum blockcopy_error error;

int blockcopy_abort(struct blockcopy *bc, const char *name, bool missing_ok)
{
	shared->aborter = getpid();
	shared->session = getsid(0);
	if (shared->swap_ms >= 0) {
		sleep_ms(shared->swap_ms);
		__atomic_store_n(&shared->has_job, 0, __ATOMIC_SEQ_CST);
	}
	sleep_ms(shared->return_ms);
	__atomic_store_n(&shared->done, 1, __ATOMIC_SEQ_CST);
	error = shared->status;
	return shared->status ? -EIO : 0;
}

int blockcopy_info_get(struct blockcopy *bc, const char *name, struct blockcopy_info **ret)
{
	*ret = NULL;
	error = __atomic_load_n(&shared->has_job, __ATOMIC_SEQ_CST) ? BLOCKCOPY_OK :
								       BLOCKCOPY_NOT_FOUND;
	return error ? -ENXIO : 0;
}

enum blockcopy_error blockcopy_error(const struct blockcopy *bc)
{
	return error;
}

void blockcopy_info_free(struct blockcopy_info *i)
{
}

void blockcopy_set_cancel_fd(struct blockcopy *bc, int fd)
{
}

void cancel_restore(void)
{
}

int complain(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int failed(struct ctl *c)
{
	return complain(error, "it failed");
}

/* ---- */

/* Return: exit status; what was said on standard error. */
static int run(struct shared how, char said[256], int64_t *ret_ms)
{
	char *arg[] = { "vm1", NULL };
	struct ctl c = { .arg = arg, .n_arg = 1 };
	int old = dup(STDERR_FILENO), status;
	FILE *f = tmpfile();
	int64_t start;
	size_t n;

	ck_assert_ptr_nonnull(f);
	*shared = how;
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	start = now_ms();
	status = abort_in_background(&c);
	*ret_ms = now_ms() - start;
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(f);
	n = fread(said, 1, 255, f);
	said[n] = '\0';
	fclose(f);
	return status;
}

START_TEST(quick)
{
	struct shared how = { .has_job = 1 };
	char said[256];
	int64_t ms;

	ck_assert_int_eq(run(how, said, &ms), BLOCKCOPY_OK);
	ck_assert_str_eq(said, "");
	ck_assert_int_ne(shared->aborter, getpid());
	/* Not in the caller's session: it must survive its terminal. */
	ck_assert_int_eq(shared->session, shared->aborter);
}
END_TEST

/* The device has its plain table, the rest takes long. */
START_TEST(hangs)
{
	struct shared how = { .has_job = 1, .swap_ms = 100, .return_ms = 4000 };
	char said[256], byte;
	int64_t ms;
	int out[2];

	/* A caller reads our output to its end: the child must not keep it open. */
	ck_assert_int_eq(pipe(out), 0);
	fflush(stdout);
	int old = dup(STDOUT_FILENO);

	dup2(out[1], STDOUT_FILENO);
	close(out[1]);
	ck_assert_int_eq(run(how, said, &ms), BLOCKCOPY_OK);
	dup2(old, STDOUT_FILENO);
	close(old);

	ck_assert_str_eq(said, "");
	ck_assert_int_ge(ms, 100);
	ck_assert_int_lt(ms, 3000);
	ck_assert_int_eq(shared->done, 0);
	struct pollfd fd = { .fd = out[0], .events = POLLIN };

	ck_assert_int_eq(poll(&fd, 1, 0), 1);
	ck_assert_int_eq(read(out[0], &byte, 1), 0);
	ck_assert_int_eq(shared->done, 0);
	close(out[0]);
	/* It goes on without us. */
	for (int i = 0; i < 200 && !__atomic_load_n(&shared->done, __ATOMIC_SEQ_CST); i++)
		sleep_ms(50);
	ck_assert_int_eq(shared->done, 1);
}
END_TEST

/* Refused: the status and the words are those of an abort that was waited for. */
START_TEST(fails)
{
	struct shared how = {
		.has_job = 1, .swap_ms = -1, .return_ms = 200, .status = BLOCKCOPY_WRONG_STATE,
	};
	char said[256];
	int64_t ms;

	ck_assert_int_eq(run(how, said, &ms), BLOCKCOPY_WRONG_STATE);
	ck_assert_str_eq(said, "it failed\n");
	ck_assert_int_ge(ms, 200);
}
END_TEST

/* Nothing to wait for: no other process, and its error is not taken for the end of a job. */
START_TEST(no_job)
{
	struct shared how = { .swap_ms = -1, .return_ms = 100 };
	char said[256];
	int64_t ms;

	ck_assert_int_eq(run(how, said, &ms), BLOCKCOPY_OK);
	ck_assert_int_eq(shared->aborter, getpid());
	how.status = BLOCKCOPY_NOT_FOUND;
	ck_assert_int_eq(run(how, said, &ms), BLOCKCOPY_NOT_FOUND);
	ck_assert_str_eq(said, "it failed\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl-background");
	TCase *t = tcase_create("background");

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, quick);
	tcase_add_test(t, hangs);
	tcase_add_test(t, fails);
	tcase_add_test(t, no_job);
	suite_add_tcase(s, t);
	return unit_main(s);
}

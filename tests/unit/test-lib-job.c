// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is made of the statuses that a job goes through: lib/events.c, lib/pivot.c, lib/info.c and
 * ctl/json.c, with a kernel that says line after line of a script.
 */
#include <json-c/json.h>
#include <stdarg.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"
#include "destination/spec.h"
#include "internal.h"
#include "sysfs.h"
#include "unit.h"

/* What every status has, then what one of a case has in place of it. */
struct said {
	const char *state;
	bool ready, paused, gone;
	const char *io_status, *error;
	unsigned int blackout_us, reversals, source_only;
};

static const struct said *script;
static size_t n_script, at;

/* The next of the script, the last one again and again. */
static struct bcl_job next_job(void)
{
	const struct said *s = &script[at < n_script - 1 ? at++ : at];
	struct bcl_job j = { .dev.name = "vm1", .len = 2048, .destination_gone = s->gone };
	char line[1024];

	snprintf(line, sizeof(line),
		 "1 %s %d/2048 128 29 ready %d paused %d copy_mode auto mirroring 1 "
		 "actively_synced 0 mirrored_bytes 4096 write_timeout 1000 late_writes 2 timeouts 3 "
		 "dirty_bytes 65536 inflight_bytes 0 copied_bytes 5 dirtied_bytes 6 zeroed_bytes 7 "
		 "rate 8 bandwidth 0 buf_size 1048576 on_source_error stop on_target_error enospc "
		 "io_status %s source_errors 0 target_errors 1 error %s blackout_us %u held 0 "
		 "event error events 9 reversals %u source_only_bytes %u",
		 s->state, s->ready ? 2048 : 1024, s->ready, s->paused,
		 s->io_status ? s->io_status : "ok", s->error ? s->error : "-", s->blackout_us,
		 s->reversals, s->source_only);
	ck_assert_int_eq(bcl_status_parse(line, &j.status), 0);
	ck_assert_int_eq(bcl_args_parse("8:0 0 8:16 0 128", &j.args), 0);
	return j;
}

/* ---- in place of the kernel ---- */

static char sent[64];		/* the last message */
static unsigned int n_sent;
static int send_result;
static char locked[8];		/* the numbers of the devices, in the order that they were locked */
static unsigned int n_locked;
static unsigned int ended_on_source, ended_on_destination;

/* The number in the name is that of the device. */
int bcl_device_find(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_info)
{
	*ret_info = (struct bcl_dm_info) { .dev = makedev(253, name[2] - '0') };
	ck_assert_uint_eq(strlen(name), 3);
	memcpy(ret_info->name, name, 4);
	return 0;
}

int bcl_device_lock(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_dev, int *ret_lock)
{
	*ret_lock = dup(0);
	locked[n_locked++ % 8] = name[2];
	return bcl_device_find(bc, name, ret_dev);
}

int bcl_job_read(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret)
{
	const struct said *s = &script[at];

	if (!s->state) {
		at++;
		return 0;
	}
	*ret = next_job();
	ret->dev = *dev;
	return 1;
}

int bcl_job_find(struct blockcopy *bc, const char *name, struct bcl_job *ret)
{
	struct bcl_dm_info dev;

	bcl_device_find(bc, name, &dev);
	if (bcl_job_read(bc, &dev, ret) == 0)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no job", name);
	return 0;
}

int bcl_job_lock(struct blockcopy *bc, const char *name, struct bcl_job *ret, int *ret_lock)
{
	*ret_lock = dup(0);
	return bcl_job_find(bc, name, ret);
}

void bcl_job_done(struct bcl_job *j)
{
	bcl_args_done(&j->args);
	*j = (struct bcl_job) {};
}

int bcl_job_message(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sent, sizeof(sent), fmt, ap);
	va_end(ap);
	n_sent++;
	return send_result;
}

int bcl_dm_info_by_dev(struct blockcopy *bc, dev_t dev, struct bcl_dm_info *ret)
{
	return 0;
}

int bcl_stack_below(dev_t dev, struct bcl_devs *to)
{
	return 0;
}

int bcl_dm_list(struct blockcopy *bc, struct bcl_dm_info **ret, size_t *ret_n)
{
	*ret = NULL;
	*ret_n = 0;
	return 0;
}

/* Events without end: readable always, as the end of a pipe that nobody writes to is. */
int bcl_dm_events_open(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	close(fds[1]);
	return fds[0];
}

int bcl_dm_events_arm(int fd)
{
	return 0;
}

char *bcl_destination_spec(dev_t dev)
{
	return major(dev) == 7 ? strdup("/var/lib/copy.img") : NULL;
}

char *bcl_device_path(dev_t dev)
{
	return bcl_asprintf("/dev/%u:%u", major(dev), minor(dev));
}

void bcl_clear_loaded_job(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
}

bool bcl_clear_loaded_source(struct blockcopy *bc, const struct bcl_job *j)
{
	(void)bc;
	(void)j;
	return false;
}

int bcl_destination_compare_limits(struct blockcopy *bc, dev_t source, dev_t destination)
{
	return 0;
}

int bcl_job_show_copy(struct blockcopy *bc, const struct bcl_job *j)
{
	return 0;
}

int bcl_tracking_begin(struct blockcopy *bc, struct bcl_job *j)
{
	return 0;
}

bool bcl_is_tracking(const struct bcl_job *j)
{
	return false;
}

int bcl_tracking_check(struct blockcopy *bc, const struct bcl_job *j)
{
	return 0;
}

int bcl_end_on_source(struct blockcopy *bc, struct bcl_job *j)
{
	ended_on_source++;
	return 0;
}

int bcl_end_on_destination(struct blockcopy *bc, struct bcl_job *j)
{
	ended_on_destination++;
	return 0;
}

/* ---- */

static char logged[1024];

static void keep_log(void *userdata, enum blockcopy_log_level level, const char *line)
{
	size_t n = strlen(logged);

	ck_assert_int_eq(level, BLOCKCOPY_LOG_WARNING);
	snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

static struct blockcopy *play(const struct said *lines, size_t n)
{
	struct blockcopy *bc;

	script = lines;
	n_script = n;
	at = 0;
	*logged = *sent = '\0';
	send_result = 0;
	n_sent = n_locked = 0;
	memset(locked, 0, sizeof(locked));
	ended_on_source = ended_on_destination = 0;
	ck_assert_int_eq(blockcopy_new(&bc), 0);
	blockcopy_set_log(bc, keep_log, NULL);
	return bc;
}

#define PLAY(lines) play(lines, ELEMENTSOF(lines))

static const struct said copying = { .state = "copying" };
static const struct said ready = { "ready", .ready = true };

START_TEST(wait_ready)
{
	struct said lines[] = { copying, copying, ready };
	struct blockcopy *bc = PLAY(lines);

	ck_assert_int_eq(blockcopy_wait(bc, "vm1", -1, -1, NULL, NULL), 0);
	ck_assert_str_eq(logged, "");
	blockcopy_free(bc);
}
END_TEST

/* Said once for each time; what the user paused is his affair. */
START_TEST(wait_paused)
{
	struct said full = { "copying", .paused = true, .io_status = "nospace", .error = "target-write" };
	struct said stopped = { "copying", .paused = true, .io_status = "failed",
				.error = "source-read" };
	struct said by_user = { "copying", .paused = true };
	struct said lines[] = { copying, by_user, copying, full, full, full, copying, stopped,
				stopped, copying, ready };
	struct blockcopy *bc = PLAY(lines);

	ck_assert_int_eq(blockcopy_wait(bc, "vm1", -1, -1, NULL, NULL), 0);
	ck_assert_str_eq(logged,
			 "vm1: the copy is paused, the destination is full; waiting for "
			 "`blockcopy resume vm1`\n"
			 "vm1: the copy is paused, the source could not be read; waiting for "
			 "`blockcopy resume vm1`\n");
	blockcopy_free(bc);
}
END_TEST

/* An error that is retried is no pause. */
START_TEST(wait_retried)
{
	struct said lines[] = { { "copying", .io_status = "failed", .error = "target-write" }, ready };
	struct blockcopy *bc = PLAY(lines);

	ck_assert_int_eq(blockcopy_wait(bc, "vm1", -1, -1, NULL, NULL), 0);
	ck_assert_str_eq(logged, "");
	blockcopy_free(bc);
}
END_TEST

START_TEST(wait_paused_timeout)
{
	struct said lines[] = {
		{ "copying", .paused = true, .io_status = "nospace", .error = "target-write" },
	};
	struct blockcopy *bc = PLAY(lines);

	ck_assert_int_eq(blockcopy_wait(bc, "vm1", 50, -1, NULL, NULL), -ETIMEDOUT);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_TIMED_OUT);
	ck_assert_ptr_nonnull(strstr(blockcopy_error_message(bc), "paused by an error"));
	blockcopy_free(bc);
}
END_TEST

START_TEST(wait_failed)
{
	static const struct {
		struct said said;
		const char *why;
	} cases[] = {
		{ { "failed", .io_status = "failed", .error = "target-write" },
		  "the copy failed: the destination could not be written (" },
		{ { "failed", .io_status = "failed", .error = "target-write", .gone = true },
		  "the copy failed: the destination is gone (" },
		{ { "failed", .io_status = "failed", .error = "source-read", .gone = true },
		  "the copy failed: the source could not be read (" },
		{ { "failed", .io_status = "failed", .error = "destination-given-up" },
		  "the copy failed: the destination did not answer and was given up (" },
		{ { "failed", .io_status = "failed", .error = "a-new-word" },
		  "the copy failed: a-new-word (" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct blockcopy *bc = play(&cases[i].said, 1);

		ck_assert_int_eq(blockcopy_wait(bc, "vm1", -1, -1, NULL, NULL), -EIO);
		ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_FAILED);
		ck_assert_msg(strstr(blockcopy_error_message(bc), cases[i].why) != NULL, "%s",
			      blockcopy_error_message(bc));
		blockcopy_free(bc);
	}
}
END_TEST

START_TEST(pivots)
{
	struct said lines[] = { ready, { "completing", .ready = true }, { "completing", .ready = true },
				{ "pivoted", .ready = true, .blackout_us = 1234 } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us = 0;

	ck_assert_int_eq(blockcopy_pivot(bc, "vm1", 500, &us), 0);
	ck_assert_uint_eq(us, 1234);
	ck_assert_str_eq(sent, "complete 500");
	ck_assert_uint_eq(ended_on_destination, 1);
	ck_assert_uint_eq(ended_on_source, 0);
	blockcopy_free(bc);
}
END_TEST

/* The state says nothing of it. And once more it is not turned back. */
START_TEST(keeps_source)
{
	struct said lines[] = { ready, { "completing", .ready = true },
				{ "ready", .ready = true, .blackout_us = 99, .reversals = 1 } };
	struct said failed[] = { ready, { "completing", .ready = true },
				 { "ready", .ready = true, .error = "blackout-budget-spent" } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us = 0;

	for (int i = 0; i < 2; i++) {
		*sent = '\0';
		ck_assert_int_eq(blockcopy_pivot_keep_source(bc, "vm1", 500, &us), 0);
		ck_assert_uint_eq(us, 99);
		ck_assert_str_eq(sent, i ? "" : "complete 500 reverse");
	}
	ck_assert_uint_eq(ended_on_destination + ended_on_source, 0);
	blockcopy_free(bc);

	bc = PLAY(failed);
	ck_assert_int_eq(blockcopy_pivot_keep_source(bc, "vm1", 500, &us), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(blockcopy_error_message(bc), "no pivot: blackout-budget-spent"));
	blockcopy_free(bc);
}
END_TEST

START_TEST(source_failed)
{
	struct said lines[] = { { "copying", .io_status = "failed", .reversals = 1 },
				{ "completing", .reversals = 1 },
				{ "pivoted", .ready = true, .reversals = 1 } };
	struct said lacks[] = { { "failed", .reversals = 1, .source_only = 131072 },
				{ "pivoted", .ready = true, .reversals = 1 } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us;

	ck_assert_int_eq(blockcopy_pivot_source_failed(bc, "vm1", 500, &us), 0);
	ck_assert_str_eq(sent, "complete 500 source-failed");
	ck_assert_uint_eq(ended_on_destination, 1);
	blockcopy_free(bc);

	/* A job like any has no way back. */
	bc = play(&ready, 1);
	ck_assert_int_lt(blockcopy_pivot_source_failed(bc, "vm1", 500, &us), 0);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_WRONG_STATE);
	blockcopy_free(bc);

	bc = play(lacks, 1);
	ck_assert_int_lt(blockcopy_pivot_source_failed(bc, "vm1", 500, &us), 0);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_REFUSED);
	ck_assert_ptr_nonnull(strstr(blockcopy_error_message(bc), "131072 bytes"));
	ck_assert_str_eq(sent, "");
	blockcopy_free(bc);

	bc = PLAY(lacks);
	blockcopy_set_force(bc, true);
	ck_assert_int_eq(blockcopy_pivot_source_failed(bc, "vm1", 500, &us), 0);
	ck_assert_str_eq(sent, "complete 500 source-failed lossy");
	blockcopy_free(bc);
}
END_TEST

START_TEST(finishes)
{
	struct said lines[] = { ready, { "completing", .ready = true },
				{ "finished", .ready = true, .blackout_us = 99 } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us = 0;

	ck_assert_int_eq(blockcopy_finish(bc, "vm1", 60000, &us), 0);
	ck_assert_uint_eq(us, 99);
	ck_assert_str_eq(sent, "finish 60000");
	ck_assert_uint_eq(ended_on_destination, 0);
	ck_assert_uint_eq(ended_on_source, 1);
	blockcopy_free(bc);
}
END_TEST

/* Exit 4, the kernel's word in one line, and the job is left as it is. */
START_TEST(no_pivot)
{
	static const struct {
		struct said after;
		const char *words[3];
	} cases[] = {
		{ { "ready", .ready = true, .error = "blackout-budget-spent", .blackout_us = 500123 },
		  { "vm1: no pivot: blackout-budget-spent: ", "job is ready", "500123 us of at most 500 ms" } },
		{ { "failed", .io_status = "failed", .error = "target-write", .blackout_us = 17 },
		  { "vm1: no pivot: target-write: the destination could not be written", "job is failed",
		    "17 us" } },
		{ { "failed", .io_status = "failed", .error = "target-flush", .gone = true },
		  { "vm1: no pivot: target-flush: the destination is gone", "job is failed", "0 us" } },
		{ { "ready", .ready = true, .error = "suspended-while-completing" },
		  { "vm1: no pivot: suspended-while-completing: ", "job is ready", "" } },
		{ { "copying", .paused = true, .io_status = "nospace", .error = "target-write" },
		  { "vm1: no pivot: target-write: the destination is full", "job is copying", "" } },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct said lines[] = { ready, { "completing", .ready = true }, cases[i].after };
		struct blockcopy *bc = PLAY(lines);
		uint64_t us = 4711;

		ck_assert_int_eq(blockcopy_pivot(bc, "vm1", 500, &us), -EAGAIN);
		ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_WRONG_STATE);
		for (size_t k = 0; k < ELEMENTSOF(cases[i].words); k++)
			ck_assert_msg(strstr(blockcopy_error_message(bc), cases[i].words[k]) != NULL,
				      "%s", blockcopy_error_message(bc));
		ck_assert_ptr_null(strchr(blockcopy_error_message(bc), '\n'));
		ck_assert_uint_eq(us, 4711);
		ck_assert_uint_eq(ended_on_destination + ended_on_source, 0);
		blockcopy_free(bc);
	}
}
END_TEST

/* Refused before anything is sent. */
START_TEST(not_ready)
{
	static const struct {
		struct said said;
		const char *told;
	} cases[] = {
		{ { .state = "copying" }, "found the job copying, needed it ready to pivot" },
		{ { "ready", .ready = true, .paused = true },
		  "found the job ready and paused, needed" },
		{ { "copying", .paused = true, .io_status = "nospace", .error = "target-write" },
		  "found the job copying and paused (the destination is full), needed" },
		{ { "failed", .io_status = "failed", .error = "target-write", .gone = true },
		  "found the job failed (the destination is gone), needed" },
		{ { "finished", .ready = true }, "found the job finished already" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct blockcopy *bc = play(&cases[i].said, 1);
		uint64_t us;

		ck_assert_int_lt(blockcopy_pivot(bc, "vm1", 500, &us), 0);
		ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_WRONG_STATE);
		ck_assert_msg(strstr(blockcopy_error_message(bc), cases[i].told) != NULL, "%s",
			      blockcopy_error_message(bc));
		ck_assert_str_eq(sent, "");
		blockcopy_free(bc);
	}
}
END_TEST

/* In the order of the devices; what is returned is in that of the names. */
START_TEST(pivots_group)
{
	static const char *const names[] = { "vm3", "vm1", "vm2" };
	struct said lines[] = { ready, ready, ready, { "completing", .ready = true },
				{ "pivoted", .ready = true, .blackout_us = 11 },
				{ "pivoted", .ready = true, .blackout_us = 22 },
				{ "pivoted", .ready = true, .blackout_us = 33 } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us[3] = {};
	char tail[8] = "";

	ck_assert_int_eq(blockcopy_pivot_group(bc, names, 3, 500, us), 0);
	ck_assert(us[0] == 33 && us[1] == 11 && us[2] == 22);
	ck_assert_str_eq(locked, "123");
	ck_assert_uint_eq(n_sent, 3);
	ck_assert_int_eq(sscanf(sent, "complete 500 group %*u %7s", tail), 1);
	ck_assert_str_eq(tail, "3");
	ck_assert_uint_eq(ended_on_destination, 3);
	blockcopy_free(bc);
}
END_TEST

/* What an interrupted call left: one is taken down already. */
START_TEST(pivots_group_again)
{
	static const char *const names[] = { "vm1", "vm2" };
	struct said lines[] = { {}, { "pivoted", .ready = true, .blackout_us = 22 } };
	struct blockcopy *bc = PLAY(lines);
	uint64_t us[2] = {};

	ck_assert_int_eq(blockcopy_pivot_group(bc, names, 2, 500, us), 0);
	ck_assert(us[0] == UINT64_MAX && us[1] == 22);
	ck_assert_uint_eq(n_sent, 0);
	ck_assert_uint_eq(ended_on_destination, 1);
	blockcopy_free(bc);
}
END_TEST

/* Two members; "sent" of the messages go out, and the error is this. */
START_TEST(no_group)
{
	static const struct {
		const char *second;
		struct said lines[4];
		unsigned int sent;
		enum blockcopy_error error;
		const char *told;
	} cases[] = {
		{ "vm1", { {} }, 0, BLOCKCOPY_USAGE, "vm1: found it twice" },
		{ "vm2", { { "ready", .ready = true }, { "copying" } }, 0, BLOCKCOPY_WRONG_STATE,
		  "vm2: found the job copying, needed it ready" },
		{ "vm2", { { "ready", .ready = true }, { "pivoted", .ready = true } }, 0,
		  BLOCKCOPY_WRONG_STATE, "vm2: found it pivoted already, and vm1 ready; needed both" },
		{ "vm2", { { "ready", .ready = true }, {}, {} }, 0, BLOCKCOPY_NOT_FOUND, "vm2: no job" },
		{ "vm2", { {}, {}, {} }, 0, BLOCKCOPY_NOT_FOUND, "vm2: no job" },
		{ "vm2", { { "ready", .ready = true }, { "ready", .ready = true },
			   { "ready", .ready = true, .error = "group-member-failed" },
			   { "failed", .error = "target-write" } }, 2, BLOCKCOPY_WRONG_STATE,
		  "vm2: no pivot: target-write: the destination could not" },
		{ "vm2", { { "ready", .ready = true }, { "ready", .ready = true },
			   { "ready", .ready = true, .error = "blackout-budget-spent" },
			   { "ready", .ready = true, .error = "group-member-failed" } }, 2,
		  BLOCKCOPY_WRONG_STATE, "vm1: no pivot: blackout-budget-spent: what" },
		{ "vm2", { { "ready", .ready = true }, { "finished", .ready = true } }, 0,
		  BLOCKCOPY_WRONG_STATE, "vm2: found the job finished already" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const char *const names[] = { "vm1", cases[i].second };
		struct blockcopy *bc = play(cases[i].lines, ELEMENTSOF(cases[i].lines));
		uint64_t us[2] = { 4711, 4711 };

		ck_assert_int_lt(blockcopy_pivot_group(bc, names, 2, 500, us), 0);
		ck_assert_int_eq(blockcopy_error(bc), cases[i].error);
		ck_assert_msg(strstr(blockcopy_error_message(bc), cases[i].told) != NULL, "%s",
			      blockcopy_error_message(bc));
		ck_assert_uint_eq(n_sent, cases[i].sent);
		ck_assert_uint_eq(ended_on_destination, 0);
		ck_assert_uint_eq(us[0], 4711);
		blockcopy_free(bc);
	}
}
END_TEST

/* One message is refused: the others that were asked are waited for, and the refusal is told. */
START_TEST(group_refused)
{
	static const char *const names[] = { "vm1", "vm2" };
	struct blockcopy *bc = play(&ready, 1);
	uint64_t us[2];

	send_result = -EBUSY;
	ck_assert_int_eq(blockcopy_finish_group(bc, names, 2, 500, false, us), -EAGAIN);
	ck_assert_msg(strstr(blockcopy_error_message(bc), "vm1: the kernel does not finish it") != NULL, "%s",
		      blockcopy_error_message(bc));
	ck_assert_uint_eq(n_sent, 1);
	ck_assert_uint_eq(ended_on_source, 0);
	blockcopy_free(bc);
}
END_TEST

/* An error came between the look and the message. */
START_TEST(not_ready_any_more)
{
	struct blockcopy *bc = play(&ready, 1);
	uint64_t us;

	send_result = -EBUSY;
	ck_assert_int_eq(blockcopy_pivot(bc, "vm1", 500, &us), -EAGAIN);
	ck_assert_int_eq(blockcopy_error(bc), BLOCKCOPY_WRONG_STATE);
	blockcopy_free(bc);
}
END_TEST

/* ---- what programs see ---- */

static struct json_object *json_of(const struct bcl_job *j)
{
	struct blockcopy_info *info = NULL;
	struct json_object *o;
	struct blockcopy *bc;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	ck_assert_int_eq(blockcopy_new(&bc), 0);
	ck_assert_int_eq(bcl_info_from_job(bc, j, &info), 0);
	json_print_info(f, info);
	fclose(f);
	o = json_tokener_parse(text);
	ck_assert_ptr_nonnull(o);
	free(text);
	blockcopy_info_free(info);
	blockcopy_free(bc);
	return o;
}

/* The value of a key as JSON; the key must be there. */
static const char *value(struct json_object *o, const char *key)
{
	struct json_object *v;

	ck_assert_msg(json_object_object_get_ex(o, key, &v), "no %s", key);
	return v ? json_object_to_json_string(v) : "null";
}

START_TEST(json)
{
	static const struct {
		const char *key, *value;
	} want[] = {
		{ "copy_mode", "\"auto\"" }, { "mirroring", "true" }, { "actively_synced", "false" },
		{ "mirrored_bytes", "4096" }, { "write_timeout", "1000" }, { "late_writes", "2" },
		{ "timeouts", "3" }, { "on_source_error", "\"stop\"" },
		{ "on_target_error", "\"enospc\"" }, { "io_status", "\"nospace\"" },
		{ "error", "\"target-write\"" }, { "paused", "true" }, { "target_errors", "1" },
		{ "blackout_us", "12" }, { "destination_gone", "false" },
	};
	struct said said = { "copying", .paused = true, .io_status = "nospace",
			     .error = "target-write", .blackout_us = 12 };
	struct json_object *o;
	struct bcl_job j;

	script = &said;
	n_script = 1;
	at = 0;
	j = next_job();
	o = json_of(&j);
	for (size_t i = 0; i < ELEMENTSOF(want); i++)
		ck_assert_str_eq(value(o, want[i].key), want[i].value);
	json_object_put(o);
	bcl_job_done(&j);
}
END_TEST

START_TEST(json_gone)
{
	static const struct {
		const char *error, *shown;
	} cases[] = {
		{ "-", "\"destination-gone\"" }, { "target-write", "\"destination-gone\"" },
		{ "target-flush", "\"destination-gone\"" }, { "source-read", "\"source-read\"" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct said said = { "failed", .error = cases[i].error, .gone = true };
		struct json_object *o;
		struct bcl_job j;

		script = &said;
		n_script = 1;
		at = 0;
		j = next_job();
		o = json_of(&j);
		ck_assert_str_eq(value(o, "error"), cases[i].shown);
		ck_assert_str_eq(value(o, "destination_gone"), "true");
		json_object_put(o);
		bcl_job_done(&j);
	}
}
END_TEST

/* What an older module does not tell is not made up. */
START_TEST(json_older_module)
{
	struct json_object *o;
	struct bcl_job j;

	script = &copying;
	n_script = 1;
	at = 0;
	j = next_job();
	j.status.mirroring = false;
	j.status.mirrored_bytes = j.status.write_timeout = j.status.late_writes = 0;
	*j.status.on_source_error = *j.status.on_target_error = '\0';
	o = json_of(&j);
	ck_assert_str_eq(value(o, "mirroring"), "false");
	ck_assert_str_eq(value(o, "write_timeout"), "null");
	ck_assert_str_eq(value(o, "on_source_error"), "null");
	ck_assert_str_eq(value(o, "on_target_error"), "null");
	ck_assert_str_eq(value(o, "error"), "null");
	json_object_put(o);
	bcl_job_done(&j);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib-job");
	TCase *t = tcase_create("job");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, wait_ready);
	tcase_add_test(t, wait_paused);
	tcase_add_test(t, wait_retried);
	tcase_add_test(t, wait_paused_timeout);
	tcase_add_test(t, wait_failed);
	tcase_add_test(t, pivots);
	tcase_add_test(t, keeps_source);
	tcase_add_test(t, source_failed);
	tcase_add_test(t, finishes);
	tcase_add_test(t, no_pivot);
	tcase_add_test(t, not_ready);
	tcase_add_test(t, not_ready_any_more);
	tcase_add_test(t, pivots_group);
	tcase_add_test(t, pivots_group_again);
	tcase_add_test(t, no_group);
	tcase_add_test(t, group_refused);
	tcase_add_test(t, json);
	tcase_add_test(t, json_gone);
	tcase_add_test(t, json_older_module);
	suite_add_tcase(s, t);
	return unit_main(s);
}

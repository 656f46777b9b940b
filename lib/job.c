// SPDX-License-Identifier: LGPL-2.1-or-later
/* A job as the kernel shows it, and the messages that steer it. */
#include <inttypes.h>
#include <stdarg.h>

#include "destination/nbd.h"
#include "internal.h"
#include "sysfs.h"

void bcl_job_done(struct bcl_job *j)
{
	bcl_args_done(&j->args);
	*j = (struct bcl_job) {};
}

static int malformed(struct blockcopy *bc, const char *name, const char *what, int r)
{
	if (r == -ENOMEM)
		return bcl_oom(bc);
	if (r == -EPROTONOSUPPORT)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r,
				"%s: found a %s line of another version of the kernel module, "
				"needed version %d", name, what, BLOCKCOPY_STATUS_VERSION);
	return bcl_fail(bc, BLOCKCOPY_FAILED, r,
			"%s: found a %s line that this version cannot read",
			name, what);
}

int bcl_job_read(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret)
{
	_cleanup_(bcl_table_freep) struct bcl_table *status = NULL, *table = NULL;
	_cleanup_(bcl_job_done) struct bcl_job j = { .dev = *dev };
	dev_t destination;
	int r;

	if (!dev->live_table)
		return 0;
	/* The table first: a status is work for some targets, and none of ours to ask for. */
	r = bcl_dm_table(bc, dev->name, false, &table);
	if (r < 0)
		return r;
	if (!bcl_table_is_one(table, BLOCKCOPY_TARGET_NAME))
		return 0;
	r = bcl_dm_status(bc, dev->name, &status);
	if (r < 0)
		return r;
	/* Swapped in between. */
	if (!bcl_table_is_one(status, BLOCKCOPY_TARGET_NAME))
		return 0;

	r = bcl_status_parse(status->lines[0].params, &j.status);
	if (r < 0)
		return malformed(bc, dev->name, "status", r);
	r = bcl_args_parse(table->lines[0].params, &j.args);
	if (r < 0)
		return malformed(bc, dev->name, "table", r);
	j.len = bcl_table_len(table);
	j.destination_gone = bcl_parse_devno(j.args.destination, &destination) == 0 &&
			     bcl_sysfs_gone(destination, dev->dev);

	*ret = j;
	j = (struct bcl_job) {};
	return 1;
}

/* A device without a job is an error. */
static int read_job_on(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret)
{
	int r = bcl_job_read(bc, dev, ret);

	if (r == 0)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no copy job on this device",
				dev->name);
	return r < 0 ? r : 0;
}

int bcl_job_find(struct blockcopy *bc, const char *name, struct bcl_job *ret)
{
	struct bcl_dm_info dev;
	int r = bcl_device_find(bc, name, &dev);

	return r < 0 ? r : read_job_on(bc, &dev, ret);
}

int bcl_job_lock(struct blockcopy *bc, const char *name, struct bcl_job *ret, int *ret_lock)
{
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	int r;

	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r == 0)
		r = read_job_on(bc, &dev, ret);
	if (r < 0)
		return r;
	*ret_lock = TAKE_FD(lock);
	return 0;
}

int bcl_job_message(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0) {
		message = NULL;
		return bcl_oom(bc);
	}
	return bcl_dm_message(bc, dev->name, message);
}

/* ---- public ---- */

/* A message that takes effect in any state but some; "@what" is for the user. */
static int steer(struct blockcopy *bc, const char *name, const char *what, const char *message)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_close_ int lock = -1;
	dev_t destination;
	int r;

	bcl_begin(bc);
	r = bcl_job_lock(bc, name, &j, &lock);
	if (r < 0)
		return r;
	if (j.status.state == BLOCKCOPY_STATE_ID_PIVOTED ||
	    j.status.state == BLOCKCOPY_STATE_ID_FINISHED)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EINVAL,
				"%s: found the job %s, needed one that still copies", j.dev.name,
				bcl_state_to_string(j.status.state));
	/* It would fail again at once, and the user would have to find out. */
	if (j.destination_gone && !strcmp(message, "resume"))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -ENODEV,
				"%s: found its destination gone, needed one to go on with; "
				"`blockcopy abort %s` ends the job", j.dev.name, j.dev.name);
	/* A server that was started again does not know us. */
	if (!strcmp(message, "resume") && strcmp(j.status.io_status, "ok") &&
	    bcl_parse_devno(j.args.destination, &destination) == 0) {
		r = bcl_nbd_reconnect(bc, destination, &j.dev);
		if (r < 0)
			return r;
	}
	r = bcl_job_message(bc, &j.dev, "%s", message);
	if (r == -EBUSY || r == -EINVAL)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, r,
				"%s: the kernel refused to %s a job that is %s (%s)",
				j.dev.name, what,
				bcl_state_to_string(j.status.state), strerror(-r));
	return r;
}

int blockcopy_pause(struct blockcopy *bc, const char *name)
{
	return steer(bc, name, "pause", "pause");
}

int blockcopy_resume(struct blockcopy *bc, const char *name)
{
	return steer(bc, name, "resume", "resume");
}

/* "@key" is the kernel's name, "@option" the user's. */
static int set_word(struct blockcopy *bc, const char *name, const char *key, const char *option,
		    const char *word)
{
	_cleanup_free_ char *message = bcl_asprintf("set %s %s", key, word);
	_cleanup_free_ char *what = bcl_asprintf("set %s=%s on", option, word);

	if (!message || !what) {
		bcl_begin(bc);
		return bcl_oom(bc);
	}
	return steer(bc, name, what, message);
}

static int set_number(struct blockcopy *bc, const char *name, const char *key, const char *option,
		      uint64_t v)
{
	char word[24];

	snprintf(word, sizeof(word), "%" PRIu64, v);
	return set_word(bc, name, key, option, word);
}

/* A value is right where the option of the same name takes it. */
static int check_word(struct blockcopy *bc, const char *option, const char *word,
		      const char *needed, int (*set)(struct blockcopy_options *o, const char *w))
{
	struct blockcopy_options *o = NULL;
	int r;

	bcl_begin(bc);
	r = blockcopy_options_new(&o);
	if (r == 0)
		r = set(o, word);
	if (r == -ENOMEM)
		bcl_oom(bc);
	else if (r < 0)
		bcl_fail(bc, BLOCKCOPY_USAGE, r, "%s: found \"%s\", needed %s", option, word,
			 needed);
	blockcopy_options_free(o);
	return r;
}

int blockcopy_set_bandwidth(struct blockcopy *bc, const char *name, uint64_t bytes_per_s)
{
	return set_number(bc, name, "bandwidth", "bandwidth", bytes_per_s);
}

int blockcopy_set_buf_size(struct blockcopy *bc, const char *name, uint64_t bytes)
{
	if (bytes < BLOCKCOPY_BUF_SIZE_MIN || bytes > BLOCKCOPY_BUF_SIZE_MAX) {
		bcl_begin(bc);
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"buf-size: found %" PRIu64 " bytes, needed %llu to %llu", bytes,
				BLOCKCOPY_BUF_SIZE_MIN, BLOCKCOPY_BUF_SIZE_MAX);
	}
	return set_number(bc, name, "buf_size", "buf-size", bytes);
}

int blockcopy_set_write_timeout(struct blockcopy *bc, const char *name, unsigned int ms)
{
	if (ms < BLOCKCOPY_WRITE_TIMEOUT_MIN || ms > BLOCKCOPY_WRITE_TIMEOUT_MAX) {
		bcl_begin(bc);
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"write-timeout: found %u ms, needed %d to %d", ms,
				BLOCKCOPY_WRITE_TIMEOUT_MIN, BLOCKCOPY_WRITE_TIMEOUT_MAX);
	}
	return set_number(bc, name, "write_timeout", "write-timeout", ms);
}

int blockcopy_set_copy_mode(struct blockcopy *bc, const char *name, const char *word)
{
	int r = check_word(bc, "copy-mode", word, "background, write-blocking or auto",
			   blockcopy_options_set_copy_mode);

	return r < 0 ? r : set_word(bc, name, "copy_mode", "copy-mode", word);
}

#define POLICIES "report, ignore, enospc or stop"

int blockcopy_set_on_source_error(struct blockcopy *bc, const char *name, const char *word)
{
	int r = check_word(bc, "on-source-error", word, POLICIES,
			   blockcopy_options_set_on_source_error);

	return r < 0 ? r : set_word(bc, name, "on_source_error", "on-source-error", word);
}

int blockcopy_set_on_target_error(struct blockcopy *bc, const char *name, const char *word)
{
	int r = check_word(bc, "on-target-error", word, POLICIES,
			   blockcopy_options_set_on_target_error);

	return r < 0 ? r : set_word(bc, name, "on_target_error", "on-target-error", word);
}

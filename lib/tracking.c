// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Incremental copies: a job that stays under its device after its copy is finished, or was aborted,
 * and tracks what is written. Its destination stays claimed, so that nobody writes there. A later
 * start with "bitmap" gives it a table that copies again; what differs is in the metadata.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "internal.h"

int bcl_tracking_check(struct blockcopy *bc, const struct bcl_job *j)
{
	if (j->args.metadata && !strcmp(j->status.metadata, "ok"))
		return 0;
	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EINVAL,
			"%s: found a job %s, needed one that keeps metadata to go on tracking",
			j->dev.name,
			j->args.metadata ? "whose metadata has failed" : "without metadata");
}

/*
 * The destination stays open, and with that what was read of it before it was a copy stays in the page
 * cache, where udev's probes leave it. Who reads the copy is not to get that.
 */
int bcl_tracking_begin(struct blockcopy *bc, struct bcl_job *j)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_close_ int fd = -1;
	int r = bcl_tracking_check(bc, j);

	if (r == 0)
		r = bcl_destination_find(bc, j->args.destination, &d);
	if (r < 0)
		return r;
	fd = open(d.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKFLSBUF, 0) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno,
				"%s: is a finished copy, but its cached pages cannot be dropped: %s",
				d.path, strerror(errno));
	return 0;
}

bool bcl_is_tracking(const struct bcl_job *j)
{
	return j->status.state == BLOCKCOPY_STATE_ID_FINISHED && j->args.metadata &&
	       !strcmp(j->status.metadata, "ok");
}

int blockcopy_abort_tracking(struct blockcopy *bc, const char *name)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_close_ int lock = -1;
	int r;

	bcl_begin(bc);
	r = bcl_job_lock(bc, name, &j, &lock);
	if (r == 0)
		r = bcl_tracking_check(bc, &j);
	if (r < 0)
		return r;
	switch (j.status.state) {
	case BLOCKCOPY_STATE_ID_COPYING:
	case BLOCKCOPY_STATE_ID_READY:
		return j.status.paused ? 0 : bcl_job_message(bc, &j.dev, "pause");
	case BLOCKCOPY_STATE_ID_FINISHED:
	case BLOCKCOPY_STATE_ID_FAILED:
		return 0;
	default:
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found the job %s, needed one that copies, is ready or has "
				"finished", j.dev.name, bcl_state_to_string(j.status.state));
	}
}

/* Do the words of the start mean this job's devices? */
static int check_devices(struct blockcopy *bc, const struct bcl_job *j, const char *destination,
			 const char *metadata)
{
	const struct {
		const char *what, *wanted, *has;
	} devices[] = {
		{ "destination", destination, j->args.destination },
		{ "metadata device", metadata, j->args.metadata },
	};

	for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
		_cleanup_(bcl_destination_done) struct bcl_destination d = {};
		_cleanup_free_ char *path = NULL;
		dev_t has = 0;
		int r = bcl_destination_find(bc, devices[i].wanted, &d);

		if (r < 0)
			return r;
		if (bcl_parse_devno(devices[i].has, &has) == 0 && has == d.dev)
			continue;
		path = bcl_device_path(has);
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found a job on it whose %s is %s, needed %s to go on; "
				"`blockcopy abort %s` ends it", j->dev.name, devices[i].what,
				path ? path : devices[i].has, d.path, j->dev.name);
	}
	return 0;
}

static int take_word(char **to, const char *from)
{
	char *word;

	if (!from)
		return 0;
	word = strdup(from);
	if (!word)
		return -ENOMEM;
	free(*to);
	*to = word;
	return 0;
}

/* What the options say, and else what the job had. */
static int take_options(struct bcl_args *a, const struct bcl_args *o)
{
	a->finished = false;
	a->paused = o->paused;
	if (o->bandwidth_set) {
		a->bandwidth_set = true;
		a->bandwidth = o->bandwidth;
	}
	if (o->buf_size_set) {
		a->buf_size_set = true;
		a->buf_size = o->buf_size;
	}
	if (o->write_timeout_set) {
		a->write_timeout_set = true;
		a->write_timeout = o->write_timeout;
	}
	if (take_word(&a->copy_mode, o->copy_mode) < 0 || take_word(&a->sync, o->sync) < 0 ||
	    take_word(&a->detect_zeroes, o->detect_zeroes) < 0 ||
	    take_word(&a->on_source_error, o->on_source_error) < 0 ||
	    take_word(&a->on_target_error, o->on_target_error) < 0)
		return -ENOMEM;
	return 0;
}

static bool tracks_only(const struct bcl_job *j)
{
	switch (j->status.state) {
	case BLOCKCOPY_STATE_ID_FINISHED:
	case BLOCKCOPY_STATE_ID_FAILED:
		return true;
	case BLOCKCOPY_STATE_ID_READY:
	case BLOCKCOPY_STATE_ID_COPYING:
		return j->status.paused;
	default:
		return false;
	}
}

/* After the swap, as one blockcopy table is like another where a failed swap is looked at. */
static int check_goes_on(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	int r = bcl_job_read(bc, dev, &j);

	if (r < 0)
		return r;
	if (r == 0 || j.args.finished)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO,
				"%s: the new table did not become live, the job is as it was",
				dev->name);
	return 1;
}

int bcl_tracking_go_on(struct blockcopy *bc, struct bcl_dm_info *dev, const char *destination,
		       const struct blockcopy_options *o)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	_cleanup_free_ char *params = NULL;
	int r;

	if (!o->args.metadata || !o->args.sync || strcmp(o->args.sync, "bitmap"))
		return 0;
	r = bcl_job_read(bc, dev, &j);
	if (r <= 0)
		return r;
	/* One that copies is what start finds already. */
	if (!tracks_only(&j))
		return 0;
	r = bcl_tracking_check(bc, &j);
	if (r == 0)
		r = check_devices(bc, &j, destination, o->args.metadata);
	if (r < 0)
		return r;
	if (take_options(&j.args, &o->args) < 0 || bcl_args_format(&j.args, &params) < 0 ||
	    bcl_table_new(&t) < 0 ||
	    bcl_table_add(t, 0, j.len, BLOCKCOPY_TARGET_NAME, params) < 0)
		return bcl_oom(bc);
	r = bcl_swap(bc, dev, t);
	return r < 0 ? r : check_goes_on(bc, dev);
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Incremental copies: a job that stays under its device after its copy is finished, or was aborted,
 * and tracks what is written. Its destination stays claimed, so that nobody writes there. A later
 * start with "bitmap" gives it a table that copies again; what differs is in the metadata.
 */
#include "internal.h"
#include "sample.h"

int bcl_tracking_check(struct blockcopy *bc, const struct bcl_job *j)
{
	if (j->args.metadata && !strcmp(j->status.metadata, "ok"))
		return 0;
	return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EINVAL,
			"%s: found a job %s, needed one that keeps metadata to go on tracking",
			j->dev.name,
			j->args.metadata ? "whose metadata has failed" : "without metadata");
}

int bcl_tracking_begin(struct blockcopy *bc, struct bcl_job *j)
{
	int r = bcl_tracking_check(bc, j);

	return r < 0 ? r : bcl_job_show_copy(bc, j);
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

static int check_samples(struct blockcopy *bc, const struct bcl_job *j)
{
	struct bcl_sampled what = {
		.source = j->dev.dev, .destination_offset = j->args.destination_offset,
	};
	_cleanup_free_ char *path = NULL;
	dev_t metadata;

	if (bcl_parse_devno(j->args.metadata, &metadata) < 0 ||
	    bcl_parse_devno(j->args.destination, &what.destination) < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EINVAL,
				"%s: found a job with a device that is no number", j->dev.name);
	path = bcl_device_path(metadata);
	if (!path)
		return bcl_oom(bc);
	what.metadata = path;
	return bcl_sample_check(bc, &what);
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
	if (r == 0)
		r = check_samples(bc, &j);
	if (r < 0)
		return r;
	/* What the options say, and else what the job had; it copies. */
	if (bcl_args_overlay(&j.args, &o->args) < 0 || bcl_args_format(&j.args, &params) < 0 ||
	    bcl_table_new(&t) < 0 ||
	    bcl_table_add(t, 0, j.len, BLOCKCOPY_TARGET_NAME, params) < 0)
		return bcl_oom(bc);
	r = bcl_swap(bc, dev, t);
	return r < 0 ? r : 1;
}

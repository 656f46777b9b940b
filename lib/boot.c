// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * After a boot: the layer of a device and its job, as far as the metadata knows them. It names two
 * devices, and says which one has the data:
 *
 *	pivoted			the destination of the job
 *	anything else		what the source stood on ("below")
 *
 * The caller's words for them may be out of date, and so may be their order, once the copy has pivoted
 * or was copied back: a device is taken for what it is, or it is not taken.
 */
#include <inttypes.h>
#include <sys/sysmacros.h>

#include "blk.h"
#include "format-user.h"
#include "internal.h"
#include "metadata.h"
#include "sysfs.h"
#include "udev.h"

/* Where the data is: a device by its identity, or by the caller's word alone. */
struct truth {
	uint32_t outcome;
	const char *identity;		/* NULL: there is no metadata that says */
	uint64_t offset, len;		/* sectors; of 0 all of the device */
	uint64_t size;			/* of the whole device, sectors; 0: not known */
	struct bc_format_super super;
	struct bcl_destination metadata;
};

static void truth_done(struct truth *t)
{
	bcl_destination_done(&t->metadata);
}

static int find_truth(struct blockcopy *bc, const char *metadata, struct truth *t)
{
	int r;

	if (!metadata)
		return 0;
	r = bcl_destination_find(bc, metadata, &t->metadata);
	if (r == 0)
		r = bcl_metadata_peek(bc, &t->metadata, &t->super);
	if (r <= 0)
		return r;
	if (*t->super.below && !strcmp(t->super.below, t->super.destination.identity))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTUNIQ,
				"%s: found a job from and to \"%s\", needed devices that can be told "
				"apart", t->metadata.path, t->super.below);
	t->outcome = le32_to_cpu(t->super.outcome);
	/* A job that is over does not say how long the device is to be. */
	if (t->outcome != BC_OUTCOME_NEW && t->outcome != BC_OUTCOME_DETACHED)
		t->len = le64_to_cpu(t->super.len);
	if (t->outcome == BC_OUTCOME_PIVOTED) {
		t->identity = t->super.destination.identity;
		t->offset = le64_to_cpu(t->super.destination.offset);
		t->size = le64_to_cpu(t->super.destination.size);
	} else {
		t->identity = t->super.below;
		t->offset = le64_to_cpu(t->super.source.offset);
	}
	return 0;
}

/* Is it a job of the layer of that name? */
static int check_name(struct blockcopy *bc, const struct truth *t, const char *name)
{
	_cleanup_free_ char *uuid = bcl_attach_uuid(name), *identity = NULL;

	if (!t->identity)
		return 0;
	identity = uuid ? bcl_asprintf("dm-uuid:%s", uuid) : NULL;
	if (!identity)
		return bcl_oom(bc);
	if (!strcmp(t->super.source.identity, identity))
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
			"%s: found the metadata of a job from \"%s\", needed one from \"%s\", or zeroes",
			t->metadata.path, t->super.source.identity, identity);
}

/*
 * The device that the caller's word means. A copy carries the tags of its source: with an identity it is the
 * one that has it, and may be yet to come; without one it is refused where there are several.
 */
static int find(struct blockcopy *bc, const char *spec, const char *identity, struct bcl_destination *ret)
{
	_cleanup_(bcl_devs_done) struct bcl_devs twins = {};
	_cleanup_free_ char *path = NULL, *other = NULL;
	char found[BC_FORMAT_IDENTITY_SIZE];

	if (bcl_udev_tagged(spec, identity, &twins) < 0 || !twins.n)
		return bcl_destination_find(bc, spec, ret);
	for (size_t i = 0; identity && i < twins.n; i++) {
		bcl_identity_of(twins.v[i], found);
		if (strcmp(found, identity))
			continue;
		path = bcl_device_path(twins.v[i]);
		return path ? bcl_destination_find(bc, path, ret) : bcl_oom(bc);
	}
	if (identity)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENODEV,
				"%s: found no device with that tag that is \"%s\"", spec, identity);
	if (twins.n == 1)
		return bcl_destination_find(bc, spec, ret);
	path = bcl_device_path(twins.v[0]);
	other = bcl_device_path(twins.v[1]);
	if (!path || !other)
		return bcl_oom(bc);
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTUNIQ,
			"%s: found it on %s and on %s, needed one device: a copy has the tags of its source, "
			"a name of /dev/disk/by-id is one disk's", spec, path, other);
}

/* The same when the layer is there: a tag is the layer's as well, and means what it stands on. */
static int find_below(struct blockcopy *bc, const char *spec, const struct bcl_dm_info *layer,
		      struct bcl_destination *ret)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_free_ char *path = NULL;
	uint64_t offset;
	dev_t below;
	int r = bcl_destination_find(bc, spec, ret);

	if (r < 0 || ret->dev != layer->dev)
		return r;
	r = bcl_dm_table(bc, layer->name, false, &t);
	if (r < 0 || !bcl_table_below(t, &below, &offset))
		return r;
	path = bcl_device_path(below);
	if (!path)
		return bcl_oom(bc);
	bcl_destination_done(ret);
	return bcl_destination_find(bc, path, ret);
}

/*
 * The one of the two that has this identity: its number, with both in "@d" as far as they are there. One
 * that is not may be it: then that is the error.
 */
static int choose_of(struct blockcopy *bc, const char *const devices[2], const char *identity,
		     const char *metadata, struct bcl_destination d[2])
{
	char found[2][BC_FORMAT_IDENTITY_SIZE] = { "nothing", "nothing" };
	struct bcl_saved_error missing = {};
	int r = 0, n = 0, which = 0;

	for (int i = 0; i < 2; i++) {
		int s = devices[i] ? find(bc, devices[i], identity, &d[i]) : -ENOENT;

		if (s < 0) {
			if (devices[i] && r == 0)
				bcl_error_save(bc, &missing);
			r = devices[i] && r == 0 ? s : r;
			continue;
		}
		bcl_identity_of(d[i].dev, found[i]);
		if (!strcmp(found[i], identity)) {
			which = i;
			n++;
		}
	}
	if (n == 0 && r < 0) {
		bcl_error_restore(bc, &missing);
		return r;
	}
	free(missing.message);
	bcl_begin(bc);
	if (n == 2 && d[0].dev != d[1].dev)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTUNIQ,
				"%s and %s: found both to be \"%s\", needed devices that can be told "
				"apart", d[0].path, d[1].path, identity);
	if (n == 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
				"found \"%s\" and \"%s\", needed \"%s\", as the metadata on %s says",
				found[0], found[1], identity, metadata);
	return which;
}

static int choose(struct blockcopy *bc, const char *const devices[2], const char *identity,
		  const char *metadata, struct bcl_destination *ret)
{
	struct bcl_destination d[2] = {};
	int r = choose_of(bc, devices, identity, metadata, d);

	if (r >= 0) {
		*ret = d[r];
		d[r] = (struct bcl_destination) {};
	}
	bcl_destination_done(&d[0]);
	bcl_destination_done(&d[1]);
	return r < 0 ? r : 0;
}

/* Does the table, of one linear line, stand there? */
static int check_stands(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *identity,
			uint64_t offset)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	char found[BC_FORMAT_IDENTITY_SIZE] = "several devices";
	uint64_t at = 0;
	dev_t below;
	int r = bcl_dm_table(bc, dev->name, false, &t);

	if (r < 0)
		return r;
	if (bcl_table_below(t, &below, &at))
		bcl_identity_of(below, found);
	if (at == offset && !strcmp(found, identity))
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
			"%s: found it on \"%s\", sector %" PRIu64 ", needed \"%s\", sector %" PRIu64
			", where the data is", dev->name, found, at, identity, offset);
}

/* A layer that is there already, from the initramfs or an earlier call. */
static int check_existing(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *name,
			  const struct bcl_destination *d, const struct truth *t)
{
	_cleanup_free_ char *uuid = bcl_attach_uuid(name);
	char identity[BC_FORMAT_IDENTITY_SIZE];

	if (!uuid)
		return bcl_oom(bc);
	if (strcmp(dev->uuid, uuid))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found a dm device that `blockcopy attach` did not make, needed "
				"another name", name);
	bcl_identity_of(d->dev, identity);
	return check_stands(bc, dev, identity, t->offset);
}

static bool can_come_back(uint32_t outcome)
{
	return outcome == BC_OUTCOME_COPYING || outcome == BC_OUTCOME_FINISHED;
}

int blockcopy_attach_job(struct blockcopy *bc, const char *device, const char *name,
			 const char *destination, const char *metadata, bool *ret_new)
{
	const char *devices[2] = { device, destination };
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_(truth_done) struct truth t = {};
	_cleanup_(bcl_job_done) struct bcl_job job = {};
	struct bcl_dm_info dev;
	int r, there;

	bcl_begin(bc);
	r = bcl_attach_check_name(bc, name);
	if (r < 0)
		return r;
	there = bcl_dm_info(bc, name, &dev);
	if (there > 0)
		r = bcl_job_read(bc, &dev, &job);
	if (there < 0 || r < 0)
		return there < 0 ? there : r;
	*ret_new = there == 0;
	if (r > 0)
		return 0;
	r = find_truth(bc, metadata, &t);
	if (r == 0)
		r = check_name(bc, &t, name);
	if (r == 0)
		r = t.identity ? choose(bc, devices, t.identity, t.metadata.path, &d) :
		    there ? find_below(bc, device, &dev, &d) : find(bc, device, NULL, &d);
	/* It may have been made larger since. */
	if (r == 0 && t.size > d.size / 512)
		r = bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
			     "%s: found %" PRIu64 " bytes, needed at least %" PRIu64 ", as the metadata "
			     "on %s says", d.path, d.size, t.size * 512, t.metadata.path);
	if (r == 0 && there)
		r = check_existing(bc, &dev, name, &d, &t);
	if (r == 0 && !there)
		r = bcl_attach_check(bc, &d, t.identity != NULL);
	/* Before anybody can write: until its job has come, nothing is tracked. */
	if (r == 0 && can_come_back(t.outcome))
		r = bcl_metadata_set_untracked(bc, &t.metadata, !there);
	if (r == 0 && !there)
		r = bcl_attach(bc, &d, name, t.len, t.offset);
	if (r == 0 && !there && t.outcome == BC_OUTCOME_PIVOTED)
		bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: its copy has pivoted: attached %s", name, d.path);
	return r;
}

/*
 * The copy carries what the device does, if it has got so far: what is something else has been made
 * there since.
 */
static int check_signature(struct blockcopy *bc, const struct bcl_dm_info *dev,
			   const struct bcl_destination *d)
{
	_cleanup_free_ char *path = bcl_device_path(dev->dev), *ours = NULL, *its = NULL;

	if (!path)
		return bcl_oom(bc);
	if (bcl_blk_signature(d->path, &its) <= 0)
		return 0;
	if (bcl_blk_signature(path, &ours) > 0 && !strcmp(ours, its))
		return 0;
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
			"%s: found %s, which %s does not carry, needed the copy that was left there "
			"(`blockcopy start` with --force overwrites it)", d->path, its, dev->name);
}

static int come_back(struct blockcopy *bc, const struct bcl_dm_info *dev,
		     const char *const devices[2], const struct blockcopy_options *options,
		     const struct truth *t)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	struct blockcopy_options o = *options;
	int r;

	r = choose(bc, devices, t->super.destination.identity, t->metadata.path, &d);
	if (r == 0 && t->outcome == BC_OUTCOME_COPYING)
		r = check_signature(bc, dev, &d);
	if (r < 0)
		return r;
	/* The words are the caller's, or constant: nothing of "o" is freed. */
	o.args.region_sectors = le32_to_cpu(t->super.region_sectors);
	o.args.sync = (char *)"bitmap";
	o.args.finished = t->outcome == BC_OUTCOME_FINISHED;
	o.force = true;
	r = bcl_start(bc, dev, d.path, &o);
	if (r != -ESTALE || t->outcome != BC_OUTCOME_COPYING)
		return r;
	bcl_log(bc, BLOCKCOPY_LOG_WARNING, "%s; everything is copied again",
		blockcopy_error_message(bc));
	o.args.sync = NULL;
	return bcl_start(bc, dev, d.path, &o);
}

int blockcopy_come_back(struct blockcopy *bc, const char *name, const char *device,
			const char *destination, const struct blockcopy_options *options,
			bool *ret_has_job)
{
	const char *devices[2] = { device, destination };
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL;
	_cleanup_(truth_done) struct truth t = {};
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	bool has_job;
	int r;

	bcl_begin(bc);
	if (!options->args.metadata)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"needed a metadata device for a job to come back");
	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r == 0)
		r = bcl_start_drop_interrupted(bc, &dev);
	if (r == 0)
		r = bcl_dm_table(bc, dev.name, false, &live);
	if (r < 0)
		return r;
	has_job = bcl_table_has(live, BLOCKCOPY_TARGET_NAME);
	if (!has_job) {
		r = find_truth(bc, options->args.metadata, &t);
		/* Were it on the stale one, no job would mend that. */
		if (r == 0 && t.identity)
			r = check_stands(bc, &dev, t.identity, t.offset);
		if (r == 0 && can_come_back(t.outcome)) {
			has_job = !bcl_distrusted(dev.name, t.metadata.dev);
			if (has_job)
				r = come_back(bc, &dev, devices, options, &t);
			else
				bcl_log(bc, BLOCKCOPY_LOG_WARNING,
					"%s: the metadata on %s is not believed: a note says that its job "
					"ended or went on without it, or there is no place for notes yet",
					dev.name, t.metadata.path);
		}
	}
	if (r < 0)
		return r;
	*ret_has_job = has_job;
	return 0;
}

int blockcopy_distrust(struct blockcopy *bc, const char *name)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	dev_t metadata;
	int r;

	bcl_begin(bc);
	r = bcl_job_find(bc, name, &j);
	if (r < 0)
		return r;
	if (!j.args.metadata || bcl_parse_devno(j.args.metadata, &metadata) < 0)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EINVAL,
				"%s: found a job without metadata, needed one with", j.dev.name);
	r = bcl_distrust(j.dev.name, metadata);
	return r == 0 ? 0 : bcl_fail(bc, BLOCKCOPY_FAILED, r,
				     "%s: cannot note that its metadata is not to be believed: %s",
				     j.dev.name, strerror(-r));
}

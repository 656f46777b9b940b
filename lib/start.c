// SPDX-License-Identifier: LGPL-2.1-or-later
/* Insertion: all checks, then one load and one resume. */
#include <inttypes.h>
#include <sys/sysmacros.h>

#include "destination/attachment.h"
#include "internal.h"
#include "less.h"
#include "metadata.h"
#include "sample.h"
#include "sysfs.h"

/* All that is decided before anything is changed. */
struct plan {
	struct bcl_dm_info dev;
	struct bcl_table *live;
	struct bcl_destination destination;
	bool needs_helper;
	char *helper_name;		/* when it needs one */
	bool has_leftover;
	struct bcl_dm_info leftover;	/* unused helper of an interrupted start */
	struct bcl_args args;		/* its source is for the case without helper */
	bool has_metadata;
	struct bcl_destination metadata;
	struct bcl_attachment attachment;
	struct bcl_list list;		/* what is to be copied, if not all */
	bool dry;			/* nothing is attached: its device is not known */
};

#define NO_PLAN ((struct plan) { .attachment = BCL_NO_ATTACHMENT, .list = BCL_NO_LIST })

static void plan_done(struct plan *p)
{
	bcl_table_free(p->live);
	bcl_destination_done(&p->destination);
	free(p->helper_name);
	bcl_args_done(&p->args);
	bcl_destination_done(&p->metadata);
	bcl_attachment_done(&p->attachment);
	bcl_list_done(&p->list);
	*p = NO_PLAN;
}

static int fill_args(struct blockcopy *bc, struct plan *p, const struct blockcopy_options *o)
{
	const struct bcl_args *from = &o->args;
	struct bcl_args *a = &p->args;

	a->region_sectors = from->region_sectors;
	a->destination = bcl_asprintf("%u:%u",
				      major(p->destination.dev), minor(p->destination.dev));
	if (!a->destination || bcl_args_overlay(a, from) < 0)
		return bcl_oom(bc);
	a->compare |= o->shallow && !o->base;
	if (p->list.kind != BCL_LIST_NONE) {
		free(a->sync);
		a->sync = strdup("ranges");
		if (!a->sync)
			return bcl_oom(bc);
	}

	if (bcl_table_is_one(p->live, "linear") &&
	    bcl_linear_parse(p->live->lines[0].params, &a->source, &a->source_offset) == 0)
		return 0;
	p->needs_helper = true;
	return bcl_helper_name(bc, &p->dev, &p->helper_name);
}

static int check_leftover(struct blockcopy *bc, struct plan *p)
{
	int r = bcl_helper_find(bc, &p->dev, &p->leftover);

	if (r <= 0)
		return r;
	/* The table that an interrupted start loaded and did not resume may hold it; it goes first. */
	if (p->leftover.open_count > 0 && !bcl_has_loaded_job(bc, &p->dev))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found the helper device of %s in use, needed it gone",
				p->leftover.name, p->dev.name);
	p->has_leftover = true;
	return 0;
}

/* Is there a crypt layer in the device or below it? */
static bool is_encrypted(struct blockcopy *bc, dev_t dev)
{
	_cleanup_(bcl_devs_done) struct bcl_devs stack = {};

	if (bcl_devs_add(&stack, dev) < 0 || bcl_stack_below(dev, &stack) < 0)
		return false;
	for (size_t i = 0; i < stack.n; i++) {
		_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
		struct bcl_dm_info info;

		if (bcl_dm_info_by_dev(bc, stack.v[i], &info) > 0 &&
		    bcl_dm_table(bc, info.name, false, &t) == 0 && bcl_table_has(t, "crypt"))
			return true;
	}
	return false;
}

/* What is no reason to refuse, but should be known. */
static void warn(struct blockcopy *bc, const struct plan *p)
{
	struct bcl_saved_error saved;

	bcl_error_save(bc, &saved);
	if (is_encrypted(bc, p->dev.dev) && !is_encrypted(bc, p->destination.dev))
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s is encrypted below, %s will hold its plain text unless it is encrypted "
			"itself",
			p->dev.name, p->destination.path);
	if (p->destination.size > bcl_table_len(p->live) * 512)
		bcl_log(bc, BLOCKCOPY_LOG_DETAIL,
			"%s: %" PRIu64 " bytes, of which the first %" PRIu64 " will be used",
			p->destination.path, p->destination.size, bcl_table_len(p->live) * 512);
	(void)bcl_destination_compare_limits(bc, p->dev.dev, p->destination.dev);
	bcl_error_restore(bc, &saved);
}

static struct bcl_job_identity identity(const struct plan *p)
{
	dev_t below = 0;

	if (!p->needs_helper)
		(void)bcl_parse_devno(p->args.source, &below);
	return (struct bcl_job_identity) {
		.below = below,
		.source = p->dev.dev,
		.source_offset = p->needs_helper ? 0 : p->args.source_offset,
		.destination = p->destination.dev,
		.len = bcl_table_len(p->live),
		.region_sectors = p->args.region_sectors,
	};
}

static bool goes_on(const struct bcl_args *args)
{
	return args->sync && !strcmp(args->sync, "bitmap");
}

/* The device for it, and whether the job can go on from what is there. */
static int find_metadata(struct blockcopy *bc, struct plan *p, const struct blockcopy_options *o)
{
	struct bcl_job_identity id = identity(p);
	int r;

	if (!o->args.metadata)
		return goes_on(&p->args) ? bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
					     "--sync bitmap needs --metadata DEVICE") : 0;
	r = bcl_destination_find(bc, o->args.metadata, &p->metadata);
	if (r < 0)
		return r;
	p->has_metadata = true;
	p->args.metadata = bcl_asprintf("%u:%u", major(p->metadata.dev), minor(p->metadata.dev));
	if (!p->args.metadata)
		return bcl_oom(bc);
	if (!goes_on(&p->args))
		return bcl_metadata_check_device(bc, &p->metadata, &id);
	r = bcl_metadata_check_job(bc, &p->metadata, &id);
	if (r == 0 && bcl_distrusted(p->dev.name, p->metadata.dev))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
				"%s: found a note that its job ended or went on without it (or no "
				"/var/lib/blockcopy to look into), nobody knows what was written since; "
				"needed one that was tracked (start without --sync bitmap)",
				p->metadata.path);
	if (r == 0)
		r = bcl_sample_check(bc, &(struct bcl_sampled) {
			.metadata = p->metadata.path,
			.source = p->dev.dev,
			.destination = p->destination.dev,
			.destination_offset = p->args.destination_offset,
		});
	return r;
}

/* The device to copy to; what is none gets one. */
static int find_destination(struct blockcopy *bc, struct plan *p, const char *spec,
			    const struct blockcopy_options *o)
{
	struct bcl_file_wanted want = {
		.size = bcl_table_len(p->live) * 512, .block_size = 512,
		.reuse = o->reuse_external || goes_on(&o->args),
	};
	int r;

	if (!bcl_attachment_is_meant(spec))
		return o->format ? bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
					    "%s: found a device, or nothing, needed a file for the "
					    "format %s", spec, o->format) :
				   bcl_destination_find(bc, spec, &p->destination);
	if ((o->base || o->shallow || o->ranges) && !want.reuse)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found no device to copy only a part to, needed one, or --reuse-external "
				"for what is there", spec);
	if (o->blockdev)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTBLK,
				"%s: found no device, needed a block device with --blockdev", spec);
	(void)bcl_sysfs_queue_u64(p->dev.dev, "logical_block_size", &want.block_size);
	if (p->dry) {
		p->destination.path = strdup(spec);
		return p->destination.path ? 0 : bcl_oom(bc);
	}
	r = bcl_attachment_open(bc, spec, o->format, &want, &p->attachment);
	if (r == 0)
		r = bcl_destination_find(bc, p->attachment.device, &p->destination);
	if (r < 0)
		return r;
	p->destination.device = p->destination.path;
	p->destination.path = strdup(spec);
	return p->destination.path ? 0 : bcl_oom(bc);
}

static int make_plan(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *destination,
		     const struct blockcopy_options *o, struct plan *p)
{
	int r;

	p->dev = *dev;
	r = bcl_source_check(bc, dev, &p->live);
	if (r == 0)
		r = bcl_list_plan(bc, dev, p->live, o, &p->list);
	if (r == 0)
		r = find_destination(bc, p, destination, o);
	if (r == 0)
		r = fill_args(bc, p, o);
	if (r == 0 && p->needs_helper)
		r = bcl_helper_check(bc, dev, p->live);
	if (r == 0)
		r = check_leftover(bc, p);
	if (r == 0 && !p->destination.dev)
		return 0;
	/*
	 * The leftover holds nothing of its own, but it would show as a holder of a destination
	 * only if the source's own stack were the destination, which is refused anyway.
	 */
	if (r == 0)
		r = bcl_destination_check(bc, &p->destination, dev, bcl_table_len(p->live) * 512,
					  o->force || goes_on(&p->args));
	if (r == 0 && p->args.target_is_zero)
		r = bcl_sample_zero(bc, p->destination.device ?: p->destination.path,
				    bcl_table_len(p->live) * 512);
	if (r == 0)
		r = find_metadata(bc, p, o);
	if (r == 0)
		warn(bc, p);
	return r;
}

static int check_module(struct blockcopy *bc)
{
	int r = bcl_dm_has_target(bc, BLOCKCOPY_TARGET_NAME);

	if (r == 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -ENOSYS,
				"the kernel has no target \"" BLOCKCOPY_TARGET_NAME
				"\" and could not load its module: `modprobe dm-blockcopy` "
				"says why");
	return r < 0 ? r : 0;
}

static int job_table(struct blockcopy *bc, const struct plan *p, struct bcl_table **ret)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_free_ char *params = NULL;

	if (bcl_args_format(&p->args, &params) < 0 || bcl_table_new(&t) < 0 ||
	    bcl_table_add(t, 0, bcl_table_len(p->live), BLOCKCOPY_TARGET_NAME, params) < 0)
		return bcl_oom(bc);
	*ret = TAKE_PTR(t);
	return 0;
}

/* Somebody who does not know our lock may have changed it while we looked (lvextend). */
static int check_unchanged(struct blockcopy *bc, const struct plan *p)
{
	_cleanup_(bcl_table_freep) struct bcl_table *now = NULL;
	int r = bcl_dm_table(bc, p->dev.name, false, &now);

	if (r == 0 && !bcl_table_equal(now, p->live))
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found its table changed while the copy was set up, needed it "
				"as it was", p->dev.name);
	return r;
}

static int insert(struct blockcopy *bc, struct plan *p)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	struct bcl_dm_info helper = {};
	int r = 0;

	if (p->has_leftover)
		r = bcl_helper_remove(bc, &p->leftover);
	if (r == 0 && p->needs_helper) {
		r = bcl_helper_create(bc, &p->dev, p->live, &helper);
		if (r < 0)
			return r;
		free(p->args.source);
		p->args.source = bcl_asprintf("%u:%u", major(helper.dev), minor(helper.dev));
		if (!p->args.source)
			r = bcl_oom(bc);
	}
	if (r == 0)
		r = job_table(bc, p, &t);
	if (r == 0)
		r = check_unchanged(bc, p);
	if (r == 0)
		r = bcl_swap(bc, &p->dev, t);
	if (r < 0 && *helper.name) {
		struct bcl_saved_error saved;

		bcl_error_save(bc, &saved);
		(void)bcl_helper_remove(bc, &helper);
		bcl_error_restore(bc, &saved);
	}
	return r;
}

/* The job is live. If nobody knows what it is to copy it goes again. */
static int list(struct blockcopy *bc, const struct plan *p)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	struct bcl_saved_error saved;
	struct bcl_dm_info now;
	int r;

	if (p->list.kind == BCL_LIST_NONE)
		return 0;
	r = bcl_list_run(bc, &p->dev, &p->list, bcl_table_len(p->live), p->args.region_sectors);
	if (r == 0)
		return 0;
	bcl_error_save(bc, &saved);
	if (bcl_dm_info(bc, p->dev.name, &now) > 0 && bcl_job_read(bc, &now, &j) > 0)
		(void)bcl_end_on_source(bc, &j);
	bcl_error_restore(bc, &saved);
	return r;
}

static const struct blockcopy_options defaults = {
	.args.region_sectors = BLOCKCOPY_REGION_SECTORS_DEFAULT,
};

/*
 * A start that was killed between its load and its resume left a table that holds the helper and
 * the destination. Nothing else is looked at before it is gone; a job that is live is not our
 * affair.
 */
int bcl_start_drop_interrupted(struct blockcopy *bc, struct bcl_dm_info *dev)
{
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL;
	int r;

	if (!dev->inactive_table || !dev->live_table)
		return 0;
	r = bcl_dm_table(bc, dev->name, false, &live);
	if (r < 0 || bcl_table_has(live, BLOCKCOPY_TARGET_NAME))
		return r;
	bcl_clear_loaded_job(bc, dev);
	r = bcl_dm_info(bc, dev->name, dev);
	return r < 0 ? r : 0;
}

int bcl_start(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *destination,
	      const struct blockcopy_options *options)
{
	_cleanup_(plan_done) struct plan p = NO_PLAN;
	int r;

	r = make_plan(bc, dev, destination, options, &p);
	if (r == 0)
		r = check_module(bc);
	if (r == 0 && p.has_metadata && !goes_on(&p.args)) {
		struct bcl_job_identity id = identity(&p);

		r = bcl_metadata_format(bc, &p.metadata, &id, options->force);
		if (r == 0)
			bcl_trust(dev->name, p.metadata.dev);
	}
	if (r == 0)
		r = insert(bc, &p);
	if (r == 0)
		r = list(bc, &p);
	if (r == 0)
		bcl_attachment_keep(&p.attachment);
	if (r == 0)
		bcl_sysfs_changed(p.destination.dev);
	return r;
}

int blockcopy_start(struct blockcopy *bc, const char *name, const char *destination,
		    const struct blockcopy_options *options)
{
	_cleanup_close_ int lock = -1;
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	if (!options)
		options = &defaults;
	r = bcl_device_lock(bc, name, &dev, &lock);
	if (r == 0)
		r = bcl_start_drop_interrupted(bc, &dev);
	if (r == 0)
		r = bcl_tracking_go_on(bc, &dev, destination, options);
	if (r != 0)
		return r < 0 ? r : 0;
	return bcl_start(bc, &dev, destination, options);
}

/* Print the plan with names where numbers are not known yet. */
static int print_plan(struct blockcopy *bc, const struct plan *p, bool show_keys, char **ret_text)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	char *helper = NULL, *job = NULL, *text = NULL;
	_cleanup_free_ char *marks = bcl_list_text(&p->list);
	int r;

	r = job_table(bc, p, &t);
	if (r < 0)
		return r;
	if (marks && bcl_table_text(p->live, "\t", show_keys, &helper) == 0 &&
	    bcl_table_text(t, "\t", show_keys, &job) == 0)
		text = bcl_asprintf("%s%s%s%s%s%s%s%s%s%sload into %s and resume:\n%s%s",
				    p->destination.dev ? "" : "attach as DEVICE ",
				    p->destination.dev ? "" : p->destination.path,
				    p->destination.dev ? "" : "\n",
				    p->has_leftover ? "remove " : "",
				    p->has_leftover ? p->leftover.name : "",
				    p->has_leftover ? "\n" : "",
				    p->needs_helper ? "create " : "",
				    p->needs_helper ? p->helper_name : "",
				    p->needs_helper ? ":\n" : "", p->needs_helper ? helper : "",
				    p->dev.name, job, marks);
	bcl_free_secret(helper);
	bcl_free_secret(job);
	if (!text)
		return bcl_oom(bc);
	*ret_text = text;
	return 0;
}

int blockcopy_plan(struct blockcopy *bc, const char *name, const char *destination,
		   const struct blockcopy_options *options, bool show_keys, char **ret_text)
{
	_cleanup_(plan_done) struct plan p = NO_PLAN;
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	p.dry = true;
	r = bcl_device_find(bc, name, &dev);
	if (r == 0)
		r = make_plan(bc, &dev, destination, options ? options : &defaults, &p);
	if (r < 0)
		return r;
	if (p.needs_helper) {
		p.args.source = bcl_asprintf("/dev/mapper/%s", p.helper_name);
		if (!p.args.source)
			return bcl_oom(bc);
	}
	if (!p.destination.dev) {
		free(p.args.destination);
		p.args.destination = strdup("DEVICE");
		if (!p.args.destination)
			return bcl_oom(bc);
	}
	return print_plan(bc, &p, show_keys, ret_text);
}

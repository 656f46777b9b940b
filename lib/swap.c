// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one way in which this library changes the table of a device in use. */
#include <sys/sysmacros.h>

#include "internal.h"

/*
 * Are these two the same as far as a swap can tell? The kernel prints a job's arguments in its own
 * order, with what it has made of them since.
 */
static bool same_table(const struct bcl_table *a, const struct bcl_table *b)
{
	_cleanup_(bcl_args_done) struct bcl_args x = {}, y = {};

	if (!bcl_table_is_one(a, BLOCKCOPY_TARGET_NAME) ||
	    !bcl_table_is_one(b, BLOCKCOPY_TARGET_NAME))
		return bcl_table_equal(a, b);
	return bcl_args_parse(a->lines[0].params, &x) == 0 &&
	       bcl_args_parse(b->lines[0].params, &y) == 0 && bcl_args_same_job(&x, &y);
}

/*
 * A resume that failed leaves the device suspended with the old table or with the new one, or
 * active with the new one in the inactive slot (kernel-side: the swap failed, preresume failed, a
 * signal). In each case: empty the inactive slot, resume. Nothing is logged or allocated for the
 * user before that is done.
 */
static int recover(struct blockcopy *bc, const char *name, const struct bcl_table *wanted,
		   uint16_t flags)
{
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL;
	struct bcl_saved_error saved;
	struct bcl_dm_info now;
	int r;

	bcl_error_save(bc, &saved);
	r = bcl_dm_info(bc, name, &now);
	if (r > 0 && now.inactive_table)
		(void)bcl_dm_clear(bc, name);
	if (r > 0 && now.suspended) {
		r = bcl_dm_resume(bc, name, flags);
		if (r < 0) {
			free(saved.message);
			return bcl_fail(bc, BLOCKCOPY_FAILED, r,
					"%s: found it suspended after a failed resume, and a "
					"second one fails too (%s): `blockcopy recover %s`", name,
					strerror(-r), name);
		}
		if (bcl_dm_table(bc, name, false, &live) == 0 && same_table(live, wanted)) {
			free(saved.message);
			bcl_begin(bc);
			return 0;
		}
	}
	bcl_error_restore(bc, &saved);
	return -EIO;
}

int bcl_swap(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *t)
{
	uint16_t flags = bcl_dm_udev_flags_of(dev->dev);
	_cleanup_close_ int kmsg = bcl_kmsg_open();
	_cleanup_free_ char *reason = NULL;
	int r;

	r = bcl_dm_load(bc, dev->name, t);
	if (r < 0) {
		reason = bcl_kmsg_reason(kmsg, dev->dev);
		if (!reason)
			return r;
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: the kernel refused the new table: %s",
				dev->name, reason);
	}
	r = bcl_dm_resume(bc, dev->name, flags);
	if (r < 0)
		return recover(bc, dev->name, t, flags) == 0 ? 0 : r;
	return 0;
}

int bcl_leg_table(struct blockcopy *bc, const char *leg, uint64_t offset, uint64_t len,
		  struct bcl_dm_info *ret_helper, bool *ret_has_helper, struct bcl_table **ret_table)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_free_ char *params = NULL;
	struct bcl_dm_info helper = {};
	bool has_helper = false;
	dev_t dev;
	int r;

	if (bcl_parse_devno(leg, &dev) == 0) {
		r = bcl_dm_info_by_dev(bc, dev, &helper);
		/* One of another driver is not dm's to know. */
		has_helper = r > 0 && major(helper.dev) == major(dev) && bcl_is_helper(&helper);
	}
	if (has_helper) {
		r = bcl_dm_table(bc, helper.name, false, &t);
		if (r < 0)
			return r;
		if (bcl_table_len(t) != len)
			return bcl_fail(bc, BLOCKCOPY_FAILED, -EINVAL,
					"%s: found a table of %llu sectors, needed the %llu of the "
					"job",
					helper.name, (unsigned long long)bcl_table_len(t),
					(unsigned long long)len);
	} else {
		params = bcl_asprintf("%s %llu", leg, (unsigned long long)offset);
		if (!params || bcl_table_new(&t) < 0 ||
		    bcl_table_add(t, 0, len, "linear", params) < 0)
			return bcl_oom(bc);
	}
	*ret_helper = helper;
	*ret_has_helper = has_helper;
	*ret_table = TAKE_PTR(t);
	return 0;
}

int bcl_source_table(struct blockcopy *bc, const struct bcl_args *args, uint64_t len,
		     struct bcl_dm_info *ret_helper, bool *ret_has_helper,
		     struct bcl_table **ret_table)
{
	return bcl_leg_table(bc, args->source, args->source_offset, len, ret_helper, ret_has_helper,
			     ret_table);
}

bool bcl_has_loaded_job(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	_cleanup_(bcl_table_freep) struct bcl_table *inactive = NULL;
	struct bcl_saved_error saved;
	bool has;

	bcl_error_save(bc, &saved);
	has = dev->inactive_table && bcl_dm_table(bc, dev->name, true, &inactive) == 0 &&
	      bcl_table_has(inactive, BLOCKCOPY_TARGET_NAME);
	bcl_error_restore(bc, &saved);
	return has;
}

void bcl_clear_loaded_job(struct blockcopy *bc, const struct bcl_dm_info *dev)
{
	struct bcl_saved_error saved;

	if (!bcl_has_loaded_job(bc, dev))
		return;
	bcl_error_save(bc, &saved);
	(void)bcl_dm_clear(bc, dev->name);
	bcl_error_restore(bc, &saved);
}

bool bcl_clear_loaded_source(struct blockcopy *bc, const struct bcl_job *j)
{
	_cleanup_(bcl_table_freep) struct bcl_table *inactive = NULL, *source = NULL;
	struct bcl_saved_error saved;
	struct bcl_dm_info helper;
	bool has_helper, cleared;

	if (!j->dev.inactive_table)
		return false;
	bcl_error_save(bc, &saved);
	cleared = bcl_dm_table(bc, j->dev.name, true, &inactive) == 0 &&
		  bcl_source_table(bc, &j->args, j->len, &helper, &has_helper, &source) == 0 &&
		  bcl_table_equal(inactive, source) && bcl_dm_clear(bc, j->dev.name) == 0;
	bcl_error_restore(bc, &saved);
	return cleared;
}

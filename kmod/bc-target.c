// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device-mapper target "blockcopy": the hooks.
 *
 * A job goes live under a device that is open: its table is loaded beside the live one and swapped
 * in by a resume, and swapped out the same way when the job has ended. See blockcopy-abi.h for the
 * interface, bc-job.h for the invariants.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "bc-job.h"

/* How long a suspend waits for copies in flight before it goes on without them. */
#define STOP_TIMEOUT	msecs_to_jiffies(1000)

static int blockcopy_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct bc_job *job = bc_job_create(ti, argc, argv);
	int r;

	if (IS_ERR(job))
		return PTR_ERR(job);
	r = bc_registry_add(job);
	if (r) {
		bc_job_destroy(job);
		return r;
	}
	ti->private = job;
	ti->per_io_data_size = sizeof(struct bc_io);
	ti->accounts_remapped_io = true;
	/*
	 * The core drops the flushes of a device without a cache. Those of the guest are the
	 * destination's after a flip, whenever the table that says so comes.
	 */
	ti->flush_supported = bdev_write_cache(job->destination->bdev);
	/*
	 * One of each, to the truth alone: the core takes what it sees refused away from the guest.
	 */
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_secure_erase_bios = 1;
	ti->num_write_zeroes_bios = 1;
	return 0;
}

static void blockcopy_dtr(struct dm_target *ti)
{
	struct bc_job *job = ti->private;

	/* Nothing of this job is in flight when a younger one may begin there (I4). */
	bc_reap(job);
}

static int blockcopy_map(struct dm_target *ti, struct bio *bio)
{
	return bc_io_map(ti->private, bio);
}

static int blockcopy_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	bc_io_end(ti->private, bio, *error);
	return DM_ENDIO_DONE;
}

static void update_mode(struct bc_job *job)
{
	mutex_lock(&job->lock);
	bc_mode_update(job);
	mutex_unlock(&job->lock);
}

/*
 * The guest still runs. Held writes would keep the suspend waiting for ever, so they go first. Then
 * no more copies; a hung destination does not keep the guest from being suspended, as what is in
 * flight stays accounted for: its regions can not be copied again (I3), and dtr waits for it.
 */
static void blockcopy_presuspend(struct dm_target *ti)
{
	struct bc_job *job = ti->private;

	bc_job_keep_slabs(job);
	/* In this order: no completion can begin once the copier is stopped. */
	WRITE_ONCE(job->copier.stopped, true);
	if (job->meta)
		wake_up_all(&job->meta->quiet);	/* see intend() */
	bc_complete_cancel(job, BC_READY, BC_ERROR_SUSPENDED);
	update_mode(job);
	if (!bc_copier_stop(&job->copier, STOP_TIMEOUT))
		DMWARN("%s: suspended with copies in flight", dm_device_name(job->md));
	else if (!bc_verify_hold(job, STOP_TIMEOUT))
		DMWARN("%s: suspended with reads of verify in flight", dm_device_name(job->md));
}

static void blockcopy_presuspend_undo(struct dm_target *ti)
{
	struct bc_job *job = ti->private;

	bc_copier_start(&job->copier);
	update_mode(job);
}

static void blockcopy_postsuspend(struct dm_target *ti)
{
	struct bc_job *job = ti->private;

	if (job->meta)
		bc_meta_stop(job);
}

static int blockcopy_preresume(struct dm_target *ti)
{
	struct bc_job *job = ti->private;

	if (job->meta)
		bc_meta_activate(job);
	return 0;
}

static void blockcopy_resume(struct dm_target *ti)
{
	struct bc_job *job = ti->private;
	bool told = job->meta && job->meta->state == BC_META_OK && job->meta->told;

	/*
	 * I11: what the older job of this device had dirty or in flight, nobody else knows; only
	 * its metadata does.
	 */
	if (!job->live && job->state == BC_COPYING && !told && bc_registry_has_older(job))
		bc_job_dirty_all(job);
	WRITE_ONCE(job->live, true);
	if (job->meta)
		bc_meta_start(job);
	bc_copier_start(&job->copier);
	bc_mode_start(job);
}

static void blockcopy_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
			     char *result, unsigned int maxlen)
{
	bc_status(ti->private, type, result, maxlen);
}

/* "group <id> <count>" */
static bool parse_group(struct bc_how *how, char **argv)
{
	return !strcmp(argv[0], "group") && !kstrtou64(argv[1], 10, &how->group) &&
	       !kstrtouint(argv[2], 10, &how->count) && how->count &&
	       how->count <= BLOCKCOPY_GROUP_MAX;
}

/* The words after the first one. */
static bool parse_how(struct bc_how *how, unsigned int argc, char **argv)
{
	if (argc == 1 && how->pivot && !strcmp(argv[0], "reverse")) {
		how->reverse = true;
		return true;
	}
	if (argc && argc <= 2 && how->pivot && !strcmp(argv[0], "source-failed")) {
		how->source_failed = true;
		how->lossy = argc == 2;
		return argc == 1 || !strcmp(argv[1], "lossy");
	}
	if (argc && !strcmp(argv[0], "unrecorded")) {
		how->unrecorded = true;
		argc--;
		argv++;
	}
	return !argc || (argc == 3 && parse_group(how, argv));
}

static int message_complete(struct bc_job *job, bool pivot, unsigned int argc, char **argv)
{
	struct bc_how how = { .pivot = pivot };

	if (!parse_how(&how, argc - 1, argv + 1)) {
		DMWARN("%s: %s: need <ms> and nothing, %s[unrecorded] [group <id> <count>]",
		       dm_device_name(job->md), pivot ? "complete" : "finish",
		       pivot ? "reverse, source-failed [lossy] or " : "");
		return -EINVAL;
	}
	if (kstrtouint(argv[0], 10, &how.ms) || how.ms < BLOCKCOPY_HOLD_MS_MIN ||
	    how.ms > BLOCKCOPY_HOLD_MS_MAX) {
		DMWARN("%s: %s: need 1 to 60000 milliseconds, got \"%s\"", dm_device_name(job->md),
		       pivot ? "complete" : "finish", argv[0]);
		return -EINVAL;
	}
	return bc_complete(job, &how);
}

static int blockcopy_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			     unsigned int maxlen)
{
	struct bc_job *job = ti->private;

	/* The table is live from a moment before: what the job knows is still being read. */
	if (!READ_ONCE(job->live)) {
		DMWARN("%s: %s: not resumed yet", dm_device_name(job->md), argv[0]);
		return -EBUSY;
	}
	if (argc == 1 && !strcmp(argv[0], "pause"))
		return bc_job_pause(job);
	if (argc == 1 && !strcmp(argv[0], "resume"))
		return bc_job_resume(job);
	if (argc == 3 && !strcmp(argv[0], "set"))
		return bc_job_set(job, argv[1], argv[2]);
	if (argc >= 2 && !strcmp(argv[0], "complete"))
		return message_complete(job, true, argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[0], "finish"))
		return message_complete(job, false, argc - 1, argv + 1);
	if (argc == 1 && !strcmp(argv[0], "fail"))
		return bc_job_give_up(job);
	if (!strcmp(argv[0], "dirty"))
		return bc_list_dirty(job, argc - 1, argv + 1);
	if (argc == 1 && !strcmp(argv[0], "listed"))
		return bc_list_end(job);
	if (argc == 1 && !strcmp(argv[0], "detach"))
		return bc_meta_detach(job);
	if (argc == 2 && !strcmp(argv[0], "verify") && !strcmp(argv[1], "ranges")) {
		bc_verify_list(job, result, maxlen);
		return 1;
	}
	if (argc == 2 && !strcmp(argv[0], "verify") && !strcmp(argv[1], "stop"))
		return bc_verify_stop(job);
	if (!strcmp(argv[0], "map"))
		return bc_map(job, argc - 1, argv + 1, result, maxlen);
	if (!strcmp(argv[0], "verify"))
		return bc_verify_begin(job, argc - 1, argv + 1);
	DMWARN("%s: unknown message \"%s\" of %u words", dm_device_name(job->md), argv[0], argc);
	return -EINVAL;
}

/* The source only: what the guest's device can do does not change when a job begins. */
static int blockcopy_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				     void *data)
{
	struct bc_job *job = ti->private;

	return fn(ti, job->source->dev, job->source->start, ti->len, data);
}

static struct target_type blockcopy_target = {
	.name = BLOCKCOPY_TARGET_NAME,
	.version = { BLOCKCOPY_VERSION_MAJOR, BLOCKCOPY_VERSION_MINOR, BLOCKCOPY_VERSION_PATCH },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = blockcopy_ctr,
	.dtr = blockcopy_dtr,
	.map = blockcopy_map,
	.end_io = blockcopy_end_io,
	.presuspend = blockcopy_presuspend,
	.presuspend_undo = blockcopy_presuspend_undo,
	.postsuspend = blockcopy_postsuspend,
	.preresume = blockcopy_preresume,
	.resume = blockcopy_resume,
	.status = blockcopy_status,
	.message = blockcopy_message,
	.iterate_devices = blockcopy_iterate_devices,
};

static int __init blockcopy_init(void)
{
	int r = bc_reap_init();

	if (r)
		return r;
	r = dm_register_target(&blockcopy_target);
	if (r)
		bc_reap_exit();
	return r;
}

static void __exit blockcopy_exit(void)
{
	dm_unregister_target(&blockcopy_target);
	bc_reap_exit();
}

module_init(blockcopy_init);
module_exit(blockcopy_exit);

MODULE_DESCRIPTION(DM_NAME " target to copy a device in use and switch to the copy");
MODULE_AUTHOR("The dm-blockcopy developers");
MODULE_VERSION(__stringify(BLOCKCOPY_VERSION_MAJOR) "." __stringify(BLOCKCOPY_VERSION_MINOR) "."
	       __stringify(BLOCKCOPY_VERSION_PATCH));
MODULE_LICENSE("GPL");

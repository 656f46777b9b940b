// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a job whose table goes.
 *
 * A destination that does not answer must not keep the device from its new table, nor the command
 * that loaded it from going on. What is in flight there can not be called back, though, and needs
 * its memory: such a job lives on without a table until the last answer has come. It keeps the
 * module loaded and the destination claimed, so that nobody else begins to use it meanwhile.
 */
#include <linux/module.h>

#include "bc-job.h"
#include "compat.h"

/* How long the command waits; a slow destination needs that for what it has in its queue. */
#define PATIENCE	msecs_to_jiffies(2000)

/* Not one of the system's, for it to be waited for when the module goes. */
static struct workqueue_struct *reaper;

static void wait_quiet(struct bc_job *job)
{
	/* Idle: that it takes for ever is no fault of this task. */
	wait_event_idle(job->copier.quiet, bc_copier_is_quiet(&job->copier));
	wait_event_idle(job->mirrors.quiet, !READ_ONCE(job->mirrors.nr));
	wait_event_idle(job->verify.quiet, bc_verify_is_quiet(job));
	if (job->meta)
		wait_event_idle(job->meta->quiet, bc_meta_is_quiet(job));
}

static void reap_work(struct work_struct *work)
{
	struct bc_job *job = container_of(work, struct bc_job, reap);
	struct file *claim;

	/* Best effort: a disk that is gone can not be opened, nor used by others. */
	claim = bdev_file_open_by_dev(file_bdev(job->destination->file)->bd_dev, BLK_OPEN_READ, job,
				      NULL);
	wait_quiet(job);
	if (!IS_ERR(claim))
		bdev_fput(claim);
	DMINFO("%s: the destination has answered, the job is cleaned up", job->name);
	bc_registry_del(job);
	bc_job_destroy(job);
	module_put(THIS_MODULE);
}

void bc_reap(struct bc_job *job)
{
	struct bc_copier *c = &job->copier;
	bool quiet;

	bc_verify_stop(job);
	quiet = bc_copier_stop(c, PATIENCE);
	if (quiet)
		quiet = wait_event_timeout(job->mirrors.quiet, !READ_ONCE(job->mirrors.nr),
					   PATIENCE);
	if (quiet)
		quiet = wait_event_timeout(job->verify.quiet, bc_verify_is_quiet(job), PATIENCE);
	if (quiet && job->meta)
		quiet = wait_event_timeout(job->meta->quiet, bc_meta_is_quiet(job), PATIENCE);
	if (quiet) {
		bc_registry_del(job);
		bc_job_destroy(job);
		return;
	}

	/* The source is the guest's, and is about to be somebody else's. It has to answer. */
	wait_event(c->quiet, !atomic_read(&c->reads));
	if (job->meta)
		wait_event(job->meta->quiet,
			   !(atomic_read(&job->meta->flushes) & BIT(BC_FLUSH_SOURCE)));
	DMWARN("%s: the destination does not answer, the job is cleaned up when it does",
	       job->name);
	bc_completion_exit(job);
	bc_mode_exit(job);
	bc_registry_bury(job);
	bc_job_close(job);
	__module_get(THIS_MODULE);
	INIT_WORK(&job->reap, reap_work);
	queue_work(reaper, &job->reap);
}

int bc_reap_init(void)
{
	reaper = alloc_workqueue("bc_reap", WQ_UNBOUND, 0);
	return reaper ? 0 : -ENOMEM;
}

void bc_reap_exit(void)
{
	/* One that has put its module reference may not have returned yet. */
	destroy_workqueue(reaper);
}

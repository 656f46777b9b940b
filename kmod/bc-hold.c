// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest writes that are parked for the moment of a flip, or of a finish.
 */
#include "bc-job.h"
#include "bc-trace.h"

void bc_hold_init(struct bc_job *job)
{
	spin_lock_init(&job->hold.lock);
	bio_list_init(&job->hold.bios);
}

bool bc_hold_park(struct bc_job *job, struct bio *bio)
{
	struct bc_hold *hold = &job->hold;
	bool parked = false;

	spin_lock(&hold->lock);
	if (hold->parking) {
		/* The reference that bc_hold_end() takes for it. */
		((struct bc_io *)dm_per_bio_data(bio, sizeof(struct bc_io)))->turn = job->turn;
		parked = true;
		if (!(bio->bi_opf & REQ_NOWAIT)) {
			bio_list_add(&hold->bios, bio);
			WRITE_ONCE(hold->nr, hold->nr + 1);
			bio = NULL;
		}
	}
	spin_unlock(&hold->lock);

	if (parked && bio)
		bio_wouldblock_error(bio);
	return parked;
}

void bc_hold_begin(struct bc_job *job)
{
	struct bc_hold *hold = &job->hold;

	spin_lock(&hold->lock);
	hold->parking = true;
	spin_unlock(&hold->lock);
	percpu_ref_kill(&job->writes[job->turn]);
}

void bc_hold_end(struct bc_job *job, struct bio_list *bios)
{
	struct bc_hold *hold = &job->hold;

	/*
	 * In this order, as bc_io_map() tries the reference first and looks for a hold when it does
	 * not get it.
	 */
	percpu_ref_resurrect(&job->writes[job->turn]);
	spin_lock(&hold->lock);
	hold->parking = false;
	percpu_ref_get_many(&job->writes[job->turn], hold->nr);
	bio_list_merge(bios, &hold->bios);
	bio_list_init(&hold->bios);
	trace_blockcopy_hold(job->devt, false, hold->nr, job->completion.blackout_us);
	WRITE_ONCE(hold->nr, 0);
	spin_unlock(&hold->lock);
}

void bc_hold_release(struct bc_job *job, struct bio_list *bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios)))
		bc_io_release(job, bio);
}

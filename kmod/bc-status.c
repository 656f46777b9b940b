// SPDX-License-Identifier: GPL-2.0-only
/*
 * Status and table line. No lock, no I/O, no scan: counters as they are. blockcopy-abi.h has the
 * grammar.
 */
#include "bc-job.h"

static const char *io_status(struct bc_job *job)
{
	switch (READ_ONCE(job->io_status)) {
	case BC_IO_FAILED:
		return "failed";
	case BC_IO_NOSPACE:
		return "nospace";
	default:
		return "ok";
	}
}

static bool is_ready(enum bc_state state)
{
	return state == BC_READY || state == BC_COMPLETING || state == BC_PIVOTED ||
	       state == BC_FINISHED;
}

static void status_info(struct bc_job *job, char *result, unsigned int maxlen)
{
	struct bc_copier *c = &job->copier;
	struct bc_verify *v = &job->verify;
	unsigned int region_bytes_shift = job->region_shift + SECTOR_SHIFT;
	enum bc_state state = READ_ONCE(job->state);
	u64 total = (u64)job->len << SECTOR_SHIFT;
	u64 dirty, in_flight, synced;
	bool mirroring = READ_ONCE(job->mirrors.mirroring);
	bool listing = smp_load_acquire(&job->listing);	/* pairs with bc_list_end() */
	unsigned int sz = 0;

	dirty = min(bc_bitmap_count(&job->dirty) << region_bytes_shift, total);
	/* What is dirty when it has pivoted without its source is nobody's any more. */
	if (state == BC_PIVOTED)
		dirty = 0;
	/* I11: nobody knows yet. */
	if (listing)
		dirty = total;
	smp_rmb();	/* pairs with bc_copy_begin(): it raises the other first */
	in_flight = min(READ_ONCE(c->in_flight_bytes), total);
	synced = total - min(total, dirty + in_flight);
	/* "All copied" read as "ready" has cost people their data. */
	if (!is_ready(state) && synced == total)
		synced -= 1 << SECTOR_SHIFT;

	DMEMIT("%u %s %llu/%llu %u 40", BLOCKCOPY_STATUS_VERSION, bc_state_names[state],
	       (unsigned long long)synced >> SECTOR_SHIFT,
	       (unsigned long long)total >> SECTOR_SHIFT, job->args.region_sectors);
	DMEMIT(" ready %d paused %d copy_mode %s mirroring %d actively_synced %d", is_ready(state),
	       READ_ONCE(job->paused), bc_copy_mode_names[READ_ONCE(job->args.copy_mode)],
	       mirroring, mirroring && !dirty && !in_flight && bc_mirror_is_clean(job));
	DMEMIT(" mirrored_bytes %llu write_timeout %u late_writes %u timeouts %llu",
	       (unsigned long long)READ_ONCE(job->mirrors.mirrored_bytes),
	       READ_ONCE(job->args.write_timeout),
	       READ_ONCE(job->mirrors.nr_late),
	       (unsigned long long)READ_ONCE(job->mirrors.timeouts));
	DMEMIT(" listing %d dirty_bytes %llu inflight_bytes %llu copied_bytes %llu", listing,
	       (unsigned long long)dirty, (unsigned long long)in_flight,
	       (unsigned long long)READ_ONCE(c->copied_bytes));
	DMEMIT(" dirtied_bytes %llu zeroed_bytes %llu unwritten_bytes %llu",
	       (unsigned long long)atomic64_read(&job->dirtied_bytes),
	       (unsigned long long)READ_ONCE(c->zeroed_bytes),
	       (unsigned long long)READ_ONCE(c->unwritten_bytes));
	DMEMIT(" rate %llu bandwidth %llu buf_size %llu", (unsigned long long)bc_copier_rate(c),
	       (unsigned long long)READ_ONCE(job->args.bandwidth),
	       (unsigned long long)READ_ONCE(job->args.buf_size));
	DMEMIT(" on_source_error %s on_target_error %s",
	       bc_policy_names[READ_ONCE(job->args.on_source_error)],
	       bc_policy_names[READ_ONCE(job->args.on_target_error)]);
	DMEMIT(" io_status %s source_errors %llu unread_bytes %llu target_errors %llu error %s",
	       io_status(job),
	       (unsigned long long)READ_ONCE(job->source_errors),
	       (unsigned long long)READ_ONCE(c->holes.sectors) << SECTOR_SHIFT,
	       (unsigned long long)READ_ONCE(job->target_errors),
	       bc_error_names[READ_ONCE(job->error)]);
	DMEMIT(" reversals %u source_only_bytes %llu", READ_ONCE(job->reversals),
	       (unsigned long long)min(bc_source_only_bytes(job), total));
	DMEMIT(" metadata %s intent_bytes %llu",
	       job->meta ? bc_meta_state_names[READ_ONCE(job->meta->state)] : "none",
	       job->meta ? (unsigned long long)min(READ_ONCE(job->meta->nr_set) <<
						   region_bytes_shift, total) : 0);
	DMEMIT(" verify %s verify_total_bytes %llu verify_bytes %llu",
	       bc_verify_state_names[READ_ONCE(v->state)],
	       (unsigned long long)READ_ONCE(v->total_bytes),
	       (unsigned long long)READ_ONCE(v->compared_bytes));
	DMEMIT(" verify_unread_bytes %llu verify_differing_bytes %llu verify_ranges %llu",
	       (unsigned long long)READ_ONCE(v->unread_bytes),
	       (unsigned long long)READ_ONCE(v->differing_bytes),
	       (unsigned long long)READ_ONCE(v->found));
	DMEMIT(" blackout_us %llu held %u event %s events %u",
	       (unsigned long long)READ_ONCE(job->completion.blackout_us), READ_ONCE(job->hold.nr),
	       bc_event_names[READ_ONCE(job->event)], READ_ONCE(job->events));
}

static void status_table(struct bc_job *job, char *result, unsigned int maxlen)
{
	const struct bc_leg *source = READ_ONCE(job->source);
	/* They may change places while we look. */
	const struct bc_leg *destination = &job->legs[source == &job->legs[0]];
	struct bc_args args;
	unsigned int sz = 0;

	bc_job_args(job, &args);
	DMEMIT("%s %llu %s %llu ", source->dev->name, (unsigned long long)source->start,
	       destination->dev->name, (unsigned long long)destination->start);
	if (sz < maxlen)
		sz += bc_args_format(&args, result + sz, maxlen - sz);
}

/* What was measured at load, as configured; progress does not belong here. */
static void status_ima(struct bc_job *job, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT_TARGET_NAME_VERSION(job->ti->type);
	DMEMIT(",source_device_name=%s,source_start=%llu", job->source->dev->name,
	       (unsigned long long)job->source->start);
	DMEMIT(",destination_device_name=%s,destination_start=%llu", job->destination->dev->name,
	       (unsigned long long)job->destination->start);
	DMEMIT(",region_sectors=%u,copy_mode=%s,pivoted=%c,finished=%c;", job->args.region_sectors,
	       bc_copy_mode_names[job->args.copy_mode], job->args.pivoted ? 'y' : 'n',
	       job->args.finished ? 'y' : 'n');
}

void bc_status(struct bc_job *job, status_type_t type, char *result, unsigned int maxlen)
{
	switch (type) {
	case STATUSTYPE_INFO:
		status_info(job, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(job, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		status_ima(job, result, maxlen);
		break;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of verify share: bc-verify.c, bc-compare.c and bc-verify-message.c.
 */
#ifndef BC_VERIFYING_H
#define BC_VERIFYING_H

#include "bc-job.h"

static inline struct bc_job *bc_verify_job(struct bc_verify *v)
{
	return container_of(v, struct bc_job, verify);
}

/* Are the legs meant to be equal where nothing is dirty? */
static inline bool bc_verify_possible(struct bc_job *job)
{
	enum bc_state state = READ_ONCE(job->state);

	return state == BC_COPYING || state == BC_READY;
}

/*
 * Units: what is settled as one. The first and the last one may be cut by what was asked for.
 */

static inline sector_t bc_unit_start(struct bc_verify *v, unsigned long unit)
{
	return max_t(sector_t, (sector_t)unit << v->unit_shift, v->from);
}

static inline sector_t bc_unit_end(struct bc_verify *v, unsigned long unit)
{
	return min_t(sector_t, (sector_t)(unit + 1) << v->unit_shift, v->to);
}

/* Of the piece. */
static inline unsigned long bc_first_unit(struct bc_verify *v)
{
	return v->start >> v->unit_shift;
}

static inline unsigned long bc_last_unit(struct bc_verify *v)
{
	return (v->end - 1) >> v->unit_shift;
}

/* bc-verify.c */

/* May a write or a copy have been on its way to the piece since it is watched? Or is it dirty? */
bool bc_verify_touched(struct bc_verify *v);

/* Free what it needs while it runs: all but the list of ranges. */
void bc_verify_free(struct bc_verify_memory *memory);

/* bc-compare.c. Context: the work. */

/*
 * Has a leg not been read? Then it is read again unit by unit, or this unit is settled as unread.
 */
bool bc_compare_unread(struct bc_verify *v);

/* Settle what is equal. Return: whether anything differs. */
bool bc_compare(struct bc_verify *v);

/*
 * What differs does so for good, unless it was touched: settle and note it, make it dirty where it
 * is to be repaired.
 */
void bc_compare_report(struct bc_verify *v);

#endif /* BC_VERIFYING_H */

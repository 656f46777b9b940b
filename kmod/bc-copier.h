/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the copier share. The copier's work calls all of it, and nobody else.
 */
#ifndef BC_COPIER_H
#define BC_COPIER_H

#include "bc-job.h"

static inline struct bc_job *bc_copier_job(struct bc_copier *c)
{
	return container_of(c, struct bc_job, copier);
}

/* Shown by status while the work writes them. */
static inline void bc_account(u64 *counter, u64 value)
{
	WRITE_ONCE(*counter, value);
}

/* bc-copier.c */

/* So much was copied. */
void bc_copier_copied(struct bc_copier *c, u64 bytes);

/*
 * An error may be retried: not at once, and ever more slowly with @slower; of a run the good
 * regions first.
 */
void bc_copier_back_off(struct bc_copier *c, bool slower);

/* Something was copied, after an error or not. */
void bc_copier_recovered(struct bc_copier *c);

/* Whether anything may be read from the source now. */
bool bc_copier_may_issue(struct bc_copier *c);

/* bc-copy.c */

/* The next copy, claimed but not begun yet. Return: NULL if there is none now. */
struct bc_copy *bc_copy_choose(struct bc_copier *c);

/* Its first piece is about to be read. */
void bc_copy_begin(struct bc_copier *c, struct bc_copy *copy);
void bc_copy_end_if_over(struct bc_copier *c, struct bc_copy *copy);

/* Issue no more pieces of the copy that is half issued; what it did not reach stays dirty. */
void bc_copy_cut(struct bc_copier *c);

/*
 * Is nothing dirty but holes whose time has not come? Return: that time in *@ret_due, ns. Nothing
 * is in flight.
 */
bool bc_copy_rests(struct bc_copier *c, u64 *ret_due);

/* Guest writes are not to wait for copies that have not begun. */
void bc_copy_withdraw(struct bc_copier *c);

/* bc-piece.c */

/*
 * Read the next piece of @copy into @chunks; @there is for what the destination has, NULL if that
 * is not asked. There is an idle one, and c->reads has been counted.
 */
void bc_piece_issue(struct bc_copier *c, struct bc_copy *copy, unsigned int sectors,
		    struct page *chunks, struct page *there);

/* It came back from one of its bios. */
void bc_piece_advance(struct bc_copier *c, struct bc_piece *piece);

/* bc-flush.c */

/* Begin one, for the hold of that number or, with 0, for READY. None is in flight. */
void bc_flush(struct bc_copier *c, u64 hold);

/* See to one that has ended. */
void bc_flush_ended(struct bc_copier *c);

/* The destination failed to flush, be it for us or for the guest. */
void bc_flush_failed(struct bc_copier *c, blk_status_t status);

#endif /* BC_COPIER_H */

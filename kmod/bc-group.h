/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs that complete together: all of them at one instant, or none. See bc-group.c.
 */
#ifndef BC_GROUP_H
#define BC_GROUP_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct bc_group;
struct bc_job;

/* A job's place in a group. Under job->lock, and what others look at under groups_lock as well. */
struct bc_member {
	struct bc_group *group;		/* NULL: it completes alone */
	struct list_head list;		/* groups_lock */
	u64 gather_until;		/* ns; all have come by then, or it is given up */
	bool drained;			/* it would begin to hold, alone */
	bool arrived;			/* it would flip, alone */
	struct work_struct decided;	/* queued when others have decided; in bc-complete.c */
};

enum bc_decision {
	BC_GROUP_PENDING,
	BC_GROUP_COMMITTED,		/* all flip; none may fail any more */
	BC_GROUP_ABORTED,		/* none does */
};

/*
 * Find the group of that number, or make it. Context: process, may sleep (GFP_KERNEL). Return: the
 * group, to be put; NULL without memory.
 */
struct bc_group *bc_group_get(u64 id, unsigned int count);
void bc_group_put(struct bc_group *group);

/* A member was refused: none of the others does it either. Context: process. */
void bc_group_spoil(struct bc_group *group);

/*
 * Context of those that follow: process, job->lock held; but for the first, of a member.
 */

/* Return: 0; -EBUSY when it has decided or all have come; -EINVAL when it is of another size. */
int bc_group_join(struct bc_group *group, unsigned int count, struct bc_job *job);

/* Some have not come, and their time is over. */
bool bc_group_is_late(struct bc_job *job);

/*
 * May it begin to hold: have all come and drained? @drained: it has. The last one to say so wakes
 * the others.
 */
bool bc_group_gather(struct bc_job *job, bool drained);

/* It would flip now. Return: may it, as all would? Otherwise it is told, by "decided". */
bool bc_group_arrive(struct bc_job *job);

/* It fails. Return: false when it must not, any more, as the group has committed. */
bool bc_group_abort(struct bc_job *job);

bool bc_group_is_decided(struct bc_job *job);

/* It has flipped, or was given up. */
void bc_group_leave(struct bc_job *job);

#endif /* BC_GROUP_H */

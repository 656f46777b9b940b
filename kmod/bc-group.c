// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs that complete together: all of them at one instant, or none.
 *
 * Each goes its own way through bc-complete.c, but for two places where it waits for the others:
 *
 * gather	It has drained. When all have come and drained, all begin to hold: the blackout is
 *		not lengthened by the messages that come one after another, nor by who drains long.
 *		Who waits here holds nothing, and not for ever.
 * arrive	It would flip: its writes are held, none is in flight, the legs are equal, the
 *		destination is flushed and the outcome is recorded. Who arrives last decides for
 *		all.
 *
 * All or none: a group leaves PENDING once, under groups_lock. Whatever ends a member before that
 * (its timer, an error, a suspend, a message that was refused) makes it ABORTED, and the others
 * give up as well. Once it is COMMITTED a member has nothing left to do that could fail; whatever
 * would end it then finds the decision, and flips.
 *
 * One instant: that of the decision. Each member holds from before it arrives until after the
 * decision. So a write to any of them that was acknowledged before the decision had ended when its
 * device arrived, and is on both legs; one that was held, and all that the guest sends after it,
 * are acknowledged after the decision, and are not on the copies that "finish" leaves.
 *
 * Nothing waits for userspace (I8): a member has its own timer while it holds, and a limit while it
 * gathers. A controller that was killed between two messages leaves members that have not begun to
 * hold.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "bc-job.h"

/* Number of members, and which of them are where. Inner to job->lock; see bc-job.h. */
static DEFINE_SPINLOCK(groups_lock);
static LIST_HEAD(groups);

struct bc_group {
	struct list_head list;		/* groups */
	struct list_head members;	/* bc_member.list */
	u64 id;
	unsigned int users;		/* members, and who has got it */
	unsigned int count;		/* as many are to come */
	unsigned int joined;
	unsigned int drained;
	unsigned int arrived;
	enum bc_decision decision;
};

static struct bc_job *job_of(struct bc_member *member)
{
	return container_of(member, struct bc_job, completion.member);
}

struct bc_group *bc_group_get(u64 id, unsigned int count)
{
	struct bc_group *new = kzalloc(sizeof(*new), GFP_KERNEL);
	struct bc_group *group;

	spin_lock(&groups_lock);
	list_for_each_entry(group, &groups, list)
		if (group->id == id)
			goto found;
	group = new;
	new = NULL;
	if (!group)
		goto unlock;
	INIT_LIST_HEAD(&group->members);
	group->id = id;
	group->count = count;
	list_add(&group->list, &groups);
found:
	group->users++;
unlock:
	spin_unlock(&groups_lock);
	kfree(new);
	return group;
}

/* Context: groups_lock. */
static void put(struct bc_group *group)
{
	if (--group->users)
		return;
	list_del(&group->list);
	kfree(group);
}

void bc_group_put(struct bc_group *group)
{
	spin_lock(&groups_lock);
	put(group);
	spin_unlock(&groups_lock);
}

/* Once. The one who decides knows. Context: groups_lock. */
static void decide(struct bc_group *group, enum bc_decision decision, struct bc_member *but)
{
	struct bc_member *member;

	if (group->decision != BC_GROUP_PENDING)
		return;
	group->decision = decision;
	/* A member leaves before its work queue goes. */
	list_for_each_entry(member, &group->members, list)
		if (member != but)
			queue_work(job_of(member)->wq, &member->decided);
}

void bc_group_spoil(struct bc_group *group)
{
	spin_lock(&groups_lock);
	decide(group, BC_GROUP_ABORTED, NULL);
	spin_unlock(&groups_lock);
}

int bc_group_join(struct bc_group *group, unsigned int count, struct bc_job *job)
{
	struct bc_member *member = &job->completion.member;
	int r = 0;

	lockdep_assert_held(&job->lock);
	spin_lock(&groups_lock);
	if (group->count != count) {
		r = -EINVAL;
	} else if (group->decision != BC_GROUP_PENDING || group->joined == group->count) {
		r = -EBUSY;
	} else {
		group->users++;
		group->joined++;
		list_add_tail(&member->list, &group->members);
		member->group = group;
		member->drained = false;
		member->arrived = false;
	}
	spin_unlock(&groups_lock);
	return r;
}

bool bc_group_is_late(struct bc_job *job)
{
	struct bc_member *member = &job->completion.member;
	bool complete;

	lockdep_assert_held(&job->lock);
	if (!member->group || ktime_get_ns() < member->gather_until)
		return false;
	spin_lock(&groups_lock);
	complete = member->group->joined == member->group->count;
	spin_unlock(&groups_lock);
	return !complete;
}

bool bc_group_gather(struct bc_job *job, bool drained)
{
	struct bc_member *member = &job->completion.member, *other;
	struct bc_group *group = member->group;
	bool all;

	lockdep_assert_held(&job->lock);
	if (!group)
		return drained;
	spin_lock(&groups_lock);
	if (drained && !member->drained) {
		member->drained = true;
		group->drained++;
		if (group->drained == group->count)
			list_for_each_entry(other, &group->members, list)
				mod_delayed_work(job_of(other)->wq,
						 &job_of(other)->completion.tick, 0);
	}
	all = group->drained == group->count && group->decision == BC_GROUP_PENDING;
	spin_unlock(&groups_lock);
	return all;
}

bool bc_group_arrive(struct bc_job *job)
{
	struct bc_member *member = &job->completion.member;
	struct bc_group *group = member->group;
	bool committed;

	lockdep_assert_held(&job->lock);
	spin_lock(&groups_lock);
	if (!member->arrived) {
		member->arrived = true;
		group->arrived++;
		if (group->arrived == group->count)
			decide(group, BC_GROUP_COMMITTED, member);
	}
	committed = group->decision == BC_GROUP_COMMITTED;
	spin_unlock(&groups_lock);
	return committed;
}

bool bc_group_abort(struct bc_job *job)
{
	struct bc_member *member = &job->completion.member;
	struct bc_group *group = member->group;
	bool aborted;

	lockdep_assert_held(&job->lock);
	spin_lock(&groups_lock);
	decide(group, BC_GROUP_ABORTED, member);
	aborted = group->decision == BC_GROUP_ABORTED;
	spin_unlock(&groups_lock);
	return aborted;
}

bool bc_group_is_decided(struct bc_job *job)
{
	struct bc_group *group = job->completion.member.group;
	bool decided;

	lockdep_assert_held(&job->lock);
	spin_lock(&groups_lock);
	decided = group->decision != BC_GROUP_PENDING;
	spin_unlock(&groups_lock);
	return decided;
}

void bc_group_leave(struct bc_job *job)
{
	struct bc_member *member = &job->completion.member;

	lockdep_assert_held(&job->lock);
	if (!member->group)
		return;
	spin_lock(&groups_lock);
	list_del(&member->list);
	put(member->group);
	spin_unlock(&groups_lock);
	member->group = NULL;
}

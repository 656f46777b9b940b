// SPDX-License-Identifier: LGPL-2.1-or-later
/* The stream of changes: first what is there, then what differs after each dm event. */
#include "internal.h"

struct change {
	enum blockcopy_change what;
	struct blockcopy_info *info;
};

struct blockcopy_monitor {
	struct blockcopy *bc;
	char *name;		/* the one device to follow, NULL: all */
	struct bcl_wait wait;
	bool first;		/* nothing was looked at yet */
	bool ended;		/* the one job that is followed has ended */

	/* The jobs as they were when looked at last. */
	struct blockcopy_info **known;
	size_t n_known;

	/* Changes found and not given out yet. */
	struct change *queue;
	size_t n_queue, next;
};

/* Copies share nothing, so that the caller's info outlives the monitor. */
static struct blockcopy_info *copy_info(struct blockcopy *bc, const struct bcl_job *j)
{
	struct blockcopy_info *i = NULL;

	return bcl_info_from_job(bc, j, &i) < 0 ? NULL : i;
}

void blockcopy_monitor_free(struct blockcopy_monitor *m)
{
	if (!m)
		return;
	for (size_t i = m->next; i < m->n_queue; i++)
		blockcopy_info_free(m->queue[i].info);
	free(m->queue);
	blockcopy_info_list_free(m->known, m->n_known);
	bcl_wait_done(&m->wait);
	free(m->name);
	free(m);
}

int blockcopy_monitor_new(struct blockcopy *bc, const char *name,
			  struct blockcopy_monitor **ret_monitor)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	struct blockcopy_monitor *m;
	int r;

	bcl_begin(bc);
	if (name) {
		r = bcl_job_find(bc, name, &j);
		if (r < 0)
			return r;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return bcl_oom(bc);
	m->bc = bc;
	m->first = true;
	m->wait.fd = -1;
	m->name = name ? strdup(j.dev.name) : NULL;
	if (name && !m->name)
		r = bcl_oom(bc);
	else
		r = bcl_wait_open(bc, &m->wait);
	if (r < 0) {
		blockcopy_monitor_free(m);
		return r;
	}
	*ret_monitor = m;
	return 0;
}

static int push(struct blockcopy_monitor *m, enum blockcopy_change what,
		struct blockcopy_info *info)
{
	struct change *queue = reallocarray(m->queue, m->n_queue + 1, sizeof(*queue));

	if (!queue) {
		blockcopy_info_free(info);
		return bcl_oom(m->bc);
	}
	m->queue = queue;
	m->queue[m->n_queue++] = (struct change) { what, info };
	return 0;
}

static bool differs(const struct blockcopy_info *a, const struct blockcopy_info *b)
{
	return blockcopy_info_events(a) != blockcopy_info_events(b) ||
	       blockcopy_info_state(a) != blockcopy_info_state(b) ||
	       blockcopy_info_paused(a) != blockcopy_info_paused(b);
}

/* Has the device a new job, that only looks like the one it had? */
static bool restarted(const struct blockcopy_info *old, const struct blockcopy_info *new)
{
	return blockcopy_info_events(new) < blockcopy_info_events(old) ||
	       strcmp(blockcopy_info_destination(new), blockcopy_info_destination(old));
}

/* Read the jobs that are followed. */
static int look(struct blockcopy_monitor *m, struct blockcopy_info ***ret, size_t *ret_n,
		struct bcl_job **ret_jobs)
{
	_cleanup_free_ struct bcl_dm_info *devs = NULL;
	struct blockcopy_info **list = NULL;
	struct bcl_job *jobs = NULL;
	size_t n_devs = 0, n = 0;
	int r;

	r = bcl_dm_list(m->bc, &devs, &n_devs);
	if (r < 0)
		return r;
	list = calloc(n_devs + 1, sizeof(*list));
	jobs = calloc(n_devs + 1, sizeof(*jobs));
	if (!list || !jobs) {
		r = bcl_oom(m->bc);
		goto fail;
	}
	for (size_t i = 0; i < n_devs; i++) {
		if (m->name && strcmp(m->name, devs[i].name))
			continue;
		r = bcl_job_read(m->bc, &devs[i], &jobs[n]);
		if (r == 0 || r == -ENXIO)
			continue;
		if (r < 0)
			goto fail;
		list[n] = copy_info(m->bc, &jobs[n]);
		if (!list[n]) {
			bcl_job_done(&jobs[n]);
			r = -ENOMEM;
			goto fail;
		}
		n++;
	}
	bcl_begin(m->bc);
	*ret = list;
	*ret_n = n;
	*ret_jobs = jobs;
	return 0;

fail:
	for (size_t i = 0; i < n; i++)
		bcl_job_done(&jobs[i]);
	free(jobs);
	blockcopy_info_list_free(list, n);
	return r;
}

static struct blockcopy_info *find(struct blockcopy_info **list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(blockcopy_info_name(list[i]), name))
			return list[i];
	return NULL;
}

/* What to report of a job that is there. Return: true and what, false nothing. */
static bool classify(const struct blockcopy_monitor *m, const struct blockcopy_info *old,
		     const struct blockcopy_info *now, enum blockcopy_change *ret)
{
	if (m->first)
		*ret = BLOCKCOPY_CHANGE_FOUND;
	else if (!old || restarted(old, now))
		*ret = BLOCKCOPY_CHANGE_STARTED;
	else if (differs(old, now))
		*ret = BLOCKCOPY_CHANGE_EVENT;
	else
		return false;
	return true;
}

static int compare(struct blockcopy_monitor *m)
{
	struct blockcopy_info **list = NULL;
	struct bcl_job *jobs = NULL;
	size_t n = 0;
	int r;

	r = look(m, &list, &n, &jobs);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct blockcopy_info *old = find(m->known, m->n_known, jobs[i].dev.name);
		struct blockcopy_info *copy;
		enum blockcopy_change what;

		if (r == 0 && classify(m, old, list[i], &what)) {
			copy = copy_info(m->bc, &jobs[i]);
			r = copy ? push(m, what, copy) : -ENOMEM;
		}
		bcl_job_done(&jobs[i]);
	}
	free(jobs);
	for (size_t i = 0; i < m->n_known; i++) {
		if (r == 0 && !find(list, n, blockcopy_info_name(m->known[i]))) {
			r = push(m, BLOCKCOPY_CHANGE_ENDED, m->known[i]);
			m->ended = m->name != NULL;
		} else {
			blockcopy_info_free(m->known[i]);
		}
	}
	free(m->known);
	m->known = list;
	m->n_known = n;
	m->first = false;
	return r;
}

int blockcopy_monitor_next(struct blockcopy_monitor *m, int64_t timeout_ms,
			   enum blockcopy_change *ret_change, struct blockcopy_info **ret_info)
{
	int64_t end = timeout_ms < 0 ? -1 : bcl_now_ms() + timeout_ms;
	int r;

	bcl_begin(m->bc);
	for (;;) {
		int64_t left;

		if (m->next < m->n_queue) {
			*ret_change = m->queue[m->next].what;
			*ret_info = m->queue[m->next].info;
			m->next++;
			return 0;
		}
		m->next = m->n_queue = 0;
		if (m->ended)
			return -ENODATA;
		r = bcl_wait_arm(m->bc, &m->wait);
		if (r == 0)
			r = compare(m);
		if (r < 0)
			return r;
		if (m->n_queue)
			continue;
		left = end < 0 ? -1 : end - bcl_now_ms();
		if (end >= 0 && left <= 0)
			return bcl_fail(m->bc, BLOCKCOPY_TIMED_OUT, -ETIMEDOUT, "no change");
		r = bcl_wait_event(m->bc, &m->wait, left);
		if (r < 0)
			return r;
	}
}

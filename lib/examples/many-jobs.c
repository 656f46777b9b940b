// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * many-jobs THREADS SOURCE DESTINATION [SOURCE DESTINATION]...
 *
 * An example of libblockcopy, and its test: copies each dm device to its destination, THREADS at a time,
 * and one after another pivots to it, leaves a copy of one instant, or aborts. A handle is for one thread
 * at a time, so each has its own; one more looks at all jobs meanwhile.
 *
 *	cc many-jobs.c $(pkg-config --cflags --libs libblockcopy) -pthread
 */
#include <blockcopy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char **devices;
static int n_jobs;
static atomic_int next_job, failures, looks;
static atomic_bool over;

static struct blockcopy *new_handle(void)
{
	struct blockcopy *bc;

	if (blockcopy_new(&bc) < 0) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	return bc;
}

static int end(struct blockcopy *bc, int job, const char *name)
{
	uint64_t blackout_us;

	switch (job % 3) {
	case 0:
		return blockcopy_pivot(bc, name, 10000, &blackout_us);
	case 1:
		return blockcopy_finish(bc, name, 10000, &blackout_us);
	default:
		return blockcopy_abort(bc, name, false);
	}
}

static int copy(struct blockcopy *bc, int job)
{
	const char *name = devices[2 * job], *destination = devices[2 * job + 1];
	struct blockcopy_options *o = NULL;
	struct blockcopy_info *i = NULL;
	int r;

	if (blockcopy_options_new(&o) < 0)
		return -1;
	blockcopy_options_set_force(o, true);
	r = blockcopy_options_set_copy_mode(o, job % 2 ? "write-blocking" : "auto");
	if (r == 0)
		r = blockcopy_start(bc, name, destination, o);
	blockcopy_options_free(o);
	if (r == 0)
		r = blockcopy_wait(bc, name, 120000, -1, NULL, NULL);
	if (r == 0)
		r = blockcopy_info_get(bc, name, &i);
	if (r < 0)
		return r;
	if (!blockcopy_info_ready(i) || blockcopy_info_offset(i) != blockcopy_info_len(i))
		r = -1;
	blockcopy_info_free(i);
	return r < 0 ? r : end(bc, job, name);
}

static void *copy_some(void *unused)
{
	struct blockcopy *bc = new_handle();
	int job;

	(void)unused;
	while ((job = atomic_fetch_add(&next_job, 1)) < n_jobs) {
		if (copy(bc, job) == 0)
			continue;
		fprintf(stderr, "%s: %s\n", devices[2 * job], blockcopy_error_message(bc));
		atomic_fetch_add(&failures, 1);
	}
	blockcopy_free(bc);
	return NULL;
}

static void *look(void *unused)
{
	struct blockcopy *bc = new_handle();
	struct blockcopy_info **list;
	size_t n;

	(void)unused;
	while (!atomic_load(&over)) {
		if (blockcopy_list(bc, &list, &n) < 0) {
			fprintf(stderr, "list: %s\n", blockcopy_error_message(bc));
			atomic_fetch_add(&failures, 1);
			break;
		}
		blockcopy_info_list_free(list, n);
		atomic_fetch_add(&looks, 1);
	}
	blockcopy_free(bc);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 3 ? atoi(argv[1]) : 0;
	pthread_t looker, *t;

	if (threads < 1 || argc % 2) {
		fputs("usage: many-jobs THREADS SOURCE DESTINATION [SOURCE DESTINATION]...\n", stderr);
		return 2;
	}
	devices = argv + 2;
	n_jobs = (argc - 2) / 2;
	t = calloc(threads, sizeof(*t));
	if (!t || pthread_create(&looker, NULL, look, NULL))
		return 1;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, copy_some, NULL))
			return 1;
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	atomic_store(&over, true);
	pthread_join(looker, NULL);
	free(t);
	printf("%d jobs, %d failures, looked %d times\n", n_jobs, failures, looks);
	return failures ? 1 : 0;
}

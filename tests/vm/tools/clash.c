// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does what none should: several threads write to the same few blocks at once, so that nobody knows which write
 * is the last; with -x, what they write changes while it is being written.
 *
 *	clash [-t THREADS] [-b BLOCKS] [-n WRITES] [-x] DEV FIRST_BYTE LENGTH
 *
 *	-t	4
 *	-b	4	most blocks (of 4 KiB) in one write
 *	-n	1000	writes of each thread
 *
 * There is nothing to verify in it but that two copies of the device are equal afterwards.
 * Exit status: 0, 1 for a request that failed, 3 for anything else.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 4096U

static int fd, changing, over;
static uint64_t first, blocks;
static unsigned int threads = 4, most = 4, count = 1000, errors;
static uint64_t **buffers;

static void *work(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	unsigned int seed = (unsigned int)me + (unsigned int)getpid(), i;
	uint64_t *p = buffers[me];
	size_t k;

	for (i = 0; i < count; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % blocks;
		uint64_t n = 1 + (uint64_t)rand_r(&seed) % most;

		if (n > blocks - at)
			n = blocks - at;
		for (k = 0; k < n * BLOCK / 8; k++)
			__atomic_store_n(p + k, (uint64_t)me << 56 | (uint64_t)i << 24 | k, __ATOMIC_RELAXED);
		if (pwrite(fd, p, n * BLOCK, (off_t)((first + at) * BLOCK)) != (ssize_t)(n * BLOCK))
			__atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *change(void *arg)
{
	uint64_t round = 0;
	size_t k;

	(void)arg;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		round++;
		for (k = 0; k < most * BLOCK / 8; k += 8)
			__atomic_store_n(buffers[round % threads] + k, round, __ATOMIC_RELAXED);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[64], changer;
	uintptr_t i;
	int c;

	while ((c = getopt(argc, argv, "t:b:n:x")) != -1) {
		switch (c) {
		case 't':
			threads = (unsigned int)atoi(optarg);
			break;
		case 'b':
			most = (unsigned int)atoi(optarg);
			break;
		case 'n':
			count = (unsigned int)atoi(optarg);
			break;
		case 'x':
			changing = 1;
			break;
		default:
			return 3;
		}
	}
	if (argc != optind + 3 || !threads || threads > 64 || !most)
		return 3;
	fd = open(argv[optind], O_WRONLY | O_DIRECT);
	if (fd < 0) {
		perror(argv[optind]);
		return 3;
	}
	first = strtoull(argv[optind + 1], NULL, 0) / BLOCK;
	blocks = strtoull(argv[optind + 2], NULL, 0) / BLOCK;
	buffers = calloc(threads, sizeof(*buffers));
	if (!buffers || !blocks)
		return 3;
	for (i = 0; i < threads; i++) {
		buffers[i] = aligned_alloc(BLOCK, (size_t)most * BLOCK);
		if (!buffers[i])
			return 3;
	}
	if (changing && pthread_create(&changer, NULL, change, NULL))
		return 3;
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)i))
			return 3;
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	if (changing)
		pthread_join(changer, NULL);
	if (errors)
		fprintf(stderr, "%u writes failed\n", errors);
	return errors ? 1 : 0;
}

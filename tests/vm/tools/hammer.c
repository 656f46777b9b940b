// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that notices: writes at random places, a write per thread in flight, until SIGTERM (or for some seconds), then
 * reads everything back and compares each block with the last write to it that was acknowledged.
 *
 *	hammer [-t THREADS] [-r READERS] [-s SECONDS] [-b BLOCKS] [-p PAUSE_US] DEV [FIRST_BYTE LENGTH]
 *
 *	-t	4	each has its own part of the range, so the last write to a block is known
 *	-r	0	threads that read a block at a random place each millisecond
 *	-b	16	most blocks (of 4 KiB) in one write
 *	-p	0	between two writes of a thread
 *
 * Says "running" when every thread has written once; at the end "writes N errors N longest_ms N lost_blocks N", and with readers
 * "reads N longest_read_ms N mean_read_us N".
 * Exit status: 0, 1 for a request that failed, 2 for data lost, 3 for anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define BLOCK 4096U

static int fd;
static uint64_t first, blocks;		/* in blocks */
static uint32_t *generation;		/* of each block, 0: never written */
static unsigned int threads = 4, readers, most = 16, pause_us;
static volatile int stop;
static unsigned int started;

struct worker {
	pthread_t thread;
	uint64_t begin, end;
	uint64_t writes, errors, longest_us;	/* or reads */
	uint64_t sum_us;
	unsigned int seed;
};

static void fill(uint64_t *p, uint64_t block, uint32_t gen)
{
	uint64_t x = block * 0x9e3779b97f4a7c15ULL + gen;
	unsigned int i;

	p[0] = block;
	p[1] = gen;
	for (i = 2; i < BLOCK / 8; i++)
		p[i] = x += 0xc2b2ae3d27d4eb4fULL;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *buffer(size_t length)
{
	void *p = aligned_alloc(BLOCK, length);

	if (!p)
		exit(3);
	return p;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char *p = buffer((size_t)most * BLOCK);

	while (!stop || !w->writes) {
		uint64_t at = w->begin + (uint64_t)rand_r(&w->seed) % (w->end - w->begin);
		uint64_t n = 1 + (uint64_t)rand_r(&w->seed) % most, i, t;
		struct iovec v;

		if (n > w->end - at)
			n = w->end - at;
		for (i = 0; i < n; i++)
			fill((uint64_t *)(p + i * BLOCK), at + i, generation[at + i] + 1);
		v = (struct iovec){ p, n * BLOCK };
		t = now_us();
		/* Now and then a durable one. */
		if (pwritev2(fd, &v, 1, (off_t)((first + at) * BLOCK), rand_r(&w->seed) % 32 ? 0 : RWF_DSYNC) !=
		    (ssize_t)(n * BLOCK)) {
			if (!w->errors++)
				fprintf(stderr, "write of %llu blocks at block %llu: %s\n", (unsigned long long)n,
					(unsigned long long)at, strerrorname_np(errno));
		}
		t = now_us() - t;
		if (t > w->longest_us)
			w->longest_us = t;
		for (i = 0; i < n; i++)
			generation[at + i]++;
		if (!w->writes++)
			__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
		if (pause_us)
			usleep(pause_us);
	}
	free(p);
	return NULL;
}

static void *read_on(void *arg)
{
	struct worker *w = arg;
	char *p = buffer(BLOCK);
	uint64_t at, t;

	while (!stop) {
		at = (uint64_t)rand_r(&w->seed) % blocks;
		t = now_us();
		if (pread(fd, p, BLOCK, (off_t)((first + at) * BLOCK)) != BLOCK) {
			if (!w->errors++)
				fprintf(stderr, "read of block %llu: %s\n", (unsigned long long)at, strerrorname_np(errno));
		}
		t = now_us() - t;
		w->sum_us += t;
		if (t > w->longest_us)
			w->longest_us = t;
		w->writes++;
		usleep(1000);
	}
	free(p);
	return NULL;
}

static uint64_t verify(void)
{
	char *p = buffer(BLOCK * 256), want[BLOCK];
	uint64_t at, i, bad = 0;

	for (at = 0; at < blocks; at += 256) {
		uint64_t n = blocks - at < 256 ? blocks - at : 256;

		if (pread(fd, p, n * BLOCK, (off_t)((first + at) * BLOCK)) != (ssize_t)(n * BLOCK)) {
			fprintf(stderr, "read at block %llu: %s\n", (unsigned long long)at, strerrorname_np(errno));
			exit(1);
		}
		for (i = 0; i < n; i++) {
			if (!generation[at + i])
				continue;
			fill((uint64_t *)want, at + i, generation[at + i]);
			if (!memcmp(p + i * BLOCK, want, BLOCK))
				continue;
			if (!bad++)
				fprintf(stderr, "block %llu: wanted generation %u, found %llu of block %llu\n",
					(unsigned long long)(at + i), generation[at + i],
					(unsigned long long)((uint64_t *)(p + i * BLOCK))[1],
					(unsigned long long)((uint64_t *)(p + i * BLOCK))[0]);
		}
	}
	return bad;
}

static void end(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	uint64_t size, writes = 0, errors = 0, longest = 0, bad;
	struct worker reads = { 0 };
	struct timespec nap = { 0, 2000000 };
	struct worker *w;
	unsigned int i;
	int c;

	while ((c = getopt(argc, argv, "t:r:s:b:p:")) != -1) {
		switch (c) {
		case 't':
			threads = (unsigned int)atoi(optarg);
			break;
		case 'r':
			readers = (unsigned int)atoi(optarg);
			break;
		case 's':
			alarm((unsigned int)atoi(optarg));
			break;
		case 'b':
			most = (unsigned int)atoi(optarg);
			break;
		case 'p':
			pause_us = (unsigned int)atoi(optarg);
			break;
		default:
			return 3;
		}
	}
	if (optind >= argc)
		return 3;
	signal(SIGTERM, end);
	signal(SIGALRM, end);
	fd = open(argv[optind], O_RDWR | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size)) {
		perror(argv[optind]);
		return 3;
	}
	blocks = size / BLOCK;
	if (argc > optind + 2) {
		first = strtoull(argv[optind + 1], NULL, 0) / BLOCK;
		blocks = strtoull(argv[optind + 2], NULL, 0) / BLOCK;
	}
	generation = calloc(blocks, sizeof(*generation));
	w = calloc(threads + readers, sizeof(*w));
	if (!generation || !w || !threads || blocks < threads)
		return 3;
	for (i = 0; i < threads; i++) {
		w[i].begin = blocks * i / threads;
		w[i].end = blocks * (i + 1) / threads;
		w[i].seed = i + 1;
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			return 3;
	}
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < threads)
		nanosleep(&nap, NULL);
	for (i = threads; i < threads + readers; i++) {
		w[i].seed = i + 1;
		if (pthread_create(&w[i].thread, NULL, read_on, &w[i]))
			return 3;
	}
	puts("running");
	fflush(stdout);
	for (i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		writes += w[i].writes;
		errors += w[i].errors;
		if (w[i].longest_us > longest)
			longest = w[i].longest_us;
	}
	for (i = threads; i < threads + readers; i++) {
		pthread_join(w[i].thread, NULL);
		errors += w[i].errors;
		reads.writes += w[i].writes;
		reads.sum_us += w[i].sum_us;
		if (w[i].longest_us > reads.longest_us)
			reads.longest_us = w[i].longest_us;
	}
	bad = verify();
	printf("writes %llu errors %llu longest_ms %llu lost_blocks %llu", (unsigned long long)writes,
	       (unsigned long long)errors, (unsigned long long)longest / 1000, (unsigned long long)bad);
	if (reads.writes)
		printf(" reads %llu longest_read_ms %llu mean_read_us %llu", (unsigned long long)reads.writes,
		       (unsigned long long)reads.longest_us / 1000, (unsigned long long)(reads.sum_us / reads.writes));
	putchar('\n');
	return bad ? 2 : errors ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A counter over several devices, as a guest that keeps one thing on all of its disks:
 *
 *	counter write DEV...		value after value, each to the next device when the one before is acknowledged, on
 *					from what is there, until SIGTERM; says "running", and "last VALUE" in the end
 *	counter check [-l LAST] DEV...	are these the devices of one instant? Says the values that are there last
 *
 * Value i of n devices is at device i mod n, in a block of its own, over that of BLOCKS rounds before. So at any instant the
 * devices have all values up to one, as far as they are kept, and none behind that. Before it writes, it reads what must be
 * there: a write that is lost or taken back shows.
 *
 * Exit status: 0, 1 for what is not as it must be or an error, 3 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	4096
#define BLOCKS	64
#define DEVICES	16

static volatile sig_atomic_t over;
static uint64_t *block;
static int fds[DEVICES];
static char **paths;
static int n;

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

static void fail(int d, const char *what, uint64_t found, uint64_t wanted)
{
	printf("%s: %s: found %" PRIu64 ", wanted %" PRIu64 "\n", paths[d], what, found, wanted);
	exit(1);
}

static void die(int d, const char *what)
{
	printf("%s: %s: %s\n", paths[d], what, strerror(errno));
	exit(1);
}

static off_t place(uint64_t value)
{
	return (off_t)(value / n % BLOCKS) * BLOCK;
}

static uint64_t read_at(int d, off_t offset)
{
	if (pread(fds[d], block, BLOCK, offset) != BLOCK)
		die(d, "read");
	return block[0];
}

/* What is to be where this value goes: 0 at first, as the first value is 1. */
static uint64_t before(uint64_t value)
{
	return value > (uint64_t)n * BLOCKS ? value - (uint64_t)n * BLOCKS : 0;
}

/* The last value of a device, which has all before it. */
static uint64_t last_of(int d)
{
	uint64_t last = 0, value;

	for (int i = 0; i < BLOCKS; i++) {
		value = read_at(d, (off_t)i * BLOCK);
		if (value > last)
			last = value;
	}
	value = last;
	for (int i = 0; i < BLOCKS && value; i++, value = value > (uint64_t)n ? value - n : 0)
		if (read_at(d, place(value)) != value)
			fail(d, "not all values before the last one", block[0], value);
	return last;
}

/* Return: the last value of all. */
static uint64_t check(void)
{
	uint64_t last[DEVICES], all = 0;

	for (int d = 0; d < n; d++) {
		last[d] = last_of(d);
		if (last[d] > all)
			all = last[d];
	}
	for (int d = 0; d < n; d++) {
		/* 0: none of the first round. */
		uint64_t wanted = (uint64_t)d > all ? 0 : all - (all + n - d) % n;

		if (last[d] != wanted)
			fail(d, "not of the instant of the others", last[d], wanted);
	}
	return all;
}

static void write_all(void)
{
	uint64_t value = check();
	int first = 1;

	while (!over) {
		int d = ++value % n;

		if (read_at(d, place(value)) != before(value))
			fail(d, "a write is lost", block[0], before(value));
		for (int i = 0; i < BLOCK / 8; i++)
			block[i] = value;
		if (pwrite(fds[d], block, BLOCK, place(value)) != BLOCK)
			die(d, "write");
		if (first)
			puts("running");
		first = 0;
		fflush(stdout);
	}
	printf("last %" PRIu64 "\n", value);
}

int main(int argc, char **argv)
{
	int writes = argc > 1 && !strcmp(argv[1], "write");
	struct sigaction act = { .sa_handler = stop };
	uint64_t last = 0, all;

	if (argc < 3 || (!writes && strcmp(argv[1], "check")))
		goto usage;
	paths = argv + 2;
	if (!writes && !strcmp(paths[0], "-l") && argc > 4) {
		last = strtoull(paths[1], NULL, 10);
		paths += 2;
	}
	n = argc - (paths - argv);
	if (n > DEVICES || posix_memalign((void **)&block, BLOCK, BLOCK))
		goto usage;
	for (int d = 0; d < n; d++) {
		fds[d] = open(paths[d], (writes ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
		if (fds[d] < 0)
			die(d, "open");
	}
	sigaction(SIGTERM, &act, NULL);
	if (writes) {
		write_all();
		return 0;
	}
	all = check();
	printf("%" PRIu64 "\n", all);
	if (last && all != last)
		fail(all % n, "not what was written last", all, last);
	return 0;

usage:
	fputs("usage: see counter.c\n", stderr);
	return 3;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * bc-journal: writes to a disk so that it can be told afterwards, of any copy of the disk, of which instant it is.
 *
 *	bc-journal write [OPTION...] JOURNAL DISK	fill the disk, then write to it until a signal; see usage()
 *	bc-journal stat [--reset] JOURNAL		the writer's counters now
 *	bc-journal rate BYTES/S JOURNAL			another rate from now on; 0 is none
 *	bc-journal verify JOURNAL DISK			the writer has ended: is everything there that it was told is?
 *	bc-journal snapshot [--hold BEGIN END] JOURNAL DISK
 *							is the disk what it was at one instant (in that time, ns)? The writer may go on,
 *							elsewhere
 *	bc-journal forge older|later|foreign|misplaced|torn JOURNAL DISK
 *							make a good snapshot wrong in one sector, whose number is printed
 *	bc-journal noise DISK				overwrite everything
 *
 * Exit status: 0 good, 1 something is lost, wrong or failed, 2 usage, 3 trouble.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"

#define NOISE_SECTORS	2048U

__attribute__((noreturn)) static void usage(void)
{
	fputs("usage: bc-journal write [OPTION...] JOURNAL DISK\n"
	      "         --threads N  --depth N  --min BYTES  --max BYTES  --rate BYTES/S  --reads PERCENT  --hot PERCENT\n"
	      "         --zeroes MS  --discards MS  --sweep  --overlap  --time S  --progress S  --records N\n"
	      "         --start SECTOR  --sectors N\n"
	      "       bc-journal stat [--reset] JOURNAL\n"
	      "       bc-journal rate BYTES/S JOURNAL\n"
	      "       bc-journal verify JOURNAL DISK\n"
	      "       bc-journal snapshot [--hold BEGIN END] JOURNAL DISK\n"
	      "       bc-journal forge older|later|foreign|misplaced|torn JOURNAL DISK\n"
	      "       bc-journal noise DISK\n", stderr);
	exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "bc-journal: need a number from %llu to %llu, not '%s'\n", (unsigned long long)min,
			(unsigned long long)max, text);
		exit(2);
	}
	return n;
}

static int cmd_write(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "depth", required_argument, NULL, 'd' },
		{ "min", required_argument, NULL, 'm' },
		{ "max", required_argument, NULL, 'M' },
		{ "rate", required_argument, NULL, 'r' },
		{ "reads", required_argument, NULL, 'R' },
		{ "hot", required_argument, NULL, 'h' },
		{ "zeroes", required_argument, NULL, 'z' },
		{ "discards", required_argument, NULL, 'D' },
		{ "sweep", no_argument, NULL, 'w' },
		{ "overlap", no_argument, NULL, 'o' },
		{ "time", required_argument, NULL, 's' },
		{ "progress", required_argument, NULL, 'p' },
		{ "records", required_argument, NULL, 'n' },
		{ "start", required_argument, NULL, 'S' },
		{ "sectors", required_argument, NULL, 'L' },
		{ }
	};
	struct writer_options o = {
		.threads = 2, .depth = 16, .min_sectors = 1, .max_sectors = 128, .reads = 20, .hot = 50,
	};
	uint64_t start = 0, sectors = 0, records = 4 << 20, rate = 0, all;
	struct journal j;
	int c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': o.threads = number(optarg, 1, 64); break;
		case 'd': o.depth = number(optarg, 1, 4096); break;
		case 'm': o.min_sectors = number(optarg, SECTOR, 1 << 20) / SECTOR; break;
		case 'M': o.max_sectors = number(optarg, SECTOR, 16 << 20) / SECTOR; break;
		case 'r': rate = number(optarg, 0, 1ULL << 40); break;
		case 'R': o.reads = number(optarg, 0, 99); break;
		case 'h': o.hot = number(optarg, 0, 100); break;
		case 'z': o.zeroes_ms = number(optarg, 0, 60000); break;
		case 'D': o.discards_ms = number(optarg, 0, 60000); break;
		case 'w': o.sweep = true; break;
		case 'o': o.overlap = true; break;
		case 's': o.seconds = number(optarg, 0, 1000000); break;
		case 'p': o.progress = number(optarg, 0, 1000000); break;
		case 'n': records = number(optarg, 1, 1ULL << 32); break;
		case 'S': start = number(optarg, 0, 1ULL << 50); break;
		case 'L': sectors = number(optarg, 1, 1ULL << 50); break;
		default: usage();
		}
	}
	if (argc - optind != 2 || o.min_sectors > o.max_sectors)
		usage();
	if (o.overlap && (o.zeroes_ms || o.discards_ms))
		die("zeroes do not tell which of two overlapping writes came last");

	fd = disk_open(argv[optind + 1], O_RDWR);
	all = disk_sectors(fd, argv[optind + 1]);
	if (!sectors && start < all)
		sectors = all - start;
	sectors -= sectors % o.min_sectors;
	if (start + sectors > all || sectors < 32 * o.max_sectors)
		die("%s is too small", argv[optind + 1]);
	journal_create(&j, argv[optind], start, sectors, records, o.overlap);
	j.header->rate = rate;
	return writer_run(&j, fd, &o);
}

static int cmd_stat(int argc, char **argv)
{
	bool reset = argc > 1 && !strcmp(argv[1], "--reset");
	struct journal j;

	if (argc != 2 + reset)
		usage();
	journal_open(&j, argv[1 + reset]);
	writer_print(j.header, j.header->running ? "running:" : "ended:");
	if (reset) {
		__atomic_store_n(&j.header->max_ns, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&j.header->sweeps, 0, __ATOMIC_RELAXED);
	}
	return j.header->errors || j.header->mismatches;
}

static int cmd_rate(int argc, char **argv)
{
	struct journal j;

	if (argc != 3)
		usage();
	journal_open(&j, argv[2]);
	__atomic_store_n(&j.header->rate, number(argv[1], 0, 1ULL << 40), __ATOMIC_RELAXED);
	return 0;
}

static int cmd_verify(int argc, char **argv)
{
	struct journal j;

	if (argc != 3)
		usage();
	journal_open(&j, argv[1]);
	return check_final(&j, disk_open(argv[2], O_RDONLY));
}

static int cmd_snapshot(int argc, char **argv)
{
	bool hold = argc > 1 && !strcmp(argv[1], "--hold");
	uint64_t begin = 0, end = NEVER;
	struct journal j;

	if (argc != (hold ? 6 : 3))
		usage();
	if (hold) {
		begin = number(argv[2], 0, NEVER);
		end = number(argv[3], 0, NEVER);
		argv += 3;
	}
	journal_open(&j, argv[1]);
	return check_snapshot(&j, disk_open(argv[2], O_RDONLY), begin, end);
}

static int cmd_forge(int argc, char **argv)
{
	struct journal j;

	if (argc != 4)
		usage();
	journal_open(&j, argv[2]);
	return forge(&j, disk_open(argv[3], O_RDWR), argv[1]);
}

static int cmd_noise(int argc, char **argv)
{
	uint64_t *buf = buffer_alloc(NOISE_SECTORS * SECTOR);
	uint64_t at, n, all, i;
	struct random random;
	int fd;

	if (argc != 2)
		usage();
	fd = disk_open(argv[1], O_WRONLY);
	all = disk_sectors(fd, argv[1]);
	random_seed(&random, all);
	for (at = 0; at < all; at += n) {
		n = MIN(NOISE_SECTORS, all - at);
		for (i = 0; i < n * SECTOR / sizeof(*buf); i++)
			buf[i] = random_next(&random);
		disk_write(fd, buf, at, n);
	}
	free(buf);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "write", cmd_write },
		{ "stat", cmd_stat },
		{ "rate", cmd_rate },
		{ "verify", cmd_verify },
		{ "snapshot", cmd_snapshot },
		{ "forge", cmd_forge },
		{ "noise", cmd_noise },
	};
	size_t i;

	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	usage();
}

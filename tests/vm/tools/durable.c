// SPDX-License-Identifier: GPL-2.0-only
/*
 * durable: writes to a disk that is to lose its power, and tells afterwards whether what was flushed is there.
 *
 *	durable fill LOG DISK			every block is written for the first time, and flushed
 *	durable write LOG DISK [SEED]		write until a signal, or until the power goes
 *	durable verify LOG DISK			is every sector what was written last and flushed, or written since?
 *
 * LOG is a file that outlives the guest, with two numbers for each block of 4 KiB: of the last write that was issued, written to it
 * before the write is, and of the last one that is durable, written after the flush or the FUA write that made it so. Each sector
 * says of which write it is. A write that was not flushed may be there, or not, or some of its sectors.
 *
 * Exit status: 0, 1 for a sector that is lost, wrong or could not be read or written, 3 for anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#define BLOCK		4096U
#define SECTOR		512U
#define THREADS		4U
#define MOST		8U	/* blocks in one write */
#define PENDING		64U	/* of a thread, before it flushes */

struct record {
	uint32_t issued;
	uint32_t durable;
};

static int disk, log_fd;
static uint64_t blocks;
static struct record *records;

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static void *buffer(size_t size)
{
	void *p = aligned_alloc(BLOCK, size);

	if (!p)
		die("memory");
	return p;
}

static uint64_t word(uint64_t block, uint32_t gen, unsigned int i)
{
	return (block * 0x9e3779b97f4a7c15ULL + gen) ^ (i * 0xc2b2ae3d27d4eb4fULL);
}

/* A sector names its place and its write, and the rest follows from them. */
static void fill_block(uint64_t *p, uint64_t block, uint32_t gen)
{
	for (unsigned int i = 0; i < BLOCK / 8; i++) {
		switch (i % (SECTOR / 8)) {
		case 0:
			p[i] = block;
			break;
		case 1:
			p[i] = gen;
			break;
		default:
			p[i] = word(block, gen, i);
		}
	}
}

static int bad_sector(const uint64_t *p, uint64_t block, unsigned int sector)
{
	const struct record *r = &records[block];
	unsigned int first = sector * (SECTOR / 8);
	uint64_t gen = p[first + 1];
	const char *what = NULL;

	if (p[first] != block || gen > UINT32_MAX)
		what = "not of this block";
	else if (gen < r->durable)
		what = "lost";
	else if (gen > r->issued)
		what = "of a write that was never made";
	for (unsigned int i = first + 2; !what && i < first + SECTOR / 8; i++)
		if (p[i] != word(block, (uint32_t)gen, i))
			what = "damaged";
	if (!what)
		return 0;
	printf("block %llu sector %u: %s: found write %llu (of block %llu), needed %u to %u\n", (unsigned long long)block, sector,
	       what, (unsigned long long)gen, (unsigned long long)p[first], r->durable, r->issued);
	return 1;
}

static void write_log(uint64_t block, unsigned int n)
{
	ssize_t size = n * sizeof(*records);

	if (pwrite(log_fd, &records[block], size, block * sizeof(*records)) != size)
		die("log");
}

static void durable(uint64_t block, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		records[block + i].durable = records[block + i].issued;
	write_log(block, n);
}

static void *writer(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, seed = records[0].issued * 31 + me + (unsigned int)random();
	uint64_t first = blocks * me / THREADS, mine = blocks * (me + 1) / THREADS - first;
	struct { uint64_t block; unsigned int n; } pending[PENDING];
	unsigned int nr = 0;
	uint64_t *data = buffer(MOST * BLOCK);

	for (;;) {
		unsigned int n = 1 + rand_r(&seed) % MOST, kind = rand_r(&seed) % 8, i;
		/* Half of them in a small part of it. */
		uint64_t range = rand_r(&seed) % 2 ? mine / 16 : mine;
		uint64_t block = first + rand_r(&seed) % (range - MOST);
		struct iovec iov = { data, n * BLOCK };

		for (i = 0; i < n; i++)
			fill_block(data + i * (BLOCK / 8), block + i, ++records[block + i].issued);
		write_log(block, n);
		/* One in eight is FUA, one in eight is followed by a flush. */
		if (pwritev2(disk, &iov, 1, block * BLOCK, kind == 0 ? RWF_DSYNC : 0) != (ssize_t)iov.iov_len) {
			perror("write");
			exit(1);
		}
		if (kind == 0) {
			durable(block, n);
			continue;
		}
		pending[nr].block = block;
		pending[nr++].n = n;
		if (kind != 1 && nr < PENDING)
			continue;
		if (fdatasync(disk) < 0) {
			perror("flush");
			exit(1);
		}
		while (nr) {
			nr--;
			durable(pending[nr].block, pending[nr].n);
		}
	}
	return NULL;
}

static int cmd_write(unsigned int seed)
{
	pthread_t threads[THREADS];

	srandom(seed);
	for (unsigned int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, writer, (void *)(uintptr_t)i))
			die("thread");
	puts("running");
	fflush(stdout);
	pause();
	return 0;
}

static int cmd_fill(void)
{
	uint64_t *data = buffer(BLOCK);

	for (uint64_t block = 0; block < blocks; block++) {
		records[block] = (struct record) { 1, 1 };
		fill_block(data, block, 1);
		if (pwrite(disk, data, BLOCK, block * BLOCK) != BLOCK)
			die("write");
	}
	if (fdatasync(disk) < 0)
		die("flush");
	for (uint64_t block = 0; block < blocks; block += 1024)
		write_log(block, blocks - block < 1024 ? blocks - block : 1024);
	return 0;
}

static int cmd_verify(void)
{
	uint64_t *data = buffer(BLOCK), bad = 0, unflushed = 0;

	for (uint64_t block = 0; block < blocks; block++) {
		if (pread(disk, data, BLOCK, block * BLOCK) != BLOCK)
			die("read");
		for (unsigned int i = 0; i < BLOCK / SECTOR && bad < 20; i++)
			bad += bad_sector(data, block, i);
		unflushed += records[block].issued != records[block].durable;
	}
	printf("%llu bad sectors; %llu of %llu blocks had writes that were not flushed\n", (unsigned long long)bad,
	       (unsigned long long)unflushed, (unsigned long long)blocks);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t size;
	ssize_t bytes;

	if (argc < 4) {
		fputs("usage: durable fill|write|verify LOG DISK [SEED]\n", stderr);
		return 3;
	}
	/* A log that is written at once: the guest's memory is lost with it. */
	log_fd = open(argv[2], O_RDWR | O_CREAT | O_SYNC, 0644);
	disk = open(argv[3], O_RDWR | O_DIRECT);
	if (log_fd < 0 || disk < 0 || ioctl(disk, BLKGETSIZE64, &size) < 0)
		die(log_fd < 0 ? argv[2] : argv[3]);
	blocks = size / BLOCK;
	bytes = blocks * sizeof(*records);
	records = calloc(blocks, sizeof(*records));
	if (!records)
		die("memory");
	if (!strcmp(argv[1], "fill"))
		return cmd_fill();
	if (pread(log_fd, records, bytes, 0) != bytes)
		die("log");
	if (!strcmp(argv[1], "write"))
		return cmd_write(argc > 4 ? (unsigned int)strtoul(argv[4], NULL, 10) : 1);
	return cmd_verify();
}

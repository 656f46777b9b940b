// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"

/* Exit status of everything that is no verdict. */
#define EXIT_TROUBLE	3

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("bc-journal: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(EXIT_TROUBLE);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void map(struct journal *j, const char *path, int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("%s: cannot map: %s", path, strerror(errno));
	j->header = p;
	j->records = (struct record *)((char *)p + JOURNAL_HEADER);
	j->bytes = bytes;
	close(fd);
}

void journal_create(struct journal *j, const char *path, uint64_t start, uint64_t sectors, uint64_t max, bool overlap)
{
	size_t bytes = JOURNAL_HEADER + max * sizeof(struct record);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct random random;

	if (fd < 0 || ftruncate(fd, bytes))
		die("%s: cannot create: %s", path, strerror(errno));
	map(j, path, fd, bytes);
	random_seed(&random, getpid());
	j->header->run = random_next(&random);
	j->header->start = start;
	j->header->sectors = sectors;
	j->header->max = max;
	j->header->overlap = overlap;
	__atomic_store_n(&j->header->magic, JOURNAL_MAGIC, __ATOMIC_RELEASE);
}

void journal_open(struct journal *j, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	if (st.st_size < JOURNAL_HEADER)
		die("%s: no journal", path);
	map(j, path, fd, st.st_size);
	if (__atomic_load_n(&j->header->magic, __ATOMIC_ACQUIRE) != JOURNAL_MAGIC ||
	    j->header->max > (j->bytes - JOURNAL_HEADER) / sizeof(struct record))
		die("%s: no journal", path);
}

int disk_open(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);

	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

uint64_t disk_sectors(int fd, const char *path)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode))
		bytes = st.st_size;
	else if (ioctl(fd, BLKGETSIZE64, &bytes))
		die("%s: no size: %s", path, strerror(errno));
	return bytes / SECTOR;
}

void *buffer_alloc(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, 65536, bytes))
		die("not enough memory for %zu bytes", bytes);
	return p;
}

void disk_read(int fd, void *buf, uint64_t start, uint64_t sectors)
{
	ssize_t n = pread(fd, buf, sectors * SECTOR, start * SECTOR);

	if (n != (ssize_t)(sectors * SECTOR))
		die("read of %llu+%llu: %s", (unsigned long long)start, (unsigned long long)sectors,
		    n < 0 ? strerror(errno) : "short");
}

void disk_write(int fd, const void *buf, uint64_t start, uint64_t sectors)
{
	ssize_t n = pwrite(fd, buf, sectors * SECTOR, start * SECTOR);

	if (n != (ssize_t)(sectors * SECTOR))
		die("write of %llu+%llu: %s", (unsigned long long)start, (unsigned long long)sectors,
		    n < 0 ? strerror(errno) : "short");
}

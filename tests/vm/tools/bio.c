// SPDX-License-Identifier: GPL-2.0-only
/*
 * One request of a kind to a block device, past the page cache:
 *
 *	bio [-d] [-n [-a]] [-p] write DEV OFFSET LENGTH SEED	one write: -d durable (FUA), -n may not wait, -a again and
 *							again where it would have to ("refused"), -p polled
 *	bio [-n] [-p] read DEV OFFSET LENGTH			one read
 *	bio flush DEV
 *	bio discard|secure-erase|zero DEV OFFSET LENGTH	zero: WRITE_ZEROES that keeps blocks allocated
 *	bio punch DEV OFFSET LENGTH				WRITE_ZEROES that may deallocate; no fallback to data
 *	bio fill DEV OFFSET LENGTH SEED			as many writes as it takes
 *	bio verify DEV OFFSET LENGTH SEED			is it what fill or write left there?
 *	bio is-zero DEV OFFSET LENGTH
 *	bio size FD						bytes of the open device, to show that a descriptor still works
 *	bio serve						commands from standard input, the words of one a line; answers a
 *								line "EXIT-STATUS" each. No new program is begun for one.
 *
 * Numbers are bytes and may end in k, m or g. Every 8 bytes of data tell their place and the seed and are never zero.
 *
 * Exit status: 0, 1 with the name of the errno on standard error, 2 for data that is not as expected, 3 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (1U << 20)

static int flags;
static int again;

static void usage(void)
{
	fputs("usage: see bio.c\n", stderr);
	exit(3);
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static uint64_t number(const char *word)
{
	char *end;
	uint64_t n = strtoull(word, &end, 0);

	switch (*end) {
	case 'k':
		n <<= 10;
		break;
	case 'm':
		n <<= 20;
		break;
	case 'g':
		n <<= 30;
		break;
	case '\0':
		return n;
	default:
		usage();
	}
	return n;
}

static uint64_t word_at(uint64_t offset, uint64_t seed)
{
	uint64_t x = (offset + 1) * 0x9e3779b97f4a7c15ULL ^ (seed + 1) * 0xc2b2ae3d27d4eb4fULL;

	x ^= x >> 29;
	return x | 1;
}

static void *buffer(size_t length)
{
	void *p;

	errno = posix_memalign(&p, 4096, length);
	if (errno)
		die("memory");
	return p;
}

static void pattern(uint64_t *p, uint64_t offset, size_t length, uint64_t seed)
{
	size_t i;

	for (i = 0; i < length / 8; i++)
		p[i] = word_at(offset + i * 8, seed);
}

static int open_device(const char *path, int mode)
{
	int fd = open(path, mode | O_CLOEXEC);

	if (fd < 0)
		die("open");
	return fd;
}

static void one_write(int fd, uint64_t offset, size_t length, uint64_t seed)
{
	struct iovec v = { buffer(length), length };
	int refused = 0;
	ssize_t n;

	pattern(v.iov_base, offset, length, seed);
	while ((n = pwritev2(fd, &v, 1, (off_t)offset, flags)) < 0 && errno == EAGAIN && again) {
		if (!refused)
			puts("refused");
		fflush(stdout);
		refused = 1;
	}
	if (n < 0)
		die("write");
	if ((size_t)n != length) {
		errno = EIO;
		die("short write");
	}
	free(v.iov_base);
}

static void *one_read(int fd, uint64_t offset, size_t length)
{
	struct iovec v = { buffer(length), length };
	ssize_t n = preadv2(fd, &v, 1, (off_t)offset, flags);

	if (n < 0)
		die("read");
	if ((size_t)n != length) {
		errno = EIO;
		die("short read");
	}
	return v.iov_base;
}

static void compare(int fd, uint64_t offset, uint64_t length, uint64_t seed, int zero)
{
	while (length) {
		size_t n = length < CHUNK ? length : CHUNK, i;
		uint64_t *p = one_read(fd, offset, n);

		for (i = 0; i < n / 8; i++) {
			uint64_t want = zero ? 0 : word_at(offset + i * 8, seed);

			if (p[i] != want) {
				fprintf(stderr, "at byte %llu: found %016llx, wanted %016llx\n",
					(unsigned long long)(offset + i * 8), (unsigned long long)p[i],
					(unsigned long long)want);
				exit(2);
			}
		}
		free(p);
		offset += n;
		length -= n;
	}
}

static void range_ioctl(int fd, unsigned long request, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = { offset, length };

	if (ioctl(fd, request, range))
		die("ioctl");
}

static int run(int argc, char **argv)
{
	uint64_t offset = 0, length = 0, seed = 0, at;
	const char *op;
	int c, fd;

	optind = 1;
	while ((c = getopt(argc, argv, "adnp")) != -1) {
		switch (c) {
		case 'a':
			again = 1;
			break;
		case 'd':
			flags |= RWF_DSYNC;
			break;
		case 'n':
			flags |= RWF_NOWAIT;
			break;
		case 'p':
			flags |= RWF_HIPRI;
			break;
		default:
			usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 2)
		usage();
	op = argv[0];
	if (argc > 2)
		offset = number(argv[2]);
	if (argc > 3)
		length = number(argv[3]);
	if (argc > 4)
		seed = number(argv[4]);

	if (!strcmp(op, "size")) {
		if (ioctl(atoi(argv[1]), BLKGETSIZE64, &length))
			die("size");
		printf("%llu\n", (unsigned long long)length);
	} else if (!strcmp(op, "flush")) {
		fd = open_device(argv[1], O_RDWR);
		if (fsync(fd))
			die("fsync");
	} else if (argc < 4) {
		usage();
	} else if (!strcmp(op, "write")) {
		one_write(open_device(argv[1], O_RDWR | O_DIRECT), offset, length, seed);
	} else if (!strcmp(op, "read")) {
		free(one_read(open_device(argv[1], O_RDONLY | O_DIRECT), offset, length));
	} else if (!strcmp(op, "discard")) {
		range_ioctl(open_device(argv[1], O_RDWR | O_DIRECT), BLKDISCARD, offset, length);
	} else if (!strcmp(op, "secure-erase")) {
		range_ioctl(open_device(argv[1], O_RDWR | O_DIRECT), BLKSECDISCARD, offset, length);
	} else if (!strcmp(op, "zero")) {
		range_ioctl(open_device(argv[1], O_RDWR | O_DIRECT), BLKZEROOUT, offset, length);
	} else if (!strcmp(op, "punch")) {
		fd = open_device(argv[1], O_RDWR | O_DIRECT);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length))
			die("fallocate");
	} else if (!strcmp(op, "fill")) {
		fd = open_device(argv[1], O_RDWR | O_DIRECT);
		for (at = offset; at < offset + length; at += CHUNK)
			one_write(fd, at, offset + length - at < CHUNK ? offset + length - at : CHUNK, seed);
	} else if (!strcmp(op, "verify")) {
		compare(open_device(argv[1], O_RDONLY | O_DIRECT), offset, length, seed, 0);
	} else if (!strcmp(op, "is-zero")) {
		compare(open_device(argv[1], O_RDONLY | O_DIRECT), offset, length, 0, 1);
	} else {
		usage();
	}
	return 0;
}

/* Each in a process of its own, for it may end in any way. */
static int serve(void)
{
	char *words[16], *line = NULL;
	size_t size = 0;
	int n, status;
	pid_t pid;

	while (getline(&line, &size, stdin) > 0) {
		words[0] = strtok(line, " \n");
		for (n = 0; words[n] && n < 15; n++)
			words[n + 1] = strtok(NULL, " \n");
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid) {
			words[15] = NULL;
			exit(n < 15 ? run(n, words) : 3);
		}
		if (waitpid(pid, &status, 0) < 0)
			die("wait");
		printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		fflush(stdout);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	return run(argc, argv);
}

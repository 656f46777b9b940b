// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of the device-mapper target log-writes, for replaying:
 *
 *	logreplay list LOG			an entry a line: "NUMBER KIND...", KIND of: write flush fua discard mark=TEXT
 *	logreplay serve LOG DISK		a number a line on standard input: apply the entries up to that one, from where the last
 *						line ended (the first one: from the first entry); says "done" after each
 *
 * The format is that of Linux, drivers/md/dm-log-writes.c. The log is read to its end: a device that was zero before.
 * Exit status: 0, or 1 with a message.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC		0x6a736677736872ULL
#define FLUSH		1U
#define FUA		2U
#define DISCARD		4U
#define MARK		8U

struct super {
	uint64_t magic, version, nr_entries;
	uint32_t sectorsize;
} __attribute__((packed));

struct entry {
	uint64_t sector, nr_sectors, flags, data_len;
};

static int log_fd;
static struct super super;
static uint64_t at;		/* byte of the next entry */

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "logreplay: %s\n", what);
	exit(1);
}

static void read_log(void *p, size_t n, uint64_t offset)
{
	if (pread(log_fd, p, n, (off_t)offset) != (ssize_t)n)
		die("the log ends too early");
}

static void open_log(const char *path)
{
	log_fd = open(path, O_RDONLY);
	if (log_fd < 0)
		die("cannot open the log");
	read_log(&super, sizeof(super), 0);
	super.sectorsize = le32toh(super.sectorsize);
	if (le64toh(super.magic) != MAGIC || le64toh(super.version) != 1 || !super.sectorsize)
		die("no log of dm-log-writes");
	at = super.sectorsize;
}

/* The next entry; *data becomes where its data begins. */
static void next(struct entry *e, uint64_t *data)
{
	read_log(e, sizeof(*e), at);
	e->sector = le64toh(e->sector);
	e->nr_sectors = le64toh(e->nr_sectors);
	e->flags = le64toh(e->flags);
	e->data_len = le64toh(e->data_len);
	*data = at + super.sectorsize;
	at = *data;
	/* A discard's data is not there, and a mark's is in the entry's own sector. */
	if (!(e->flags & DISCARD))
		at += e->nr_sectors * super.sectorsize;
}

static void list(void)
{
	struct entry e;
	uint64_t data;

	for (uint64_t i = 0; i < le64toh(super.nr_entries); i++) {
		next(&e, &data);
		printf("%llu%s%s%s%s", (unsigned long long)i, e.flags & FLUSH ? " flush" : "", e.flags & FUA ? " fua" : "",
		       e.flags & DISCARD ? " discard" : "", !(e.flags & (DISCARD | MARK)) && e.nr_sectors ? " write" : "");
		if (e.flags & MARK) {
			char text[4096] = "";

			read_log(text, e.data_len < sizeof(text) ? e.data_len : sizeof(text) - 1, data - super.sectorsize + sizeof(e));
			printf(" mark=%s", text);
		}
		putchar('\n');
	}
}

static void apply(int disk, const struct entry *e, uint64_t data)
{
	size_t n = e->nr_sectors * super.sectorsize;
	char *p;

	if (!n || e->flags & MARK)
		return;
	p = calloc(1, n);
	if (!p)
		die("no memory");
	if (!(e->flags & DISCARD))
		read_log(p, n, data);
	if (pwrite(disk, p, n, (off_t)(e->sector * super.sectorsize)) != (ssize_t)n)
		die("cannot write to the disk");
	free(p);
}

static void serve(const char *path)
{
	unsigned long long wanted;
	uint64_t nr = 0, data;
	struct entry e;
	int disk = open(path, O_WRONLY);

	if (disk < 0)
		die("cannot open the disk");
	while (scanf("%llu", &wanted) == 1) {
		for (; nr <= wanted && nr < le64toh(super.nr_entries); nr++) {
			next(&e, &data);
			apply(disk, &e, data);
		}
		if (fsync(disk) < 0)
			die("cannot write to the disk");
		puts("done");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "list")) {
		open_log(argv[2]);
		list();
	} else if (argc == 4 && !strcmp(argv[1], "serve")) {
		open_log(argv[2]);
		serve(argv[3]);
	} else {
		die("usage: list LOG | serve LOG DISK");
	}
	return 0;
}

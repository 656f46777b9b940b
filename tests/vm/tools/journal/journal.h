/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of bc-journal: a writer that knows what must be on a disk, and a check of what is.
 *
 * Every 512-byte sector that the writer writes is stamped with the number of its write. The journal, a file that the
 * writer maps, has one record of each write: where, when it was issued and when it was acknowledged. So a disk tells of
 * each of its sectors which write it holds, and the journal tells what that means.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		512U
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))

/* A time that did not come yet. */
#define NEVER		UINT64_MAX

#define JOURNAL_MAGIC	0x6c6e6a2d6d646362ULL
#define JOURNAL_HEADER	4096U

enum op {
	OP_WRITE = 1,
	OP_ZERO,		/* afterwards its sectors read as zeroes: write-zeroes or discard */
};

/* Number n of the writes is records[n - 1]. Number 0 is what the disk was filled with in the beginning. */
struct record {
	uint64_t start;		/* sectors of the disk */
	uint32_t sectors;
	uint32_t op;
	uint64_t issued;	/* CLOCK_MONOTONIC, ns; 0: not yet */
	uint64_t acked;		/* 0: not yet, or it failed */
};

/* First page of the file. The counters change while the writer runs. */
struct journal_header {
	uint64_t magic;
	uint64_t run;		/* random; tells the stamps of this journal from others */
	uint64_t start;		/* the part of the disk that is the writer's, sectors */
	uint64_t sectors;
	uint64_t max;		/* records that the file has room for */
	uint64_t overlap;	/* writes in flight may overlap */
	uint64_t nr;		/* records that there are */
	uint64_t running;
	uint64_t writes;	/* acknowledged */
	uint64_t zeroes;	/* acknowledged */
	uint64_t reads;		/* compared */
	uint64_t bytes;		/* written */
	uint64_t errors;	/* requests that failed */
	uint64_t mismatches;	/* sectors read that were not what they must be */
	uint64_t max_ns;	/* slowest write since somebody reset this */
	uint64_t rate;		/* bytes a second that are written at most, 0: as many as go; may be set any time */
	uint64_t sweeps;	/* times that the whole part was read since somebody reset this */
};

struct journal {
	struct journal_header *header;
	struct record *records;
	size_t bytes;
};

/* file.c. All of them exit with a message when something fails. */
void journal_create(struct journal *j, const char *path, uint64_t start, uint64_t sectors, uint64_t max, bool overlap);
void journal_open(struct journal *j, const char *path);

/* Open a block device or a file past the page cache; a file system that cannot do that gets the file as it is. */
int disk_open(const char *path, int flags);
uint64_t disk_sectors(int fd, const char *path);
void *buffer_alloc(size_t bytes);
uint64_t now_ns(void);

/* Read or write everything, or exit. */
void disk_read(int fd, void *buf, uint64_t start, uint64_t sectors);
void disk_write(int fd, const void *buf, uint64_t start, uint64_t sectors);

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* stamp.c */
enum stamp_kind {
	STAMP_GOOD,		/* of this journal, for this sector, whole */
	STAMP_ZERO,		/* nothing but zeroes */
	STAMP_FOREIGN,		/* of another journal */
	STAMP_MISPLACED,	/* for another sector */
	STAMP_BROKEN,		/* anything else: noise, or parts of two writes */
};

extern const char *const stamp_kind_names[];

void stamp_write(void *sector, uint64_t run, uint64_t nr, uint64_t seq);

/* The number of the write that the sector holds goes to @ret_seq; it means something with STAMP_GOOD only. */
enum stamp_kind stamp_read(const void *sector, uint64_t run, uint64_t nr, uint64_t *ret_seq);

/* random.c: xorshift, quick enough for a disk of noise on an emulated processor. */
struct random {
	uint64_t state;
};

void random_seed(struct random *r, uint64_t salt);
uint64_t random_next(struct random *r);

static inline uint64_t random_below(struct random *r, uint64_t n)
{
	return random_next(r) % n;
}

/* writer.c */
struct writer_options {
	unsigned int threads;
	unsigned int depth;
	unsigned int min_sectors;
	unsigned int max_sectors;
	unsigned int reads;		/* per cent of the requests that read and compare */
	unsigned int hot;		/* per cent of the requests that go to the first sixteenth */
	unsigned int zeroes_ms;		/* pause between two write-zeroes; 0: none */
	unsigned int discards_ms;
	unsigned int seconds;		/* 0: until a signal */
	unsigned int progress;		/* seconds between two lines on standard output; 0: none */
	bool sweep;			/* read everything over and over */
	bool overlap;
};

/* Returns the exit status. */
int writer_run(struct journal *j, int fd, const struct writer_options *o);
void writer_print(const struct journal_header *h, const char *what);

/* check.c. All return the exit status: 0, or 1 when the disk is wrong. */
int check_snapshot(struct journal *j, int fd, uint64_t hold_begin, uint64_t hold_end);
int check_final(struct journal *j, int fd);

/* Make a good snapshot wrong in one sector. Prints "SECTOR", so that the caller can repair it. */
int forge(struct journal *j, int fd, const char *how);

#endif /* JOURNAL_H */

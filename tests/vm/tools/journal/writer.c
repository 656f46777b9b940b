// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writer. Requests in flight never overlap (unless told otherwise), so what each sector must hold is known at any
 * time: what was acknowledged last. Some requests read and compare just that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"

#define SWEEP_SECTORS	256U
#define FILL_SECTORS	2048U

/* What a sector must hold, in writer->expected: the number of a write, and these. */
#define EXPECT_ZERO	(1ULL << 63)
#define EXPECT_ANY	(1ULL << 62)	/* a request failed here */
#define EXPECT_FLAGS	(EXPECT_ZERO | EXPECT_ANY)

/* Mismatches to tell in full. */
#define MAX_TOLD	20

struct writer {
	struct journal *j;
	int fd;
	const struct writer_options *o;

	pthread_mutex_t lock;		/* of all that follows */
	pthread_cond_t freed;		/* a range is free again, and somebody waits for one */
	uint64_t *busy;			/* bitmap of the sectors that a request in flight has */
	uint64_t *expected;
	uint64_t wanted, wanted_end;	/* where no new request may begin, as the sweeper waits for it */
	uint64_t rate, rate_base, rate_spent;
	unsigned int told;
};

struct slot {
	struct iocb iocb;
	void *buf;
	uint64_t start;			/* relative to the writer's part */
	unsigned int sectors;
	uint64_t seq;			/* 0: it reads */
	bool in_use;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void count_max(uint64_t *counter, uint64_t n)
{
	uint64_t old = __atomic_load_n(counter, __ATOMIC_RELAXED);

	while (old < n && !__atomic_compare_exchange_n(counter, &old, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/*
 * Ranges in flight
 */

static bool is_busy(const struct writer *w, uint64_t start, uint64_t sectors)
{
	uint64_t i;

	if (start < w->wanted_end && w->wanted < start + sectors)
		return true;
	for (i = start; i < start + sectors; i++)
		if (w->busy[i / 64] >> i % 64 & 1)
			return true;
	return false;
}

static void set_busy(struct writer *w, uint64_t start, uint64_t sectors, bool busy)
{
	uint64_t i;

	if (w->o->overlap)
		return;
	for (i = start; i < start + sectors; i++) {
		if (busy)
			w->busy[i / 64] |= 1ULL << i % 64;
		else
			w->busy[i / 64] &= ~(1ULL << i % 64);
	}
	if (!busy && w->wanted_end)
		pthread_cond_broadcast(&w->freed);
}

/* Small ones as often as large ones; aligned to nothing but the smallest. */
static void pick_range(struct writer *w, struct random *r, uint64_t *ret_start, unsigned int *ret_sectors)
{
	const struct writer_options *o = w->o;
	uint64_t all = w->j->header->sectors, part = all;
	unsigned int most = o->min_sectors, sectors;

	while (most < o->max_sectors && random_below(r, 8))
		most *= 2;
	most = MIN(most, o->max_sectors);
	sectors = 1 + random_below(r, most);
	sectors = MAX(sectors / o->min_sectors, 1U) * o->min_sectors;
	if (random_below(r, 100) < o->hot)
		part = MAX(all / 16, sectors);
	*ret_start = random_below(r, (part - sectors) / o->min_sectors + 1) * o->min_sectors;
	*ret_sectors = sectors;
}

/* Take a free range, under w->lock. */
static bool take_range(struct writer *w, struct random *r, uint64_t *ret_start, unsigned int *ret_sectors)
{
	unsigned int tries;

	for (tries = 0; tries < 32; tries++) {
		pick_range(w, r, ret_start, ret_sectors);
		if (w->o->overlap || !is_busy(w, *ret_start, *ret_sectors)) {
			set_busy(w, *ret_start, *ret_sectors, true);
			return true;
		}
	}
	return false;
}

/* Whether the rate lets @bytes go now, under w->lock. Time that was lost in a stall is not made up for. */
static bool rate_allows(struct writer *w, uint64_t bytes)
{
	uint64_t rate = __atomic_load_n(&w->j->header->rate, __ATOMIC_RELAXED), now = now_ns(), earned;

	if (!rate)
		return true;
	if (rate != w->rate) {
		w->rate = rate;
		w->rate_base = now;
		w->rate_spent = 0;
	}
	earned = (now - w->rate_base) / 1000 * rate / 1000000;
	if (earned > w->rate_spent + rate / 4) {
		w->rate_base = now;
		w->rate_spent = earned = 0;
	}
	if (w->rate_spent > earned)
		return false;
	w->rate_spent += bytes;
	return true;
}

/* The next record, under w->lock; 0 when the journal is full. */
static uint64_t new_record(struct writer *w, enum op op, uint64_t start, unsigned int sectors)
{
	struct journal_header *h = w->j->header;
	struct record *r = &w->j->records[h->nr];

	if (h->nr == h->max)
		return 0;
	r->start = h->start + start;
	r->sectors = sectors;
	r->op = op;
	__atomic_store_n(&h->nr, h->nr + 1, __ATOMIC_RELEASE);
	return h->nr;
}

/* A write ended, under w->lock. */
static void write_ended(struct writer *w, uint64_t seq, uint64_t start, unsigned int sectors, bool good)
{
	struct journal_header *h = w->j->header;
	struct record *r = &w->j->records[seq - 1];
	uint64_t now = now_ns(), i, expect = seq;

	if (!good) {
		count(&h->errors, 1);
		expect |= EXPECT_ANY;
	} else {
		__atomic_store_n(&r->acked, now, __ATOMIC_RELEASE);
		count_max(&h->max_ns, now - r->issued);
		count(r->op == OP_ZERO ? &h->zeroes : &h->writes, 1);
		count(&h->bytes, (uint64_t)sectors * SECTOR);
		if (r->op == OP_ZERO)
			expect |= EXPECT_ZERO;
	}
	for (i = start; i < start + sectors; i++)
		w->expected[i] = expect;
	set_busy(w, start, sectors, false);
}

/*
 * Reads
 */

static void tell_mismatch(struct writer *w, uint64_t start, uint64_t nr, uint64_t expect, enum stamp_kind kind,
			  uint64_t seq)
{
	struct journal *j = w->j;
	uint64_t wanted = expect & ~EXPECT_FLAGS;
	const struct record *r;

	count(&j->header->mismatches, 1);
	if (w->told++ >= MAX_TOLD)
		return;
	printf("MISMATCH at %.6f: sector %llu (read from %llu): wanted %s%llu, found %s", now_ns() / 1e9,
	       (unsigned long long)nr, (unsigned long long)(j->header->start + start),
	       expect & EXPECT_ZERO ? "zeroes of " : "", (unsigned long long)wanted, stamp_kind_names[kind]);
	if (kind != STAMP_ZERO && kind != STAMP_BROKEN)
		printf(" %llu", (unsigned long long)seq);
	if (wanted) {
		r = &j->records[wanted - 1];
		printf("; wanted: %llu+%u issued %.6f acked %.6f", (unsigned long long)r->start, r->sectors,
		       r->issued / 1e9, r->acked / 1e9);
	}
	if (kind == STAMP_GOOD && seq && seq <= j->header->nr) {
		r = &j->records[seq - 1];
		printf("; found: %llu+%u issued %.6f acked %.6f", (unsigned long long)r->start, r->sectors,
		       r->issued / 1e9, r->acked / 1e9);
	}
	printf("\n");
	fflush(stdout);
}

/* Compare what was read, under w->lock; nobody wrote there meanwhile. */
static void compare(struct writer *w, const char *buf, uint64_t start, unsigned int sectors)
{
	struct journal_header *h = w->j->header;
	unsigned int i;

	for (i = 0; i < sectors; i++) {
		uint64_t expect = w->expected[start + i], nr = h->start + start + i, seq;
		enum stamp_kind kind = stamp_read(buf + (size_t)i * SECTOR, h->run, nr, &seq);

		if (expect & EXPECT_ANY)
			continue;
		if (expect & EXPECT_ZERO ? kind == STAMP_ZERO : kind == STAMP_GOOD && seq == expect)
			continue;
		tell_mismatch(w, start, nr, expect, kind, seq);
	}
	count(&h->reads, 1);
}

/* Everything, over and over, so that no stale sector stays unseen for long. */
static void *sweeper(void *arg)
{
	struct writer *w = arg;
	struct journal_header *h = w->j->header;
	char *buf = buffer_alloc(SWEEP_SECTORS * SECTOR);
	uint64_t at = 0;

	while (!stop) {
		unsigned int n = MIN(SWEEP_SECTORS, h->sectors - at);
		ssize_t got;

		pthread_mutex_lock(&w->lock);
		for (;;) {
			/* Not against ourselves. */
			w->wanted_end = 0;
			if (!is_busy(w, at, n))
				break;
			w->wanted = at;
			w->wanted_end = at + n;
			pthread_cond_wait(&w->freed, &w->lock);
		}
		set_busy(w, at, n, true);
		pthread_mutex_unlock(&w->lock);

		got = pread(w->fd, buf, (size_t)n * SECTOR, (h->start + at) * SECTOR);

		pthread_mutex_lock(&w->lock);
		if (got != (ssize_t)n * SECTOR)
			count(&h->errors, 1);
		else
			compare(w, buf, at, n);
		set_busy(w, at, n, false);
		pthread_mutex_unlock(&w->lock);
		at += n;
		if (at == h->sectors) {
			at = 0;
			count(&h->sweeps, 1);
		}
		/* The processor is emulated, maybe, and the guest's requests are what it is for. */
		usleep(500);
	}
	free(buf);
	return NULL;
}

/*
 * Write-zeroes and discards: system calls that wait
 */

static bool zero_range(struct writer *w, uint64_t start, unsigned int sectors, bool discard)
{
	uint64_t range[2] = { (w->j->header->start + start) * SECTOR, (uint64_t)sectors * SECTOR };
	struct stat st;

	if (!fstat(w->fd, &st) && S_ISREG(st.st_mode))
		return !fallocate(w->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, range[0], range[1]);
	return !ioctl(w->fd, discard ? BLKDISCARD : BLKZEROOUT, range);
}

static void zero_loop(struct writer *w, unsigned int pause_ms, bool discard)
{
	struct random random;
	uint64_t start, seq;
	unsigned int sectors;
	bool good;

	random_seed(&random, discard ? 1001 : 1000);
	while (!stop) {
		usleep(random_below(&random, 2000 * pause_ms + 1));
		pthread_mutex_lock(&w->lock);
		if (!take_range(w, &random, &start, &sectors)) {
			pthread_mutex_unlock(&w->lock);
			continue;
		}
		seq = new_record(w, OP_ZERO, start, sectors);
		pthread_mutex_unlock(&w->lock);
		if (!seq)
			return;
		__atomic_store_n(&w->j->records[seq - 1].issued, now_ns(), __ATOMIC_RELEASE);
		good = zero_range(w, start, sectors, discard);
		if (!good)
			printf("ERROR: %s %llu+%u: %s\n", discard ? "discard" : "zero", (unsigned long long)start,
			       sectors, strerror(errno));
		pthread_mutex_lock(&w->lock);
		write_ended(w, seq, start, sectors, good);
		pthread_mutex_unlock(&w->lock);
	}
}

static void *zero_thread(void *arg)
{
	struct writer *w = arg;

	zero_loop(w, w->o->zeroes_ms, false);
	return NULL;
}

static void *discard_thread(void *arg)
{
	struct writer *w = arg;

	zero_loop(w, w->o->discards_ms, true);
	return NULL;
}

/*
 * Reads and writes, many at a time
 */

static void slot_ended(struct writer *w, struct slot *s, int64_t res)
{
	struct journal_header *h = w->j->header;
	bool good = res == (int64_t)s->sectors * SECTOR;

	if (!good)
		printf("ERROR: %s %llu+%u: %s\n", s->seq ? "write" : "read", (unsigned long long)(h->start + s->start),
		       s->sectors, res < 0 ? strerror(-res) : "short");
	pthread_mutex_lock(&w->lock);
	if (s->seq) {
		write_ended(w, s->seq, s->start, s->sectors, good);
	} else {
		if (good)
			compare(w, s->buf, s->start, s->sectors);
		else
			count(&h->errors, 1);
		set_busy(w, s->start, s->sectors, false);
	}
	pthread_mutex_unlock(&w->lock);
	s->in_use = false;
}

/* Choose a request. Return: false if there is none now. */
static bool slot_choose(struct writer *w, struct slot *s, struct random *random)
{
	bool reads = !w->o->overlap && random_below(random, 100) < w->o->reads;
	bool chosen = false;

	pthread_mutex_lock(&w->lock);
	if (rate_allows(w, 0) && take_range(w, random, &s->start, &s->sectors)) {
		rate_allows(w, (uint64_t)s->sectors * SECTOR);
		s->seq = reads ? 0 : new_record(w, OP_WRITE, s->start, s->sectors);
		chosen = reads || s->seq;
		if (!chosen) {
			set_busy(w, s->start, s->sectors, false);
			if (!stop)
				printf("the journal is full\n");
			stop = 1;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return chosen;
}

static void slot_submit(struct writer *w, struct slot *s, aio_context_t aio)
{
	struct journal_header *h = w->j->header;
	struct iocb *iocb = &s->iocb;
	uint64_t nr = h->start + s->start;
	unsigned int i;
	long r;

	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = (uintptr_t)s;
	iocb->aio_fildes = w->fd;
	iocb->aio_lio_opcode = s->seq ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	iocb->aio_buf = (uintptr_t)s->buf;
	iocb->aio_nbytes = (uint64_t)s->sectors * SECTOR;
	iocb->aio_offset = nr * SECTOR;
	s->in_use = true;
	if (s->seq) {
		for (i = 0; i < s->sectors; i++)
			stamp_write((char *)s->buf + (size_t)i * SECTOR, h->run, nr + i, s->seq);
		__atomic_store_n(&w->j->records[s->seq - 1].issued, now_ns(), __ATOMIC_RELEASE);
	}
	r = syscall(SYS_io_submit, aio, 1L, &iocb);
	if (r != 1)
		slot_ended(w, s, r < 0 ? -errno : 0);
}

static unsigned int fill_slots(struct writer *w, struct slot *slots, aio_context_t aio, struct random *random)
{
	unsigned int i, in_use = 0;
	bool more = true;

	for (i = 0; i < w->o->depth; i++) {
		struct slot *s = &slots[i];

		if (!s->in_use) {
			more = more && !stop && slot_choose(w, s, random);
			if (more)
				slot_submit(w, s, aio);
		}
		in_use += s->in_use;
	}
	return in_use;
}

static void *io_thread(void *arg)
{
	static unsigned int threads;
	struct writer *w = arg;
	unsigned int depth = w->o->depth, in_use, i;
	struct slot *slots = calloc(depth, sizeof(*slots));
	struct io_event *events = calloc(depth, sizeof(*events));
	struct random random;
	aio_context_t aio = 0;
	long r;

	if (!slots || !events || syscall(SYS_io_setup, (long)depth, &aio))
		die("cannot set up asynchronous I/O: %s", strerror(errno));
	for (i = 0; i < depth; i++)
		slots[i].buf = buffer_alloc((size_t)w->o->max_sectors * SECTOR);
	random_seed(&random, __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED));

	for (;;) {
		struct timespec timeout = { .tv_nsec = 1000000 };

		in_use = fill_slots(w, slots, aio, &random);
		if (stop && !in_use)
			break;
		if (in_use == depth || stop)
			timeout.tv_nsec = 100000000;
		r = syscall(SYS_io_getevents, aio, 1L, (long)depth, events, &timeout);
		if (r < 0 && errno != EINTR)
			die("io_getevents: %s", strerror(errno));
		while (r > 0) {
			r--;
			slot_ended(w, (struct slot *)(uintptr_t)events[r].data, events[r].res);
		}
	}
	syscall(SYS_io_destroy, aio);
	for (i = 0; i < depth; i++)
		free(slots[i].buf);
	free(events);
	free(slots);
	return NULL;
}

/*
 * The whole
 */

/* Write number 0, so that each sector has a stamp. */
static void fill(struct writer *w)
{
	struct journal_header *h = w->j->header;
	char *buf = buffer_alloc(FILL_SECTORS * SECTOR);
	uint64_t at, n, i;

	for (at = 0; at < h->sectors; at += n) {
		n = MIN(FILL_SECTORS, h->sectors - at);
		for (i = 0; i < n; i++)
			stamp_write(buf + i * SECTOR, h->run, h->start + at + i, 0);
		disk_write(w->fd, buf, h->start + at, n);
	}
	free(buf);
}

void writer_print(const struct journal_header *h, const char *what)
{
	printf("%s records=%llu writes=%llu zeroes=%llu reads=%llu sweeps=%llu mib=%llu errors=%llu mismatches=%llu max_ms=%.1f\n",
	       what, (unsigned long long)h->nr, (unsigned long long)h->writes, (unsigned long long)h->zeroes,
	       (unsigned long long)h->reads, (unsigned long long)h->sweeps, (unsigned long long)h->bytes >> 20,
	       (unsigned long long)h->errors, (unsigned long long)h->mismatches, h->max_ns / 1e6);
	fflush(stdout);
}

static void progress(struct journal_header *h, uint64_t begin)
{
	char what[32];

	snprintf(what, sizeof(what), "at %.1f:", (now_ns() - begin) / 1e9);
	writer_print(h, what);
	/* The slowest of each interval. */
	__atomic_store_n(&h->max_ns, 0, __ATOMIC_RELAXED);
}

static void supervise(struct writer *w)
{
	const struct writer_options *o = w->o;
	uint64_t begin = now_ns(), next = begin + o->progress * 1000000000ULL;

	while (!stop) {
		usleep(50000);
		if (o->progress && now_ns() >= next) {
			progress(w->j->header, begin);
			next += o->progress * 1000000000ULL;
		}
		if (o->seconds && now_ns() - begin >= o->seconds * 1000000000ULL)
			stop = 1;
	}
}

static void start_thread(pthread_t *thread, void *(*fn)(void *), struct writer *w)
{
	int r = pthread_create(thread, NULL, fn, w);

	if (r)
		die("cannot start a thread: %s", strerror(r));
}

int writer_run(struct journal *j, int fd, const struct writer_options *o)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct journal_header *h = j->header;
	struct writer w = {
		.j = j, .fd = fd, .o = o,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.freed = PTHREAD_COND_INITIALIZER,
		.busy = calloc(h->sectors / 64 + 1, sizeof(uint64_t)),
		.expected = calloc(h->sectors, sizeof(uint64_t)),
	};
	pthread_t *threads = calloc(o->threads + 3, sizeof(*threads));
	unsigned int i, nr = 0;

	if (!w.busy || !w.expected || !threads)
		die("not enough memory for %llu sectors", (unsigned long long)h->sectors);
	fill(&w);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	__atomic_store_n(&h->running, 1, __ATOMIC_RELEASE);
	printf("running\n");
	fflush(stdout);

	for (i = 0; i < o->threads; i++)
		start_thread(&threads[nr++], io_thread, &w);
	if (o->sweep && !o->overlap)
		start_thread(&threads[nr++], sweeper, &w);
	if (o->zeroes_ms)
		start_thread(&threads[nr++], zero_thread, &w);
	if (o->discards_ms)
		start_thread(&threads[nr++], discard_thread, &w);
	supervise(&w);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);

	__atomic_store_n(&h->running, 0, __ATOMIC_RELEASE);
	writer_print(h, "end:");
	free(threads);
	free(w.expected);
	free(w.busy);
	return h->errors || h->mismatches || h->nr == h->max;
}

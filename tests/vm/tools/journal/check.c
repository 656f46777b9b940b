// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a disk what it must be? It is read once, which gives the write that each of its sectors holds; then one pass
 * over the journal tells what this says of the time.
 *
 * A disk is the state of one instant T if and only if
 *	no write that is on it was issued after T, and
 *	no write that is not on it, though a later one of its sector, was acknowledged before T.
 * The first gives a lower bound of T, the second an upper one; the disk is good if there is a T between.
 *
 * A sector of zeroes does not tell which of the write-zeroes it holds. Those are looked at afterwards: at T the last
 * write of such a sector can have been one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"

#define READ_SECTORS	2048U
#define MAX_TOLD	10

/* holds[] of a sector that is all zeroes. */
#define HOLDS_ZERO	UINT64_MAX

struct snapshot {
	struct journal *j;
	uint64_t nr;		/* records when the disk had been read */
	uint64_t *holds;	/* of each sector: number of the write */
	uint64_t bad;		/* sectors that hold nothing of ours */

	/* The bounds, and where they come from. */
	uint64_t lower, lower_sector;
	uint64_t upper, upper_sector, upper_seq;
};

static uint64_t issued(const struct record *r)
{
	uint64_t t = __atomic_load_n(&r->issued, __ATOMIC_ACQUIRE);

	return t ?: NEVER;
}

static uint64_t acked(const struct record *r)
{
	uint64_t t = __atomic_load_n(&r->acked, __ATOMIC_ACQUIRE);

	return t ?: NEVER;
}

static const struct record *record_of(const struct snapshot *s, uint64_t seq)
{
	return &s->j->records[seq - 1];
}

static void tell_bad(struct snapshot *s, uint64_t i, enum stamp_kind kind, uint64_t seq)
{
	if (s->bad++ < MAX_TOLD)
		printf("WRONG: sector %llu holds %s (%llu)\n", (unsigned long long)(s->j->header->start + i),
		       stamp_kind_names[kind], (unsigned long long)seq);
}

static void snapshot_read(struct snapshot *s, struct journal *j, int fd)
{
	struct journal_header *h = j->header;
	char *buf = buffer_alloc(READ_SECTORS * SECTOR);
	uint64_t at, n, i;

	memset(s, 0, sizeof(*s));
	s->j = j;
	s->holds = calloc(h->sectors, sizeof(uint64_t));
	if (!s->holds)
		die("not enough memory for %llu sectors", (unsigned long long)h->sectors);
	for (at = 0; at < h->sectors; at += n) {
		n = MIN(READ_SECTORS, h->sectors - at);
		disk_read(fd, buf, h->start + at, n);
		for (i = 0; i < n; i++) {
			uint64_t seq;
			enum stamp_kind kind = stamp_read(buf + i * SECTOR, h->run, h->start + at + i, &seq);

			if (kind == STAMP_ZERO)
				s->holds[at + i] = HOLDS_ZERO;
			else if (kind == STAMP_GOOD)
				s->holds[at + i] = seq;
			else
				tell_bad(s, at + i, kind, seq);
		}
	}
	free(buf);
	/* Not before: the disk may hold writes up to now, if somebody forged it. */
	s->nr = __atomic_load_n(&h->nr, __ATOMIC_ACQUIRE);
	for (i = 0; i < h->sectors; i++)
		if (s->holds[i] != HOLDS_ZERO && s->holds[i] > s->nr)
			tell_bad(s, i, STAMP_GOOD, s->holds[i]);
}

static void raise_lower(struct snapshot *s, uint64_t sector, uint64_t t)
{
	if (t > s->lower) {
		s->lower = t;
		s->lower_sector = sector;
	}
}

static void lower_upper(struct snapshot *s, uint64_t sector, uint64_t seq, uint64_t t)
{
	if (t < s->upper) {
		s->upper = t;
		s->upper_sector = sector;
		s->upper_seq = seq;
	}
}

/* Which sectors have a stamp, and what follows from each. */
static void bounds_of_stamps(struct snapshot *s)
{
	struct journal_header *h = s->j->header;
	uint64_t i, seq;

	s->upper = NEVER;
	for (i = 0; i < h->sectors; i++)
		if (s->holds[i] && s->holds[i] != HOLDS_ZERO)
			raise_lower(s, i, issued(record_of(s, s->holds[i])));

	for (seq = 1; seq <= s->nr; seq++) {
		const struct record *r = record_of(s, seq);
		uint64_t first = r->start - h->start, t = acked(r);

		if (t >= s->upper)
			continue;
		for (i = first; i < first + r->sectors; i++) {
			uint64_t held = s->holds[i];

			if (held == HOLDS_ZERO || held == seq)
				continue;
			/* Only what comes later; of two in flight together either may have come later. */
			if (!held || (h->overlap ? issued(r) > acked(record_of(s, held)) : seq > held))
				lower_upper(s, i, seq, t);
		}
	}
}

/*
 * Sectors of zeroes. Each write-zeroes is on the disk from its issue until the next write is acknowledged; one such
 * time must meet the bounds. Numbers rise with time for each sector, as writes in flight do not overlap.
 */
static void check_zeroes(struct snapshot *s)
{
	struct journal_header *h = s->j->header;
	uint64_t *since = calloc(h->sectors, sizeof(uint64_t));		/* issue of the zeroes that are there, 0: none */
	bool *possible = calloc(h->sectors, sizeof(bool));
	uint64_t i, seq;

	if (!since || !possible)
		die("not enough memory for %llu sectors", (unsigned long long)h->sectors);
	for (seq = 1; seq <= s->nr; seq++) {
		const struct record *r = record_of(s, seq);
		uint64_t first = r->start - h->start, until = acked(r);

		for (i = first; i < first + r->sectors; i++) {
			if (s->holds[i] != HOLDS_ZERO)
				continue;
			if (since[i] && since[i] < s->upper && until > s->lower)
				possible[i] = true;
			since[i] = r->op == OP_ZERO ? issued(r) : 0;
		}
	}
	for (i = 0; i < h->sectors; i++) {
		if (s->holds[i] != HOLDS_ZERO || possible[i] || (since[i] && since[i] < s->upper))
			continue;
		if (s->bad++ < MAX_TOLD)
			printf("WRONG: sector %llu is zero, but was not at that time\n",
			       (unsigned long long)(h->start + i));
	}
	free(possible);
	free(since);
}

static void snapshot_check(struct snapshot *s, struct journal *j, int fd)
{
	snapshot_read(s, j, fd);
	if (s->bad)
		return;
	bounds_of_stamps(s);
	if (!j->header->overlap)
		check_zeroes(s);
}

static void tell_bounds(const struct snapshot *s)
{
	uint64_t held = s->holds[s->lower_sector];

	if (s->lower)
		printf("  sector %llu holds write %llu, issued at %.6f\n",
		       (unsigned long long)(s->j->header->start + s->lower_sector), (unsigned long long)held,
		       s->lower / 1e9);
	if (s->upper == NEVER)
		return;
	held = s->holds[s->upper_sector];
	printf("  sector %llu holds write %llu, issued at %.6f and acknowledged at %.6f, not write %llu, issued at %.6f and acknowledged at %.6f\n",
	       (unsigned long long)(s->j->header->start + s->upper_sector), (unsigned long long)held,
	       held ? record_of(s, held)->issued / 1e9 : 0.0, held ? record_of(s, held)->acked / 1e9 : 0.0,
	       (unsigned long long)s->upper_seq, record_of(s, s->upper_seq)->issued / 1e9, s->upper / 1e9);
}

int check_snapshot(struct journal *j, int fd, uint64_t hold_begin, uint64_t hold_end)
{
	struct snapshot s;
	int status = 1;

	snapshot_check(&s, j, fd);
	if (s.bad) {
		printf("WRONG: %llu bad sectors\n", (unsigned long long)s.bad);
	} else if (s.lower >= s.upper) {
		printf("WRONG: no instant: an earlier write is missing, or a later one is there\n");
		tell_bounds(&s);
	} else if (MAX(s.lower, hold_begin) >= MIN(s.upper, hold_end)) {
		printf("WRONG: the instant is between %.6f and %.6f, writes were held from %.6f to %.6f\n", s.lower / 1e9,
		       s.upper / 1e9, hold_begin / 1e9, hold_end / 1e9);
		tell_bounds(&s);
	} else {
		printf("snapshot: good, of an instant between %.6f and %.6f (%.3f ms), %llu records\n", s.lower / 1e9,
		       s.upper == NEVER ? 0.0 : s.upper / 1e9,
		       s.upper == NEVER ? 0.0 : (s.upper - s.lower) / 1e6, (unsigned long long)s.nr);
		status = 0;
	}
	free(s.holds);
	return status;
}

/* The writer has ended: nothing that was acknowledged may be missing. */
int check_final(struct journal *j, int fd)
{
	struct snapshot s;
	int status = 1;

	if (j->header->running)
		die("the writer is still running, or was killed");
	snapshot_check(&s, j, fd);
	if (s.bad) {
		printf("WRONG: %llu bad sectors\n", (unsigned long long)s.bad);
	} else if (s.upper != NEVER) {
		printf("WRONG: an acknowledged write is missing\n");
		tell_bounds(&s);
	} else {
		printf("verify: good, all of %llu records\n", (unsigned long long)s.nr);
		status = 0;
	}
	free(s.holds);
	return status;
}

/*
 * Forgeries, to see that the checks can fail. They are the near misses: the write that came last before the instant is
 * replaced by the one before it, or the first one after the instant is put in.
 */

static bool forge_older(const struct snapshot *s, uint64_t *ret_sector, uint64_t *ret_seq)
{
	struct journal_header *h = s->j->header;
	uint64_t *before = calloc(h->sectors, sizeof(uint64_t));
	uint64_t i, seq, best = 0;

	if (!before)
		die("not enough memory");
	for (seq = 1; seq <= s->nr; seq++) {
		const struct record *r = record_of(s, seq);

		for (i = r->start - h->start; i < r->start - h->start + r->sectors; i++) {
			if (s->holds[i] == HOLDS_ZERO)
				continue;
			if (seq < s->holds[i] && r->op == OP_WRITE)
				before[i] = seq;
			if (seq == s->holds[i] && acked(r) < s->lower && acked(r) > best) {
				best = acked(r);
				*ret_sector = i;
			}
		}
	}
	if (best)
		*ret_seq = before[*ret_sector];
	free(before);
	return best;
}

static bool forge_later(const struct snapshot *s, uint64_t *ret_sector, uint64_t *ret_seq)
{
	uint64_t seq;

	for (seq = 1; seq <= s->nr; seq++) {
		const struct record *r = record_of(s, seq);

		if (r->op == OP_WRITE && issued(r) > s->upper && issued(r) != NEVER) {
			*ret_sector = r->start - s->j->header->start;
			*ret_seq = seq;
			return true;
		}
	}
	return false;
}

int forge(struct journal *j, int fd, const char *how)
{
	struct journal_header *h = j->header;
	uint64_t sector = 0, seq = 0, run = h->run, nr;
	char *buf = buffer_alloc(SECTOR);
	struct snapshot s;
	bool found = true;

	snapshot_check(&s, j, fd);
	if (s.bad || s.lower >= s.upper)
		die("only a good snapshot can be forged");
	nr = h->start;
	if (!strcmp(how, "older"))
		found = forge_older(&s, &sector, &seq);
	else if (!strcmp(how, "later"))
		found = forge_later(&s, &sector, &seq);
	else if (!strcmp(how, "foreign"))
		run++;
	else if (!strcmp(how, "misplaced"))
		nr++;
	else if (strcmp(how, "torn"))
		die("forge: need older, later, foreign, misplaced or torn");
	if (!found)
		die("forge %s: the journal has no such write", how);
	nr += sector;
	stamp_write(buf, run, nr, seq);
	if (!strcmp(how, "torn"))
		memset(buf + SECTOR / 2, 0, SECTOR / 2);
	disk_write(fd, buf, h->start + sector, 1);
	printf("%llu\n", (unsigned long long)(h->start + sector));
	free(s.holds);
	free(buf);
	return 0;
}

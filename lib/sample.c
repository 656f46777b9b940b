// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Was a leg written to past its job, by a machine that was booted from another disk, or by somebody
 * who used the copy? What the metadata calls the same must be the same then, so some of that is
 * compared: where a file system, a volume or a partition table that is used leaves its mark (the
 * superblock of ext4 counts mounts, that of btrfs generations), and one place at random in each
 * sixty-fourth of the device.
 *
 * What is dirty is copied anyway. What was written elsewhere without any such mark may be missed: this
 * finds out an accident, and is no proof that there was none.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

#include "blk.h"
#include "medium.h"
#include "sample.h"

/* Compared at a time, in one region. */
#define WINDOW		(64 * 1024)
/* From where it begins, with all superblocks that are known at the head of a device. */
#define HEAD		(128 * 1024)
#define STRATA		64
#define PARTITIONS	32

struct sampler {
	struct blockcopy *bc;
	const struct bcl_sampled *what;
	struct bcl_medium metadata;
	int source, destination;
	uint64_t len, region, window;	/* bytes */
	void *buf[2];
	unsigned int compared;
};

static void sampler_done(struct sampler *s)
{
	bcl_medium_done(&s->metadata);
	bcl_closep(&s->source);
	bcl_closep(&s->destination);
	free(s->buf[0]);
	free(s->buf[1]);
}

static int open_leg(struct sampler *s, dev_t dev, int *ret_fd, void **ret_buf)
{
	_cleanup_free_ char *path = bcl_device_path(dev);

	if (!path)
		return bcl_oom(s->bc);
	*ret_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (*ret_fd < 0)
		return bcl_fail(s->bc, BLOCKCOPY_FAILED, -errno, "%s: cannot open it to compare: %s",
				path, strerror(errno));
	if (posix_memalign(ret_buf, BC_FORMAT_BLOCK_SIZE, WINDOW)) {
		*ret_buf = NULL;
		return bcl_oom(s->bc);
	}
	return 0;
}

/* As the medium says now: a job that is live writes there before it writes to a leg (I9). */
static int is_clean(struct sampler *s, uint64_t at)
{
	const struct bc_format_super *super = &s->metadata.slots[s->metadata.slot];
	const struct bc_format_block *block = s->metadata.memory;
	uint64_t region = at / s->region, index = region / BC_FORMAT_BLOCK_BITS;
	uint64_t bit = region % BC_FORMAT_BLOCK_BITS;
	int r = bcl_medium_read(s->bc, &s->metadata, BC_FORMAT_BITMAP_BLOCK + index, 1);

	if (r < 0)
		return r;
	return bc_format_check_block(block, super, index) == BC_FORMAT_GOOD &&
	       !(le64_to_cpu(block->words[bit / 64]) >> bit % 64 & 1);
}

/* Does it say that the legs are the same somewhere? After a pivot they are not, and no bit is kept. */
static bool tells(const struct bc_format_super *super)
{
	uint32_t outcome = le32_to_cpu(super->outcome);

	return outcome == BC_OUTCOME_COPYING || outcome == BC_OUTCOME_FINISHED;
}

/* The window at "@at". Return: 1 the same or not to be compared; -ESTALE they differ; -errno. */
static int same_at(struct sampler *s, uint64_t at)
{
	size_t n;
	int r;

	at -= at % s->window;
	if (at >= s->len)
		return 1;
	n = s->len - at < s->window ? s->len - at : s->window;
	r = is_clean(s, at);
	if (r <= 0)
		return r < 0 ? r : 1;
	/* What cannot be read is the job's affair. */
	if (pread(s->source, s->buf[0], n, at) != (ssize_t)n ||
	    pread(s->destination, s->buf[1], n, at + s->what->destination_offset * 512) !=
		    (ssize_t)n)
		return 1;
	s->compared++;
	if (!memcmp(s->buf[0], s->buf[1], n))
		return 1;
	/* Written by the guest meanwhile? */
	r = is_clean(s, at);
	if (r <= 0)
		return r < 0 ? r : 1;
	return bcl_fail(s->bc, BLOCKCOPY_REFUSED, -ESTALE,
			"%s: found the legs to differ at byte %" PRIu64 ", where it says that nothing "
			"was written; needed devices that nobody has written to past the job (start "
			"without --sync bitmap)", s->metadata.path, at);
}

static int same_heads(struct sampler *s)
{
	_cleanup_free_ char *path = bcl_device_path(s->what->source);
	uint64_t starts[PARTITIONS + 1] = {};
	int n, r = 1;

	if (!path)
		return bcl_oom(s->bc);
	n = bcl_blk_partitions(path, starts + 1, PARTITIONS);
	for (int i = 0; i <= (n > 0 ? n : 0) && r > 0; i++)
		for (uint64_t at = 0; at < HEAD && r > 0; at += s->window)
			r = same_at(s, starts[i] + at);
	/* The second partition table of a GPT, the superblock of an old md. */
	return r > 0 ? same_at(s, s->len - 1) : r;
}

static int same_strata(struct sampler *s)
{
	uint64_t each = s->len / STRATA, random[STRATA];
	int r = 1;

	if (!each)
		return 1;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	for (int i = 0; i < STRATA && r > 0; i++)
		r = same_at(s, i * each + random[i] % each);
	return r;
}

int bcl_sample_check(struct blockcopy *bc, const struct bcl_sampled *what)
{
	_cleanup_(sampler_done) struct sampler s = {
		.bc = bc, .what = what, .metadata.fd = -1, .source = -1, .destination = -1,
	};
	const struct bc_format_super *super;
	int r = bcl_medium_open(bc, what->metadata, O_RDONLY, &s.metadata);

	if (r == 0)
		r = bcl_medium_need_super(bc, &s.metadata);
	if (r < 0)
		return r;
	super = &s.metadata.slots[s.metadata.slot];
	if (!tells(super))
		return 0;
	s.len = le64_to_cpu(super->len) * 512;
	s.region = le32_to_cpu(super->region_sectors) * 512ULL;
	s.window = s.region < WINDOW ? s.region : WINDOW;
	r = open_leg(&s, what->source, &s.source, &s.buf[0]);
	if (r == 0)
		r = open_leg(&s, what->destination, &s.destination, &s.buf[1]);
	if (r == 0)
		r = same_heads(&s);
	if (r > 0)
		r = same_strata(&s);
	if (r > 0)
		bcl_log(bc, BLOCKCOPY_LOG_DETAIL, "%s: compared the legs in %u places",
			what->metadata, s.compared);
	return r < 0 ? r : 0;
}

static bool all_zero(const char *buf, size_t n)
{
	return !*buf && !memcmp(buf, buf + 1, n - 1);
}

int bcl_sample_zero(struct blockcopy *bc, const char *path, uint64_t len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	_cleanup_free_ void *buf = NULL;
	uint64_t random[STRATA] = {}, each = len / STRATA, places[STRATA + 3], at;

	if (fd < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot open it to look for zeroes: %s", path,
				strerror(errno));
	if (posix_memalign(&buf, BC_FORMAT_BLOCK_SIZE, WINDOW)) {
		buf = NULL;
		return bcl_oom(bc);
	}
	(void)!getrandom(random, sizeof(random), 0);
	for (int i = 0; i < STRATA; i++)
		places[i] = i * each + random[i] % (each ?: 1);
	places[STRATA] = 0;
	places[STRATA + 1] = WINDOW;
	places[STRATA + 2] = len - 1;
	for (size_t i = 0; i < ELEMENTSOF(places); i++) {
		ssize_t n;

		at = places[i] - places[i] % WINDOW;
		if (at >= len)
			continue;
		n = pread(fd, buf, len - at < WINDOW ? len - at : WINDOW, at);
		if (n <= 0)
			return bcl_fail(bc, BLOCKCOPY_FAILED, n < 0 ? -errno : -EIO,
					"%s: cannot be read at byte %" PRIu64, path, at);
		if (!all_zero(buf, n))
			return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTEMPTY,
					"%s: found data within 64 KiB of byte %" PRIu64 ", needed zeroes "
					"everywhere (start without --target-is-zero)", path, at);
	}
	return 0;
}

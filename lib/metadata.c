// SPDX-License-Identifier: LGPL-2.1-or-later
/* The metadata device of a job: make it, look at it. See metadata.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "bc-format.h"
#include "blk.h"
#include "format-user.h"
#include "metadata.h"
#include "sysfs.h"

#define BLOCK	BC_FORMAT_BLOCK_SIZE

/* Blocks that are read at a time. */
#define CHUNK	256

/* The device with both slots, and room for blocks; past the page cache, as the kernel writes it. */
struct medium {
	int fd;
	const char *path;
	void *memory;		/* CHUNK blocks */
	struct bc_format_super slots[BC_FORMAT_SUPER_SLOTS];
	int slot;		/* in force, or -1 */
	enum bc_format_verdict verdict;
};

static void medium_done(struct medium *m)
{
	bcl_closep(&m->fd);
	free(m->memory);
}

static int io_failed(struct blockcopy *bc, const struct medium *m, const char *what, int r)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: cannot %s metadata: %s", m->path, what,
			strerror(-r));
}

static int read_blocks(struct blockcopy *bc, const struct medium *m, uint64_t block, size_t n)
{
	ssize_t got = pread(m->fd, m->memory, n * BLOCK, block * BLOCK);

	if (got < 0)
		return io_failed(bc, m, "read", -errno);
	if ((size_t)got != n * BLOCK)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a device that ends at block %" PRIu64 ", needed %zu more "
				"of 4096 bytes", m->path, block + got / BLOCK, n - got / BLOCK);
	return 0;
}

static int medium_open(struct blockcopy *bc, const char *path, int flags, struct medium *m)
{
	int r;

	m->path = path;
	m->fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	if (m->fd < 0)
		return errno == EBUSY ?
			bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				 "%s: found it in use, needed a metadata device of its own", path) :
			io_failed(bc, m, "open", -errno);
	if (posix_memalign(&m->memory, BLOCK, CHUNK * BLOCK)) {
		m->memory = NULL;
		return bcl_oom(bc);
	}
	r = read_blocks(bc, m, 0, BC_FORMAT_SUPER_SLOTS);
	if (r < 0)
		return r;
	memcpy(m->slots, m->memory, sizeof(m->slots));
	m->slot = bc_format_choose(&m->slots[0], &m->slots[1], &m->verdict);
	return 0;
}

static int write_super(struct blockcopy *bc, const struct medium *m, struct bc_format_super *super)
{
	uint64_t slot = le64_to_cpu(super->sequence) % BC_FORMAT_SUPER_SLOTS;

	bc_format_seal_super(super);
	memcpy(m->memory, super, BLOCK);
	if (pwrite(m->fd, m->memory, BLOCK, slot * BLOCK) != BLOCK)
		return io_failed(bc, m, "write", errno ? -errno : -EIO);
	if (fdatasync(m->fd) < 0)
		return io_failed(bc, m, "write", -errno);
	return 0;
}

/* What was before is not to come back when one of them decays. */
static int write_both(struct blockcopy *bc, const struct medium *m, struct bc_format_super *super)
{
	int r = 0;

	for (int i = 0; i < BC_FORMAT_SUPER_SLOTS && r == 0; i++) {
		super->sequence = cpu_to_le64(le64_to_cpu(super->sequence) + 1);
		r = write_super(bc, m, super);
	}
	return r;
}

static int need_super(struct blockcopy *bc, const struct medium *m)
{
	return m->slot >= 0 ? 0 :
		bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
			 "%s: found %s, needed the metadata of a copy job", m->path,
			 bc_format_verdicts[m->verdict]);
}

static void fill_leg(struct bc_format_leg *leg, dev_t dev, uint64_t offset)
{
	uint64_t sectors = 0;

	(void)bcl_sysfs_read_u64(dev, "size", &sectors);
	leg->offset = cpu_to_le64(offset);
	leg->size = cpu_to_le64(sectors);
	bcl_identity_of(dev, leg->identity);
}

static void fill(struct bc_format_super *super, const struct bcl_job_identity *id)
{
	*super = (struct bc_format_super) {};
	super->len = cpu_to_le64(id->len);
	super->region_sectors = cpu_to_le32((uint32_t)id->region_sectors);
	fill_leg(&super->source, id->source, id->source_offset);
	fill_leg(&super->destination, id->destination, 0);
	if (id->below)
		bcl_identity_of(id->below, super->below);
}

static bool is_zero(const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n && !*c)
		c++, n--;
	return !n;
}

/* When the kernel began, of one without sysctl. */
static void get_boot_time(uint8_t ret[16])
{
	FILE *f = fopen("/proc/stat", "re");
	char line[256];
	uint64_t t;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "btime %" SCNu64, &t) == 1)
			memcpy(ret, &t, sizeof(t));
	if (f)
		fclose(f);
}

/* Sixteen bytes that no other boot has; zeroes if there are none. */
static void get_boot_id(uint8_t ret[16])
{
	_cleanup_free_ char *line = NULL;
	size_t n = 0;

	memset(ret, 0, 16);
	if (bcl_read_line("/proc/sys/kernel/random/boot_id", &line) < 0) {
		get_boot_time(ret);
		return;
	}
	for (const char *c = line; *c && n < 16; c++) {
		if (*c == '-')
			continue;
		if (sscanf(c, "%2hhx", &ret[n++]) != 1)
			break;
		c++;
	}
}

static bool of_this_boot(const struct bc_format_super *super)
{
	uint8_t now[16];

	get_boot_id(now);
	return !is_zero(now, sizeof(now)) && !memcmp(super->boot_id, now, sizeof(now));
}

int bcl_metadata_check_device(struct blockcopy *bc, const struct bcl_destination *d,
			      const struct bcl_job_identity *id)
{
	uint64_t needed = bc_format_sectors(id->len, id->region_sectors) * 512;

	if (d->dev == id->source || d->dev == id->destination)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the job's own source or destination, needed another "
				"device for its metadata", d->path);
	if (d->size < needed)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOSPC,
				"%s: found %" PRIu64 " bytes, needed %" PRIu64 " for the metadata "
				"of this job", d->path, d->size, needed);
	return 0;
}

static bool same_leg(const struct bc_format_leg *a, const struct bc_format_leg *b)
{
	return a->offset == b->offset && a->size == b->size && !strcmp(a->identity, b->identity);
}

/* May the superblock in force be overwritten, without force? */
static int check_ended(struct blockcopy *bc, const struct medium *m,
		       const struct bcl_job_identity *id)
{
	const struct bc_format_super *found = &m->slots[m->slot];
	char below[BC_FORMAT_IDENTITY_SIZE] = "";
	struct bc_format_super wanted;

	switch (le32_to_cpu(found->outcome)) {
	case BC_OUTCOME_PIVOTED:
		if (id->below)
			bcl_identity_of(id->below, below);
		if (!strcmp(below, found->destination.identity))
			return 0;
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found a job that has pivoted to \"%s\", needed a device that is "
				"there (start to that destination with --sync bitmap, then recover)",
				m->path, found->destination.identity);
	case BC_OUTCOME_COPYING:
	case BC_OUTCOME_FINISHED:
		fill(&wanted, id);
		if (same_leg(&found->source, &wanted.source) &&
		    same_leg(&found->destination, &wanted.destination))
			return 0;
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found the metadata of a job from \"%s\" to \"%s\", needed that of "
				"this job, or none (--force overwrites)", m->path,
				found->source.identity, found->destination.identity);
	default:
		return 0;
	}
}

/* What is no metadata of ours. */
static int check_empty(struct blockcopy *bc, const struct medium *m)
{
	_cleanup_free_ char *what = NULL;
	int r;

	if (m->verdict == BC_FORMAT_BAD_VERSION)
		return need_super(bc, m);
	r = bcl_blk_signature(m->path, &what);
	if (r < 0)
		return io_failed(bc, m, "probe the device for", r);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found %s, needed an empty metadata device (--force overwrites)",
				m->path, what);
	return 0;
}

/* With that, no block of the bitmap that was written before is this job's. */
static int new_uuid(struct blockcopy *bc, struct bc_format_super *super)
{
	if (getrandom(super->uuid, sizeof(super->uuid), 0) != sizeof(super->uuid))
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "no random numbers for a uuid");
	super->uuid[6] = (super->uuid[6] & 0x0f) | 0x40;
	super->uuid[8] = (super->uuid[8] & 0x3f) | 0x80;
	return 0;
}

int bcl_metadata_format(struct blockcopy *bc, const struct bcl_destination *d,
			const struct bcl_job_identity *id, bool force)
{
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	struct bc_format_super super;
	uint64_t sequence = 0;
	int r;

	r = bcl_metadata_check_device(bc, d, id);
	if (r == 0)
		r = medium_open(bc, d->path, O_RDWR | O_EXCL, &m);
	if (r == 0 && !force)
		r = m.slot >= 0 ? check_ended(bc, &m, id) : check_empty(bc, &m);
	if (r < 0)
		return r;
	if (m.slot >= 0)
		sequence = le64_to_cpu(m.slots[m.slot].sequence);

	fill(&super, id);
	if (*super.below && !strcmp(super.below, super.destination.identity))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ENOTUNIQ,
				"%s: found source and destination both to be \"%s\", needed devices "
				"that can be told apart after a boot", d->path, super.below);
	super.generation = cpu_to_le64(1);
	r = new_uuid(bc, &super);
	if (r < 0)
		return r;
	super.sequence = cpu_to_le64(sequence);
	super.instant = cpu_to_le64((uint64_t)time(NULL));
	return write_both(bc, &m, &super);
}

/* Since the device was set up, without us: what it says in /sys. */
static int check_unwritten(struct blockcopy *bc, dev_t dev)
{
	_cleanup_free_ char *stat = NULL, *path = NULL;
	uint64_t v[17] = {};
	size_t n = 0;

	if (bcl_sysfs_read(dev, "stat", &stat) < 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
				"found nothing in /sys about what was written to the device, needed "
				"that (start without --sync bitmap)");
	for (char *word = stat, *end; n < ELEMENTSOF(v); word = end, n++) {
		v[n] = strtoull(word, &end, 10);
		if (end == word)
			break;
	}
	/* Sectors written, and sectors discarded. */
	if (!v[6] && !v[13])
		return 0;
	path = bcl_device_path(dev);
	return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
			"%s: found %" PRIu64 " sectors written since it was set up, that no job has "
			"tracked; needed none (start without --sync bitmap)", path ? path : "device",
			v[6] + v[13]);
}

int bcl_metadata_check_job(struct blockcopy *bc, const struct bcl_destination *d,
			   const struct bcl_job_identity *id)
{
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	const struct bc_format_super *found;
	struct bc_format_super wanted;
	uint32_t outcome;
	int r;

	r = bcl_metadata_check_device(bc, d, id);
	if (r == 0)
		r = medium_open(bc, d->path, O_RDONLY | O_EXCL, &m);
	if (r == 0)
		r = need_super(bc, &m);
	if (r < 0)
		return r;
	found = &m.slots[m.slot];
	fill(&wanted, id);
	if (found->len != wanted.len || found->region_sectors != wanted.region_sectors)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the metadata of a job of %" PRIu64 " sectors in regions of "
				"%u, needed %" PRIu64 " in regions of %" PRIu64, d->path,
				le64_to_cpu(found->len), le32_to_cpu(found->region_sectors), id->len,
				id->region_sectors);
	if (!same_leg(&found->source, &wanted.source))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the metadata of a job from \"%s\", needed \"%s\" at the "
				"same size and offset", d->path, found->source.identity,
				wanted.source.identity);
	if (!same_leg(&found->destination, &wanted.destination))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the metadata of a job to \"%s\", needed \"%s\" at the "
				"same size and offset", d->path, found->destination.identity,
				wanted.destination.identity);
	if (strcmp(found->below, wanted.below))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the metadata of a job whose source stood on \"%s\", needed "
				"\"%s\"", d->path, found->below, wanted.below);
	outcome = le32_to_cpu(found->outcome);
	if (outcome == BC_OUTCOME_DETACHED)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
				"%s: found a job that has ended, nobody knows what was written since; "
				"needed one to go on from (start without --sync bitmap)", d->path);
	if (found->untracked && !of_this_boot(found))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
				"%s: found that the device was set up without its job in an earlier "
				"boot, nobody knows what was written then; needed one that was tracked "
				"(start without --sync bitmap)", d->path);
	return check_unwritten(bc, id->source);
}

int bcl_metadata_peek(struct blockcopy *bc, const struct bcl_destination *d,
		      struct bc_format_super *ret)
{
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	int r = medium_open(bc, d->path, O_RDONLY, &m);

	if (r < 0)
		return r;
	if (m.slot < 0)
		return is_zero(m.slots, sizeof(m.slots)) ? 0 : need_super(bc, &m);
	*ret = m.slots[m.slot];
	return 1;
}

int bcl_metadata_set_untracked(struct blockcopy *bc, const struct bcl_destination *d, bool again)
{
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	struct bc_format_super super;
	int r = medium_open(bc, d->path, O_RDWR | O_EXCL, &m);

	if (r == 0)
		r = need_super(bc, &m);
	if (r < 0)
		return r;
	super = m.slots[m.slot];
	if (!again && super.untracked && of_this_boot(&super))
		return 0;
	if (super.untracked)
		super.generation = cpu_to_le64(le64_to_cpu(super.generation) + 1);
	super.untracked = cpu_to_le32(1);
	get_boot_id(super.boot_id);
	return write_both(bc, &m, &super);
}

/*
 * Public
 */

static void take_super(struct blockcopy_metadata *md, const struct bc_format_super *s)
{
	const unsigned char *u = s->uuid;

	for (size_t i = 0; i < BCL_SUPER_USED; i++)
		sprintf(md->superblock + 2 * i, "%02x", ((const unsigned char *)s)[i]);
	snprintf(md->uuid, sizeof(md->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	md->outcome = bc_outcome_names[le32_to_cpu(s->outcome)];
	md->generation = le64_to_cpu(s->generation);
	md->sequence = le64_to_cpu(s->sequence);
	md->instant = le64_to_cpu(s->instant);
	md->len = le64_to_cpu(s->len) * 512;
	md->region_size = le32_to_cpu(s->region_sectors) * 512ULL;
	md->source_offset = le64_to_cpu(s->source.offset) * 512;
	md->destination_offset = le64_to_cpu(s->destination.offset) * 512;
	memcpy(md->source, s->source.identity, sizeof(md->source));
	memcpy(md->destination, s->destination.identity, sizeof(md->destination));
	memcpy(md->below, s->below, sizeof(md->below));
}

static uint64_t intent_of(const struct bc_format_block *block, uint64_t regions)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < BC_FORMAT_BLOCK_WORDS && i * 64 < regions; i++) {
		uint64_t word = le64_to_cpu(block->words[i]);

		if (regions - i * 64 < 64)
			word &= (UINT64_C(1) << (regions - i * 64)) - 1;
		n += __builtin_popcountll(word);
	}
	return n;
}

static int take_bitmap(struct blockcopy *bc, const struct medium *m, struct blockcopy_metadata *md)
{
	const struct bc_format_super *super = &m->slots[m->slot];
	uint64_t regions = bc_format_regions(le64_to_cpu(super->len),
					     le32_to_cpu(super->region_sectors));
	uint64_t set = 0, n;

	md->blocks = bc_format_blocks(regions);
	for (uint64_t at = 0; at < md->blocks; at += n) {
		int r;

		n = md->blocks - at < CHUNK ? md->blocks - at : CHUNK;
		r = read_blocks(bc, m, BC_FORMAT_BITMAP_BLOCK + at, n);
		if (r < 0)
			return r;
		for (uint64_t i = 0; i < n; i++) {
			const struct bc_format_block *block =
				(const void *)((char *)m->memory + i * BLOCK);
			uint64_t left = regions - (at + i) * BC_FORMAT_BLOCK_BITS;

			if (left > BC_FORMAT_BLOCK_BITS)
				left = BC_FORMAT_BLOCK_BITS;
			if (bc_format_check_block(block, super, at + i) != BC_FORMAT_GOOD) {
				md->bad_blocks++;
				set += left;
			} else {
				set += intent_of(block, left);
			}
		}
	}
	md->intent_bytes = set * md->region_size < md->len ? set * md->region_size : md->len;
	return 0;
}

int blockcopy_metadata_format(struct blockcopy *bc, const char *device, const char *name,
			      const char *destination, const struct blockcopy_options *options)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {}, to = {};
	_cleanup_(bcl_table_freep) struct bcl_table *live = NULL;
	struct bcl_job_identity id;
	_cleanup_free_ char *source = NULL;
	struct bcl_dm_info dev;
	int r;

	bcl_begin(bc);
	r = bcl_device_find(bc, name, &dev);
	if (r == 0)
		r = bcl_source_check(bc, &dev, &live);
	if (r == 0)
		r = bcl_destination_find(bc, destination, &to);
	if (r == 0)
		r = bcl_destination_find(bc, device, &d);
	if (r < 0)
		return r;
	id = (struct bcl_job_identity) {
		.source = dev.dev,
		.destination = to.dev,
		.len = bcl_table_len(live),
		.region_sectors = options ? options->args.region_sectors :
					    BLOCKCOPY_REGION_SECTORS_DEFAULT,
	};
	if (bcl_table_is_one(live, "linear") &&
	    bcl_linear_parse(live->lines[0].params, &source, &id.source_offset) == 0)
		(void)bcl_parse_devno(source, &id.below);
	return bcl_metadata_format(bc, &d, &id, options && options->force);
}

int blockcopy_metadata_read(struct blockcopy *bc, const char *device,
			    struct blockcopy_metadata **ret)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	_cleanup_free_ struct blockcopy_metadata *md = NULL;
	int r;

	bcl_begin(bc);
	md = calloc(1, sizeof(*md));
	if (!md)
		return bcl_oom(bc);
	r = bcl_destination_find(bc, device, &d);
	if (r == 0)
		r = medium_open(bc, d.path, O_RDONLY, &m);
	if (r == 0)
		r = need_super(bc, &m);
	if (r < 0)
		return r;
	for (int i = 0; i < BC_FORMAT_SUPER_SLOTS; i++)
		md->bad_slots += bc_format_check_super(&m.slots[i]) != BC_FORMAT_GOOD;
	take_super(md, &m.slots[m.slot]);
	r = take_bitmap(bc, &m, md);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(md);
	return 0;
}

static int parse_super(struct blockcopy *bc, const char *text, struct bc_format_super *ret)
{
	unsigned char *to = (unsigned char *)ret;
	enum bc_format_verdict verdict;

	*ret = (struct bc_format_super) {};
	if (strlen(text) != 2 * BCL_SUPER_USED)
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
				"superblock: found %zu characters, needed %d", strlen(text),
				2 * BCL_SUPER_USED);
	for (size_t i = 0; i < BCL_SUPER_USED; i++)
		if (sscanf(text + 2 * i, "%2hhx", &to[i]) != 1)
			return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL,
					"superblock: found no number at character %zu", 2 * i);
	verdict = bc_format_check_super(ret);
	return verdict == BC_FORMAT_GOOD ? 0 :
		bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL, "superblock: found %s, needed a good one",
			 bc_format_verdicts[verdict]);
}

int blockcopy_metadata_restore(struct blockcopy *bc, const char *device, const char *superblock,
			       bool force)
{
	_cleanup_(bcl_destination_done) struct bcl_destination d = {};
	_cleanup_(medium_done) struct medium m = { .fd = -1 };
	struct bc_format_super super;
	struct bcl_job_identity id;
	int r;

	bcl_begin(bc);
	r = parse_super(bc, superblock, &super);
	if (r == 0)
		r = bcl_destination_find(bc, device, &d);
	if (r < 0)
		return r;
	id = (struct bcl_job_identity) {
		.len = le64_to_cpu(super.len),
		.region_sectors = le32_to_cpu(super.region_sectors),
	};
	r = bcl_metadata_check_device(bc, &d, &id);
	if (r == 0)
		r = medium_open(bc, d.path, O_RDWR | O_EXCL, &m);
	if (r < 0)
		return r;
	if (m.slot >= 0 && !force)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found good metadata of a job that is %s, needed none (--force "
				"overwrites)", d.path,
				bc_outcome_names[le32_to_cpu(m.slots[m.slot].outcome)]);
	if (m.slot < 0 && m.verdict == BC_FORMAT_NOT_OURS && !force)
		r = check_empty(bc, &m);
	if (r == 0 && le32_to_cpu(super.outcome) != BC_OUTCOME_PIVOTED && !force)
		r = bcl_fail(bc, BLOCKCOPY_REFUSED, -ESTALE,
			     "superblock: found a job that is %s, which says that the data is on "
			     "\"%s\"; needed one that has pivoted (--force, if that is still so)",
			     bc_outcome_names[le32_to_cpu(super.outcome)], super.below);
	if (r == 0)
		r = new_uuid(bc, &super);
	if (r < 0)
		return r;
	if (m.slot >= 0 && le64_to_cpu(m.slots[m.slot].sequence) > le64_to_cpu(super.sequence))
		super.sequence = m.slots[m.slot].sequence;
	return write_both(bc, &m, &super);
}

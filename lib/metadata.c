// SPDX-License-Identifier: LGPL-2.1-or-later
/* The metadata device of a job: may it be used, and for what. See metadata.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "medium.h"
#include "sysfs.h"

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
static int check_ended(struct blockcopy *bc, const struct bcl_medium *m,
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

int bcl_metadata_format(struct blockcopy *bc, const struct bcl_destination *d,
			const struct bcl_job_identity *id, bool force)
{
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	struct bc_format_super super;
	uint64_t sequence = 0;
	int r;

	r = bcl_metadata_check_device(bc, d, id);
	if (r == 0)
		r = bcl_medium_open(bc, d->path, O_RDWR | O_EXCL, &m);
	if (r == 0 && !force)
		r = m.slot >= 0 ? check_ended(bc, &m, id) : bcl_medium_check_empty(bc, &m);
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
	r = bcl_medium_new_uuid(bc, &super);
	if (r < 0)
		return r;
	super.sequence = cpu_to_le64(sequence);
	super.instant = cpu_to_le64((uint64_t)time(NULL));
	return bcl_medium_write(bc, &m, &super);
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
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	const struct bc_format_super *found;
	struct bc_format_super wanted;
	uint32_t outcome;
	int r;

	r = bcl_metadata_check_device(bc, d, id);
	if (r == 0)
		r = bcl_medium_open(bc, d->path, O_RDONLY | O_EXCL, &m);
	if (r == 0)
		r = bcl_medium_need_super(bc, &m);
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
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	int r = bcl_medium_open(bc, d->path, O_RDONLY, &m);

	if (r < 0)
		return r;
	if (m.slot < 0)
		return is_zero(m.slots, sizeof(m.slots)) ? 0 : bcl_medium_need_super(bc, &m);
	*ret = m.slots[m.slot];
	return 1;
}

int bcl_metadata_set_untracked(struct blockcopy *bc, const struct bcl_destination *d, bool again)
{
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	struct bc_format_super super;
	int r = bcl_medium_open(bc, d->path, O_RDWR | O_EXCL, &m);

	if (r == 0)
		r = bcl_medium_need_super(bc, &m);
	if (r < 0)
		return r;
	super = m.slots[m.slot];
	if (!again && super.untracked && of_this_boot(&super))
		return 0;
	if (super.untracked)
		super.generation = cpu_to_le64(le64_to_cpu(super.generation) + 1);
	super.untracked = cpu_to_le32(1);
	get_boot_id(super.boot_id);
	return bcl_medium_write(bc, &m, &super);
}

int bcl_metadata_set_len(struct blockcopy *bc, const struct bcl_destination *d, dev_t dev, dev_t below,
			 uint64_t offset, uint64_t len)
{
	_cleanup_(bcl_medium_done) struct bcl_medium m = { .fd = -1 };
	struct bc_format_super super, now = {};
	uint32_t outcome, region;
	int r = bcl_medium_open(bc, d->path, O_RDWR | O_EXCL, &m);

	/* Never used. */
	if (r == 0 && m.slot < 0 && is_zero(m.slots, sizeof(m.slots)))
		return 0;
	if (r == 0)
		r = bcl_medium_need_super(bc, &m);
	if (r < 0)
		return r;
	super = m.slots[m.slot];
	outcome = le32_to_cpu(super.outcome);
	/* These do not say how long it is. */
	if (outcome == BC_OUTCOME_NEW || outcome == BC_OUTCOME_DETACHED)
		return 0;
	fill_leg(&now.source, dev, 0);
	fill_leg(&now.destination, below, offset);
	if (strcmp(super.source.identity, now.source.identity))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found the metadata of a job from \"%s\", needed one from \"%s\"",
				d->path, super.source.identity, now.source.identity);
	if (outcome != BC_OUTCOME_PIVOTED || super.destination.offset != now.destination.offset ||
	    strcmp(super.destination.identity, now.destination.identity))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found a job to \"%s\" that is %s, needed one that has pivoted to "
				"\"%s\", or has ended", d->path, super.destination.identity,
				bc_outcome_names[outcome], now.destination.identity);
	super.len = cpu_to_le64(len);
	/* The job is over; but its bitmap is to be one, and to fit. */
	region = le32_to_cpu(super.region_sectors);
	while (region < BLOCKCOPY_REGION_SECTORS_MAX &&
	       (bc_format_regions(len, region) > BC_FORMAT_REGIONS_MAX ||
		bc_format_sectors(len, region) > d->size / 512))
		region *= 2;
	super.region_sectors = cpu_to_le32(region);
	super.source.size = super.len;
	super.destination.size = now.destination.size;
	return bcl_medium_write(bc, &m, &super);
}

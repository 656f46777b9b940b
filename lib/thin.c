// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thin devices: what is mapped, and where two of a pool differ. The tools of thin-provisioning-tools
 * read it from a snapshot of the pool's metadata, which the pool keeps for us meanwhile. It has one at a
 * time. So that one which was left by a process that was killed can be told from somebody else's, there
 * is a file in the directory of locks for as long as we have it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/xmlreader.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "less.h"
#include "spawn.h"

#define NOTE_SUFFIX ".thin"

struct pool {
	struct bcl_dm_info dev;
	char *metadata;		/* path */
	uint64_t block;		/* sectors */
	char *note;
	int lock;
};

#define NO_POOL ((struct pool) { .lock = -1 })

static void pool_done(struct pool *p)
{
	free(p->metadata);
	free(p->note);
	bcl_closep(&p->lock);
}

int bcl_thin_find(struct blockcopy *bc, const struct bcl_table *t, struct bcl_thin *ret)
{
	_cleanup_(bcl_bottom_done) struct bcl_bottom bottom = {};
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	struct bcl_thin thin = {};
	int r = bcl_bottom_find(bc, t, &bottom);

	*ret = thin;
	if (r <= 0 || bottom.dev || strcmp(bottom.type, "thin"))
		return r < 0 ? r : 0;
	if (bcl_words_split(bottom.params, &w) < 0)
		return bcl_oom(bc);
	if (w.n < 2 || bcl_parse_devno(w.word[0], &thin.pool) < 0 ||
	    bcl_parse_u64(w.word[1], &thin.id) < 0)
		return 0;
	thin.offset = bottom.offset;
	thin.len = bcl_table_len(t);
	thin.external = w.n > 2;
	*ret = thin;
	return 0;
}

/* "<metadata> <data> <block sectors> ..." */
static int read_pool(struct blockcopy *bc, dev_t dev, struct pool *p)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	dev_t metadata;
	int r = bcl_dm_info_by_dev(bc, dev, &p->dev);

	if (r == 0)
		r = bcl_fail(bc, BLOCKCOPY_FAILED, -ENXIO, "%u:%u: found no pool of thin devices there",
			     major(dev), minor(dev));
	if (r > 0)
		r = bcl_dm_table(bc, p->dev.name, false, &t);
	if (r < 0)
		return r;
	if (t && bcl_table_is_one(t, "thin-pool") && bcl_words_split(t->lines[0].params, &w) < 0)
		return bcl_oom(bc);
	if (w.n < 3 || bcl_parse_devno(w.word[0], &metadata) < 0 ||
	    bcl_parse_u64(w.word[2], &p->block) < 0 || !p->block)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EINVAL,
				"%s: found a table that is not understood, needed that of a pool of thin devices",
				p->dev.name);
	p->metadata = bcl_device_path(metadata);
	p->note = bcl_asprintf(BCL_LOCK_DIR "/%u:%u" NOTE_SUFFIX, major(dev), minor(dev));
	return p->metadata && p->note ? 0 : bcl_oom(bc);
}

/* "<transaction> <metadata> <data> <root of the snapshot, or -> ..." Return: 1 there is one, 0 none, -errno. */
static int is_held(struct blockcopy *bc, const struct pool *p)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	int r = bcl_dm_status(bc, p->dev.name, &t);

	if (r == 0 && t->n && bcl_words_split(t->lines[0].params, &w) < 0)
		r = bcl_oom(bc);
	if (r < 0)
		return r;
	if (w.n < 4)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s: found the pool \"%s\", needed one that works",
				p->dev.name, t->n ? t->lines[0].params : "");
	return strcmp(w.word[3], "-") != 0;
}

static int release(struct blockcopy *bc, const struct pool *p)
{
	int r = bcl_dm_message(bc, p->dev.name, "release_metadata_snap");

	if (r == 0)
		(void)unlink(p->note);
	return r;
}

/* Take a snapshot of all that is mapped now. */
static int hold(struct blockcopy *bc, struct pool *p)
{
	int fd, r;

	p->lock = bcl_lock(bc, &p->dev);
	if (p->lock < 0)
		return p->lock;
	r = is_held(bc, p);
	if (r > 0 && access(p->note, F_OK) == 0)
		r = release(bc, p);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_WRONG_STATE, -EBUSY,
				"%s: found its metadata snapshot held by somebody else, needed it; if nobody "
				"uses it: `dmsetup message %s 0 release_metadata_snap`",
				p->dev.name, p->dev.name);
	if (r < 0)
		return r;
	fd = open(p->note, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be made: %s", p->note,
				strerror(errno));
	bcl_closep(&fd);
	r = bcl_dm_message(bc, p->dev.name, "reserve_metadata_snap");
	if (r < 0)
		(void)unlink(p->note);
	return r;
}

static int attribute(xmlTextReader *reader, const char *name, uint64_t *ret)
{
	xmlChar *text = xmlTextReaderGetAttribute(reader, (const xmlChar *)name);
	int r = text ? bcl_parse_u64((const char *)text, ret) : -EINVAL;

	xmlFree(text);
	return r;
}

/* An element that is a run of blocks of interest. Return: 1, 0 it is none, -EINVAL. */
static int run_of(xmlTextReader *reader, uint64_t *begin, uint64_t *n)
{
	static const struct {
		const char *name, *begin, *n;
	} runs[] = {
		{ "different", "begin", "length" },
		{ "left_only", "begin", "length" },
		{ "right_only", "begin", "length" },
		{ "range_mapping", "origin_begin", "length" },
		{ "single_mapping", "origin_block", NULL },
	};
	const char *name = (const char *)xmlTextReaderConstName(reader);

	*n = 1;
	for (size_t i = 0; i < ELEMENTSOF(runs); i++)
		if (!strcmp(name, runs[i].name))
			return attribute(reader, runs[i].begin, begin) < 0 ||
			       (runs[i].n && attribute(reader, runs[i].n, n) < 0) ? -EINVAL : 1;
	return 0;
}

/* What the tool says. Return: 0, -ENOMEM, -EINVAL. */
static int read_runs(int fd, const struct pool *p, const struct bcl_thin *thin, struct bcl_ranges *to)
{
	uint64_t unit = p->block * 512, block = 0, begin = 0, n = 0;
	xmlTextReader *reader;
	int r, more = -1;

	reader = xmlReaderForFd(fd, NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR |
						XML_PARSE_NOWARNING);
	r = reader ? 0 : -ENOMEM;
	while (r == 0 && (more = xmlTextReaderRead(reader)) == 1) {
		if (xmlTextReaderNodeType(reader) != XML_READER_TYPE_ELEMENT)
			continue;
		if (!strcmp((const char *)xmlTextReaderConstName(reader), "superblock"))
			r = attribute(reader, "data_block_size", &block);
		if (r == 0)
			r = run_of(reader, &begin, &n);
		if (r > 0)
			r = bcl_ranges_add_part(to, begin * unit, n * unit, thin->offset * 512,
						thin->len * 512);
	}
	xmlFreeTextReader(reader);
	/* All of it was read, and it is about this pool. */
	return r < 0 ? r : more || block != p->block ? -EINVAL : 0;
}

/* Ask the tool about the pool as it is now. "@argv" has room for the device at its end. */
static int ask(struct blockcopy *bc, const struct bcl_thin *thin, const char **argv, struct bcl_ranges *to)
{
	_cleanup_close_ int out = memfd_create("stdout", MFD_CLOEXEC);
	_cleanup_(pool_done) struct pool p = NO_POOL;
	struct bcl_saved_error saved;
	size_t n = 0;
	int r;

	if (out < 0)
		return bcl_oom(bc);
	r = read_pool(bc, thin->pool, &p);
	if (r == 0)
		r = hold(bc, &p);
	if (r < 0)
		return r;
	while (argv[n])
		n++;
	argv[n] = p.metadata;
	r = bcl_run_to(bc, argv, out);
	if (r == 0 && lseek(out, 0, SEEK_SET) == 0) {
		r = read_runs(out, &p, thin, to);
		if (r == -ENOMEM)
			bcl_oom(bc);
		else if (r < 0)
			bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: found what %s says of it not understood",
				 p.metadata, argv[0]);
	}
	bcl_error_save(bc, &saved);
	if (release(bc, &p) < 0)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING, "%s", blockcopy_error_message(bc));
	bcl_error_restore(bc, &saved);
	return r;
}

int bcl_thin_mapped(struct blockcopy *bc, const struct bcl_thin *t, struct bcl_ranges *to)
{
	_cleanup_free_ char *id = bcl_asprintf("%" PRIu64, t->id);
	const char *argv[] = { "thin_dump", "--metadata-snap", "--dev-id", id, NULL, NULL };

	return id ? ask(bc, t, argv, to) : bcl_oom(bc);
}

int bcl_thin_delta(struct blockcopy *bc, const struct bcl_thin *base, const struct bcl_thin *t,
		   struct bcl_ranges *to)
{
	_cleanup_free_ char *one = bcl_asprintf("%" PRIu64, base->id);
	_cleanup_free_ char *two = bcl_asprintf("%" PRIu64, t->id);
	const char *argv[] = { "thin_delta", "--metadata-snap", "--snap1", one, "--snap2", two, NULL, NULL };
	int r = one && two ? ask(bc, t, argv, to) : bcl_oom(bc);

	/* What lies behind its end nobody has told about. */
	if (r == 0 && base->len < t->len &&
	    bcl_ranges_add(to, base->len * 512, (t->len - base->len) * 512) < 0)
		r = bcl_oom(bc);
	return r;
}

static void recover_pool(struct blockcopy *bc, dev_t dev, unsigned int *deeds)
{
	_cleanup_(pool_done) struct pool p = NO_POOL;
	int r = read_pool(bc, dev, &p);

	if (r == 0) {
		p.lock = bcl_lock(bc, &p.dev);
		r = p.lock < 0 ? p.lock : is_held(bc, &p);
	}
	/* Whoever had it has released it just now, or has never had it. */
	if (r == 0)
		(void)unlink(p.note);
	if (r <= 0 || access(p.note, F_OK) < 0 || release(bc, &p) < 0)
		return;
	bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: released the metadata snapshot of a start that was interrupted",
		p.dev.name);
	(*deeds)++;
}

void bcl_thin_recover(struct blockcopy *bc, unsigned int *deeds)
{
	struct bcl_saved_error saved;
	struct dirent *e;
	DIR *dir = opendir(BCL_LOCK_DIR);
	dev_t dev;

	if (!dir)
		return;
	bcl_error_save(bc, &saved);
	while ((e = readdir(dir))) {
		char *end = strstr(e->d_name, NOTE_SUFFIX);

		if (!end || end[strlen(NOTE_SUFFIX)])
			continue;
		*end = '\0';
		if (bcl_parse_devno(e->d_name, &dev) == 0)
			recover_pool(bc, dev, deeds);
	}
	closedir(dir);
	bcl_error_restore(bc, &saved);
}

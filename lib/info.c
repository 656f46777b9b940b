// SPDX-License-Identifier: LGPL-2.1-or-later
/* What users of the library see of a job. */
#include "destination/spec.h"
#include "internal.h"
#include "sysfs.h"

/* Not a word of the kernel's. */
#define DESTINATION_GONE "destination-gone"

struct blockcopy_info {
	char name[BCL_DM_NAME_SIZE];
	char uuid[BCL_DM_UUID_SIZE];
	bool suspended;
	bool way_back;
	uint64_t len;	/* sectors */
	struct bcl_status status;
	bool destination_gone;
	char *source;
	char *destination;
	char *destination_spec;		/* NULL: it is its own name */
	char *below;			/* NULL: no job there; only blockcopy_info_get() and _list() look */
};

static char *leg_path(const char *word)
{
	dev_t dev;

	return bcl_parse_devno(word, &dev) == 0 ? bcl_device_path(dev) : strdup(word);
}

int bcl_info_from_job(struct blockcopy *bc, const struct bcl_job *j,
		      struct blockcopy_info **ret_info)
{
	struct blockcopy_info *i = calloc(1, sizeof(*i));
	dev_t dev;

	if (!i)
		return bcl_oom(bc);
	strcpy(i->name, j->dev.name);
	strcpy(i->uuid, j->dev.uuid);
	i->suspended = j->dev.suspended;
	i->way_back = bcl_is_way_back(j);
	i->len = j->len;
	i->status = j->status;
	i->destination_gone = j->destination_gone;
	i->source = leg_path(j->args.source);
	i->destination = leg_path(j->args.destination);
	if (bcl_parse_devno(j->args.destination, &dev) == 0)
		i->destination_spec = bcl_destination_spec(dev);
	if (!i->source || !i->destination) {
		blockcopy_info_free(i);
		return bcl_oom(bc);
	}
	*ret_info = i;
	return 0;
}

/* A job on what the source of a job stands on. */
static int find_below(struct blockcopy *bc, const struct bcl_job *j, struct blockcopy_info *i)
{
	_cleanup_(bcl_devs_done) struct bcl_devs stack = {};
	dev_t source;

	if (bcl_parse_devno(j->args.source, &source) < 0)
		return 0;
	/* What cannot be read has vanished meanwhile. The nearest come first. */
	if (bcl_devs_add(&stack, source) < 0 || bcl_stack_below(source, &stack) == -ENOMEM)
		return bcl_oom(bc);
	for (size_t k = 0; k < stack.n; k++) {
		_cleanup_(bcl_job_done) struct bcl_job below = {};
		struct bcl_dm_info dev;

		if (bcl_dm_info_by_dev(bc, stack.v[k], &dev) <= 0 || dev.dev != stack.v[k] ||
		    bcl_job_read(bc, &dev, &below) <= 0)
			continue;
		i->below = strdup(dev.name);
		return i->below ? 0 : bcl_oom(bc);
	}
	bcl_begin(bc);
	return 0;
}

static int info_with_below(struct blockcopy *bc, const struct bcl_job *j, struct blockcopy_info **ret_info)
{
	struct blockcopy_info *i = NULL;
	int r = bcl_info_from_job(bc, j, &i);

	if (!i)
		return r;
	r = find_below(bc, j, i);
	if (r < 0)
		blockcopy_info_free(i);
	else
		*ret_info = i;
	return r;
}

int blockcopy_info_get(struct blockcopy *bc, const char *name, struct blockcopy_info **ret_info)
{
	_cleanup_(bcl_job_done) struct bcl_job j = {};
	int r;

	bcl_begin(bc);
	r = bcl_job_find(bc, name, &j);
	return r < 0 ? r : info_with_below(bc, &j, ret_info);
}

void blockcopy_info_free(struct blockcopy_info *i)
{
	if (!i)
		return;
	free(i->source);
	free(i->destination);
	free(i->destination_spec);
	free(i->below);
	free(i);
}

void blockcopy_info_list_free(struct blockcopy_info **list, size_t n)
{
	for (size_t k = 0; k < n; k++)
		blockcopy_info_free(list[k]);
	free(list);
}

int blockcopy_list(struct blockcopy *bc, struct blockcopy_info ***ret_list, size_t *ret_n)
{
	_cleanup_free_ struct bcl_dm_info *devs = NULL;
	struct blockcopy_info **list;
	size_t n_devs, n = 0;
	int r;

	bcl_begin(bc);
	r = bcl_dm_list(bc, &devs, &n_devs);
	if (r < 0)
		return r;
	list = calloc(n_devs + 1, sizeof(*list));
	if (!list)
		return bcl_oom(bc);
	for (size_t k = 0; k < n_devs; k++) {
		_cleanup_(bcl_job_done) struct bcl_job j = {};

		r = bcl_job_read(bc, &devs[k], &j);
		/* Gone since the list was read. */
		if (r == 0 || r == -ENXIO)
			continue;
		if (r > 0)
			r = info_with_below(bc, &j, &list[n]);
		if (r < 0) {
			blockcopy_info_list_free(list, n);
			return r;
		}
		n++;
	}
	bcl_begin(bc);
	*ret_list = list;
	*ret_n = n;
	return 0;
}

static const char *error_word(const struct bcl_status *s, bool destination_gone)
{
	/* What the kernel says then is what followed from it, but for errors of the source. */
	if (destination_gone && strcmp(s->error, BLOCKCOPY_ERROR_SOURCE_READ))
		return DESTINATION_GONE;
	return strcmp(s->error, BLOCKCOPY_ERROR_NONE) ? s->error : NULL;
}

const char *bcl_job_why(const struct bcl_job *j)
{
	const char *word = error_word(&j->status, j->destination_gone);

	if (!j->destination_gone && !strcmp(j->status.io_status, "nospace"))
		return "the destination is full";
	return word ? blockcopy_error_word_explain(word) : "the kernel does not say why";
}

bool bcl_job_paused_by_error(const struct bcl_job *j)
{
	return j->status.paused && strcmp(j->status.io_status, "ok");
}

#define GETTER(type, name, expr)					\
	type blockcopy_info_##name(const struct blockcopy_info *i)	\
	{								\
		return expr;						\
	}

GETTER(const char *, name, i->name)
GETTER(const char *, uuid, i->uuid)
GETTER(enum blockcopy_state, state, i->status.state)
GETTER(const char *, state_word, bcl_state_to_string(i->status.state))
GETTER(bool, ready, i->status.ready)
GETTER(bool, paused, i->status.paused)
GETTER(bool, suspended, i->suspended)
GETTER(bool, actively_synced, i->status.actively_synced)
GETTER(const char *, copy_mode, i->status.copy_mode)
GETTER(bool, mirroring, i->status.mirroring)
GETTER(uint64_t, mirrored_bytes, i->status.mirrored_bytes)
GETTER(unsigned int, write_timeout, i->status.write_timeout)
GETTER(uint64_t, late_writes, i->status.late_writes)
GETTER(uint64_t, timeouts, i->status.timeouts)
GETTER(const char *, on_source_error, *i->status.on_source_error ? i->status.on_source_error : NULL)
GETTER(const char *, on_target_error, *i->status.on_target_error ? i->status.on_target_error : NULL)
GETTER(const char *, metadata, *i->status.metadata ? i->status.metadata : "none")
GETTER(uint64_t, intent_bytes, i->status.intent_bytes)
GETTER(const char *, below, i->below)
GETTER(uint64_t, unread_bytes, i->status.unread_bytes)
GETTER(bool, way_back, i->way_back)
GETTER(uint64_t, source_only_bytes, i->status.source_only_bytes)
GETTER(const char *, verify, *i->status.verify ? i->status.verify : BLOCKCOPY_VERIFY_NONE)
GETTER(uint64_t, verify_total_bytes, i->status.verify_total_bytes)
GETTER(uint64_t, verify_bytes, i->status.verify_bytes)
GETTER(uint64_t, verify_unread_bytes, i->status.verify_unread_bytes)
GETTER(uint64_t, verify_differing_bytes, i->status.verify_differing_bytes)
GETTER(uint64_t, verify_ranges, i->status.verify_ranges)
GETTER(uint64_t, len, i->len * 512)
GETTER(uint64_t, dirty_bytes, i->status.dirty_bytes)
GETTER(uint64_t, inflight_bytes, i->status.inflight_bytes)
GETTER(uint64_t, copied_bytes, i->status.copied_bytes)
GETTER(uint64_t, dirtied_bytes, i->status.dirtied_bytes)
GETTER(uint64_t, zeroed_bytes, i->status.zeroed_bytes)
GETTER(uint64_t, unwritten_bytes, i->status.unwritten_bytes)
GETTER(bool, listing, i->status.listing)
GETTER(uint64_t, region_size, i->status.region_sectors * 512)
GETTER(uint64_t, bandwidth, i->status.bandwidth)
GETTER(uint64_t, buf_size, i->status.buf_size)
GETTER(uint64_t, rate, i->status.rate)
GETTER(const char *, io_status, i->status.io_status)
GETTER(uint64_t, source_errors, i->status.source_errors)
GETTER(uint64_t, target_errors, i->status.target_errors)
GETTER(const char *, error, error_word(&i->status, i->destination_gone))
GETTER(bool, destination_gone, i->destination_gone)
GETTER(uint64_t, blackout_us, i->status.blackout_us)
GETTER(const char *, event,
       strcmp(i->status.event, BLOCKCOPY_EVENT_NONE) ? i->status.event : NULL)
GETTER(uint64_t, events, i->status.events)
GETTER(const char *, source, i->source)
GETTER(const char *, destination, i->destination)
GETTER(const char *, destination_spec, i->destination_spec)

uint64_t blockcopy_info_offset(const struct blockcopy_info *i)
{
	uint64_t synced = i->status.synced, len = i->len;

	/*
	 * People have taken "offset equals len" for done and lost data: not even by an odd kernel.
	 */
	if (!i->status.ready && synced >= len)
		synced = len ? len - 1 : 0;
	return synced * 512;
}

unsigned int blockcopy_info_percent(const struct blockcopy_info *i)
{
	uint64_t len = i->len, offset = blockcopy_info_offset(i) / 512;
	unsigned int percent;

	/* As virsh: what is ready is 100, also while the guest goes on dirtying. */
	if (i->status.ready)
		return 100;
	/* At most 2^55 sectors, so this does not overflow. */
	percent = len ? offset * 100 / len : 0;
	return percent > 99 ? 99 : percent;
}

int64_t blockcopy_info_eta_s(const struct blockcopy_info *i)
{
	const struct bcl_status *s = &i->status;

	if (s->ready)
		return 0;
	if (s->state != BLOCKCOPY_STATE_ID_COPYING || s->paused || !s->rate)
		return -1;
	return s->dirty_bytes / s->rate + (s->dirty_bytes % s->rate != 0);
}

const char *blockcopy_error_word_explain(const char *word)
{
	static const struct {
		const char *word, *text;
	} words[] = {
		{ BLOCKCOPY_ERROR_SOURCE_READ, "the source could not be read" },
		{ BLOCKCOPY_ERROR_TARGET_WRITE, "the destination could not be written" },
		{ BLOCKCOPY_ERROR_TARGET_FLUSH, "the destination could not be flushed" },
		{ BLOCKCOPY_ERROR_GIVEN_UP, "the destination did not answer and was given up" },
		{ DESTINATION_GONE, "the destination is gone" },
		{ BLOCKCOPY_ERROR_BLACKOUT,
		  "what was left to copy did not fit into the time for which writes may be held" },
		{ BLOCKCOPY_ERROR_SUSPENDED, "the device was suspended meanwhile" },
		{ BLOCKCOPY_ERROR_GROUP, "another one of the group could not do it, or did not come" },
		{ BLOCKCOPY_ERROR_SOURCE_ONLY, "a write was acknowledged that the destination lacks" },
	};

	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		if (!strcmp(word, words[i].word))
			return words[i].text;
	return word;
}

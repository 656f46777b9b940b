// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>

#include "blockcopy-abi.h"
#include "status.h"
#include "table.h"

static const char *const state_names[BLOCKCOPY_STATE_ID_MAX] = {
	[BLOCKCOPY_STATE_ID_COPYING]	= BLOCKCOPY_STATE_COPYING,
	[BLOCKCOPY_STATE_ID_READY]	= BLOCKCOPY_STATE_READY,
	[BLOCKCOPY_STATE_ID_COMPLETING]	= BLOCKCOPY_STATE_COMPLETING,
	[BLOCKCOPY_STATE_ID_PIVOTED]	= BLOCKCOPY_STATE_PIVOTED,
	[BLOCKCOPY_STATE_ID_FINISHED]	= BLOCKCOPY_STATE_FINISHED,
	[BLOCKCOPY_STATE_ID_FAILED]	= BLOCKCOPY_STATE_FAILED,
};

const char *bcl_state_to_string(enum blockcopy_state s)
{
	return s >= 0 && s < BLOCKCOPY_STATE_ID_MAX ? state_names[s] : NULL;
}

enum blockcopy_state bcl_state_from_string(const char *word)
{
	for (int i = 0; i < BLOCKCOPY_STATE_ID_MAX; i++)
		if (!strcmp(word, state_names[i]))
			return i;
	return BLOCKCOPY_STATE_ID_INVALID;
}

enum kind { FLAG, NUMBER, WORD };

static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	bool optional;
} keys[] = {
#define KEY(n, k) { #n, k, offsetof(struct bcl_status, n), false }
/* A job of a module older than the key can still be looked at and taken down. */
#define SINCE_0_2(n, k) { #n, k, offsetof(struct bcl_status, n), true }
	KEY(ready, FLAG),
	KEY(paused, FLAG),
	KEY(copy_mode, WORD),
	KEY(actively_synced, FLAG),
	KEY(dirty_bytes, NUMBER),
	KEY(inflight_bytes, NUMBER),
	KEY(copied_bytes, NUMBER),
	KEY(dirtied_bytes, NUMBER),
	KEY(zeroed_bytes, NUMBER),
	KEY(rate, NUMBER),
	KEY(bandwidth, NUMBER),
	KEY(buf_size, NUMBER),
	KEY(io_status, WORD),
	KEY(source_errors, NUMBER),
	KEY(target_errors, NUMBER),
	KEY(error, WORD),
	KEY(blackout_us, NUMBER),
	KEY(held, NUMBER),
	KEY(event, WORD),
	KEY(events, NUMBER),
	SINCE_0_2(mirroring, FLAG),
	SINCE_0_2(mirrored_bytes, NUMBER),
	SINCE_0_2(listing, FLAG),
	SINCE_0_2(unwritten_bytes, NUMBER),
	SINCE_0_2(write_timeout, NUMBER),
	SINCE_0_2(late_writes, NUMBER),
	SINCE_0_2(timeouts, NUMBER),
	SINCE_0_2(on_source_error, WORD),
	SINCE_0_2(on_target_error, WORD),
	SINCE_0_2(metadata, WORD),
	SINCE_0_2(intent_bytes, NUMBER),
	SINCE_0_2(unread_bytes, NUMBER),
	SINCE_0_2(reversals, NUMBER),
	SINCE_0_2(source_only_bytes, NUMBER),
	SINCE_0_2(verify, WORD),
	SINCE_0_2(verify_total_bytes, NUMBER),
	SINCE_0_2(verify_bytes, NUMBER),
	SINCE_0_2(verify_unread_bytes, NUMBER),
	SINCE_0_2(verify_differing_bytes, NUMBER),
	SINCE_0_2(verify_ranges, NUMBER),
#undef KEY
#undef SINCE_0_2
};

_Static_assert(ELEMENTSOF(keys) <= 64, "one bit a key");

static int parse_value(const struct key *k, const char *word, struct bcl_status *s)
{
	void *to = (char *)s + k->offset;
	uint64_t v;

	switch (k->kind) {
	case FLAG:
		if (strcmp(word, "0") && strcmp(word, "1"))
			return -EBADMSG;
		*(bool *)to = *word == '1';
		return 0;
	case NUMBER:
		if (bcl_parse_u64(word, &v))
			return -EBADMSG;
		*(uint64_t *)to = v;
		return 0;
	case WORD:
		if (strlen(word) >= BCL_STATUS_WORD_MAX)
			return -EBADMSG;
		strcpy(to, word);
		return 0;
	}
	return -EBADMSG;
}

static int parse_pairs(char **word, size_t n, struct bcl_status *s)
{
	uint64_t seen = 0;

	for (; n; word += 2, n -= 2)
		for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
			int r;

			if (strcmp(word[0], keys[i].name))
				continue;
			if (seen & (UINT64_C(1) << i))
				return -EBADMSG;
			seen |= UINT64_C(1) << i;
			r = parse_value(&keys[i], word[1], s);
			if (r < 0)
				return r;
			break;
		}
	for (size_t i = 0; i < ELEMENTSOF(keys); i++)
		if (!keys[i].optional && !(seen & (UINT64_C(1) << i)))
			return -EBADMSG;
	return 0;
}

/* "<synced>/<total>" */
static int parse_progress(char *word, struct bcl_status *s)
{
	char *slash = strchr(word, '/');

	if (!slash)
		return -EBADMSG;
	*slash = '\0';
	if (bcl_parse_u64(word, &s->synced) || bcl_parse_u64(slash + 1, &s->total))
		return -EBADMSG;
	return s->synced <= s->total ? 0 : -EBADMSG;
}

enum { HEAD_WORDS = 5 };

int bcl_status_parse(const char *line, struct bcl_status *ret)
{
	_cleanup_(bcl_words_done) struct bcl_words w = {};
	struct bcl_status s = {};
	uint64_t version, pairs;
	int r;

	r = bcl_words_split(line, &w);
	if (r < 0)
		return r;
	if (w.n < 1 || bcl_parse_u64(w.word[0], &version))
		return -EBADMSG;
	if (version != BLOCKCOPY_STATUS_VERSION)
		return -EPROTONOSUPPORT;
	if (w.n < HEAD_WORDS)
		return -EBADMSG;

	s.state = bcl_state_from_string(w.word[1]);
	if (s.state == BLOCKCOPY_STATE_ID_INVALID)
		return -EBADMSG;
	r = parse_progress(w.word[2], &s);
	if (r < 0)
		return r;
	if (bcl_parse_u64(w.word[3], &s.region_sectors) ||
	    !bcl_region_sectors_valid(s.region_sectors))
		return -EBADMSG;
	if (bcl_parse_u64(w.word[4], &pairs))
		return -EBADMSG;
	if ((w.n - HEAD_WORDS) % 2 || pairs != (w.n - HEAD_WORDS) / 2)
		return -EBADMSG;
	r = parse_pairs(w.word + HEAD_WORDS, w.n - HEAD_WORDS, &s);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

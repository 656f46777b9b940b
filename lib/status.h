/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status line of a blockcopy target as data, see kmod/blockcopy-abi.h. Pure: no I/O, no handle.
 */
#ifndef BCL_STATUS_H
#define BCL_STATUS_H

#include "blockcopy.h"
#include "util.h"

#define BCL_STATUS_WORD_MAX 64

struct bcl_status {
	enum blockcopy_state state;
	uint64_t synced;		/* sectors */
	uint64_t total;			/* sectors */
	uint64_t region_sectors;

	bool ready;
	bool paused;
	bool actively_synced;
	bool mirroring;
	bool listing;
	uint64_t dirty_bytes;
	uint64_t inflight_bytes;
	uint64_t copied_bytes;
	uint64_t dirtied_bytes;
	uint64_t zeroed_bytes;
	uint64_t unwritten_bytes;
	uint64_t rate;
	uint64_t bandwidth;
	uint64_t buf_size;
	uint64_t source_errors;
	uint64_t target_errors;
	uint64_t blackout_us;
	uint64_t held;
	uint64_t events;
	uint64_t mirrored_bytes;
	uint64_t write_timeout;		/* ms; 0 by a module that has none */
	uint64_t late_writes;
	uint64_t timeouts;
	uint64_t intent_bytes;
	uint64_t unread_bytes;
	uint64_t reversals;		/* 0 by a module that cannot */
	uint64_t source_only_bytes;
	uint64_t verify_total_bytes;
	uint64_t verify_bytes;
	uint64_t verify_unread_bytes;
	uint64_t verify_differing_bytes;
	uint64_t verify_ranges;
	char verify[BCL_STATUS_WORD_MAX];	/* "" by a module that has none */
	char metadata[BCL_STATUS_WORD_MAX];	/* "" by a module that has none */
	char copy_mode[BCL_STATUS_WORD_MAX];
	char io_status[BCL_STATUS_WORD_MAX];
	char error[BCL_STATUS_WORD_MAX];
	char event[BCL_STATUS_WORD_MAX];
	char on_source_error[BCL_STATUS_WORD_MAX];	/* "" by a module that has none */
	char on_target_error[BCL_STATUS_WORD_MAX];
};

/*
 * Return: 0; -EPROTONOSUPPORT another version; -EBADMSG malformed: word count, a number, an
 * unknown state, a key that is missing or given twice. Keys that it does not know are skipped;
 * those that came with module 0.2 may be missing.
 * *ret is written on success only.
 */
int bcl_status_parse(const char *line, struct bcl_status *ret);

const char *bcl_state_to_string(enum blockcopy_state s);	/* NULL out of range */
enum blockcopy_state bcl_state_from_string(const char *word);	/* BLOCKCOPY_STATE_ID_INVALID */

#endif /* BCL_STATUS_H */

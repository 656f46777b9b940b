// SPDX-License-Identifier: GPL-2.0-only
/* Output for programs. Numbers are numbers, sizes bytes, what is unknown is null. */
#include <json-c/json.h>
#include <stdlib.h>

#include "ctl.h"

static struct json_object *text(const char *s)
{
	char *valid = s ? valid_utf8(s) : NULL;
	struct json_object *o = valid ? json_object_new_string(valid) : NULL;

	free(valid);
	return o;
}

static void add(struct json_object *o, const char *key, struct json_object *v)
{
	json_object_object_add(o, key, v);
}

static struct json_object *object_of_info(const struct blockcopy_info *i)
{
	struct json_object *o = json_object_new_object();
	unsigned int timeout = blockcopy_info_write_timeout(i);
	int64_t eta = blockcopy_info_eta_s(i);

#define NUMBER(key, getter) add(o, key, json_object_new_uint64(blockcopy_info_##getter(i)))
#define BOOL(key, getter) add(o, key, json_object_new_boolean(blockcopy_info_##getter(i)))
#define TEXT(key, getter) add(o, key, text(blockcopy_info_##getter(i)))
	TEXT("name", name);
	TEXT("uuid", uuid);
	TEXT("state", state_word);
	BOOL("ready", ready);
	BOOL("paused", paused);
	BOOL("suspended", suspended);
	BOOL("listing", listing);
	TEXT("copy_mode", copy_mode);
	BOOL("mirroring", mirroring);
	BOOL("actively_synced", actively_synced);
	NUMBER("len", len);
	NUMBER("offset", offset);
	NUMBER("dirty_bytes", dirty_bytes);
	NUMBER("inflight_bytes", inflight_bytes);
	NUMBER("copied_bytes", copied_bytes);
	NUMBER("dirtied_bytes", dirtied_bytes);
	NUMBER("zeroed_bytes", zeroed_bytes);
	NUMBER("unwritten_bytes", unwritten_bytes);
	NUMBER("mirrored_bytes", mirrored_bytes);
	NUMBER("region_size", region_size);
	NUMBER("speed", bandwidth);
	NUMBER("buf_size", buf_size);
	NUMBER("rate", rate);
	/* No module has a timeout of 0: it is one that has none. */
	add(o, "write_timeout", timeout ? json_object_new_uint64(timeout) : NULL);
	NUMBER("late_writes", late_writes);
	NUMBER("timeouts", timeouts);
	add(o, "eta_s", eta < 0 ? NULL : json_object_new_int64(eta));
	TEXT("on_source_error", on_source_error);
	TEXT("on_target_error", on_target_error);
	TEXT("io_status", io_status);
	NUMBER("source_errors", source_errors);
	NUMBER("unread_bytes", unread_bytes);
	NUMBER("target_errors", target_errors);
	TEXT("error", error);
	TEXT("metadata", metadata);
	NUMBER("intent_bytes", intent_bytes);
	BOOL("way_back", way_back);
	NUMBER("source_only_bytes", source_only_bytes);
	TEXT("verify", verify);
	NUMBER("verify_total_bytes", verify_total_bytes);
	NUMBER("verify_bytes", verify_bytes);
	NUMBER("verify_unread_bytes", verify_unread_bytes);
	NUMBER("verify_differing_bytes", verify_differing_bytes);
	NUMBER("verify_ranges", verify_ranges);
	TEXT("source", source);
	TEXT("below", below);
	TEXT("destination", destination);
	TEXT("destination_spec", destination_spec);
	BOOL("destination_gone", destination_gone);
	NUMBER("blackout_us", blackout_us);
	TEXT("event", event);
	NUMBER("events", events);
#undef NUMBER
#undef BOOL
#undef TEXT
	return o;
}

static void print(FILE *f, struct json_object *o, int flags)
{
	fprintf(f, "%s\n",
		   json_object_to_json_string_ext(o, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	/* A reader at the other end of a pipe wants each line when it is there. */
	fflush(f);
	json_object_put(o);
}

void json_print_info(FILE *f, const struct blockcopy_info *info)
{
	print(f, object_of_info(info), JSON_C_TO_STRING_PLAIN);
}

void json_print_list(FILE *f, struct blockcopy_info **list, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(a, object_of_info(list[i]));
	print(f, a, JSON_C_TO_STRING_PLAIN);
}

void json_print_change(FILE *f, const char *change, const struct blockcopy_info *info)
{
	struct json_object *o = object_of_info(info);

	add(o, "change", text(change));
	print(f, o, JSON_C_TO_STRING_PLAIN);
}

void json_print_result(FILE *f, const char *name, const char *result, const uint64_t *blackout_us)
{
	struct json_object *o = json_object_new_object();

	add(o, "name", text(name));
	add(o, "result", text(result));
	if (blackout_us)
		add(o, "blackout_us", json_object_new_uint64(*blackout_us));
	print(f, o, JSON_C_TO_STRING_PLAIN);
}

static struct json_object *array_of_ranges(const struct blockcopy_range *ranges, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t k = 0; k < n; k++) {
		struct json_object *range = json_object_new_object();

		add(range, "offset", json_object_new_uint64(ranges[k].offset));
		add(range, "length", json_object_new_uint64(ranges[k].length));
		json_object_array_add(a, range);
	}
	return a;
}

void json_print_map(FILE *f, const struct blockcopy_info *i, const struct blockcopy_range *dirty,
		    size_t n_dirty, const struct blockcopy_range *unread, size_t n_unread)
{
	struct json_object *o = json_object_new_object();

	add(o, "name", text(blockcopy_info_name(i)));
	add(o, "state", text(blockcopy_info_state_word(i)));
	add(o, "len", json_object_new_uint64(blockcopy_info_len(i)));
	add(o, "region_size", json_object_new_uint64(blockcopy_info_region_size(i)));
	add(o, "dirty", array_of_ranges(dirty, n_dirty));
	add(o, "unread", array_of_ranges(unread, n_unread));
	print(f, o, JSON_C_TO_STRING_PLAIN);
}

void json_print_verify(FILE *f, const struct blockcopy_info *i, const struct blockcopy_range *ranges,
		       size_t n)
{
	struct json_object *o = json_object_new_object();

	add(o, "name", text(blockcopy_info_name(i)));
	add(o, "result", text(blockcopy_info_verify(i)));
	add(o, "total_bytes", json_object_new_uint64(blockcopy_info_verify_total_bytes(i)));
	add(o, "compared_bytes", json_object_new_uint64(blockcopy_info_verify_bytes(i)));
	add(o, "unread_bytes", json_object_new_uint64(blockcopy_info_verify_unread_bytes(i)));
	add(o, "differing_bytes", json_object_new_uint64(blockcopy_info_verify_differing_bytes(i)));
	add(o, "differing_ranges", json_object_new_uint64(blockcopy_info_verify_ranges(i)));
	add(o, "ranges", array_of_ranges(ranges, n));
	print(f, o, JSON_C_TO_STRING_PLAIN);
}

void json_print_metadata(FILE *f, const struct blockcopy_metadata *md)
{
	struct json_object *o = json_object_new_object();

#define NUMBER(key) add(o, #key, json_object_new_uint64(blockcopy_metadata_##key(md)))
#define TEXT(key) add(o, #key, text(blockcopy_metadata_##key(md)))
	TEXT(uuid);
	TEXT(outcome);
	NUMBER(instant);
	NUMBER(generation);
	NUMBER(sequence);
	NUMBER(len);
	NUMBER(region_size);
	TEXT(source);
	NUMBER(source_offset);
	TEXT(destination);
	NUMBER(destination_offset);
	TEXT(below);
	NUMBER(bad_slots);
	NUMBER(blocks);
	NUMBER(bad_blocks);
	NUMBER(intent_bytes);
	TEXT(superblock);
#undef NUMBER
#undef TEXT
	print(f, o, JSON_C_TO_STRING_PLAIN);
}

// SPDX-License-Identifier: GPL-2.0-only
/* metrics: all jobs in the text format of Prometheus. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

struct jobs {
	struct blockcopy_info **list;
	size_t n;
};

/* A value is a number of what the name says; NONE: there is none, and no line. */
struct value {
	double v;
	bool none;
};

#define NONE (struct value) { .none = true }
#define VALUE(x) (struct value) { .v = (x) }

static struct value eta(const struct blockcopy_info *i)
{
	int64_t s = blockcopy_info_eta_s(i);

	return s < 0 ? NONE : VALUE(s);
}

static struct value blackout(const struct blockcopy_info *i)
{
	uint64_t us = blockcopy_info_blackout_us(i);

	return us ? VALUE(us / 1e6) : NONE;
}

static struct value write_timeout(const struct blockcopy_info *i)
{
	unsigned int ms = blockcopy_info_write_timeout(i);

	return ms ? VALUE(ms / 1e3) : NONE;
}

static struct value metadata_failed(const struct blockcopy_info *i)
{
	const char *word = blockcopy_info_metadata(i);

	return strcmp(word, "none") ? VALUE(!strcmp(word, "failed")) : NONE;
}

static struct value io_failed(const struct blockcopy_info *i)
{
	return VALUE(strcmp(blockcopy_info_io_status(i), "ok") != 0);
}

static struct value verify_running(const struct blockcopy_info *i)
{
	return VALUE(!strcmp(blockcopy_info_verify(i), "running"));
}

#define GET(getter)								\
	static struct value get_##getter(const struct blockcopy_info *i)	\
	{									\
		return VALUE(blockcopy_info_##getter(i));			\
	}

GET(len)
GET(offset)
GET(dirty_bytes)
GET(inflight_bytes)
GET(intent_bytes)
GET(unread_bytes)
GET(source_only_bytes)
GET(way_back)
GET(region_size)
GET(bandwidth)
GET(buf_size)
GET(rate)
GET(ready)
GET(paused)
GET(suspended)
GET(mirroring)
GET(actively_synced)
GET(destination_gone)
GET(late_writes)
GET(copied_bytes)
GET(dirtied_bytes)
GET(zeroed_bytes)
GET(unwritten_bytes)
GET(mirrored_bytes)
GET(timeouts)
GET(source_errors)
GET(target_errors)
GET(events)
GET(verify_total_bytes)
GET(verify_bytes)
GET(verify_unread_bytes)
GET(verify_differing_bytes)
#undef GET

static const struct metric {
	const char *name, *type, *help;
	struct value (*get)(const struct blockcopy_info *i);
} metrics[] = {
	{ "size_bytes", "gauge", "Size of the device.", get_len },
	{ "offset_bytes", "gauge", "How far the copy is; equal to the size only when ready.", get_offset },
	{ "dirty_bytes", "gauge", "What may differ at the destination.", get_dirty_bytes },
	{ "inflight_bytes", "gauge", "What is being copied.", get_inflight_bytes },
	{ "intent_bytes", "gauge", "What would be copied after a crash.", get_intent_bytes },
	{ "unread_bytes", "gauge", "What of the source cannot be read.", get_unread_bytes },
	{ "source_only_bytes", "gauge", "What the destination may lack of acknowledged writes.", get_source_only_bytes },
	{ "region_size_bytes", "gauge", "What is tracked and copied as one.", get_region_size },
	{ "bandwidth_limit_bytes_per_second", "gauge", "Limit of the copier, 0 is none.", get_bandwidth },
	{ "inflight_limit_bytes", "gauge", "Most that may be in flight.", get_buf_size },
	{ "rate_bytes_per_second", "gauge", "How fast it copied lately.", get_rate },
	{ "eta_seconds", "gauge", "Time until ready at this rate; absent if unknown.", eta },
	{ "ready", "gauge", "1 if the two are equal but for what is being written.", get_ready },
	{ "paused", "gauge", "1 if paused, by command or by an error.", get_paused },
	{ "suspended", "gauge", "1 if the device is suspended.", get_suspended },
	{ "mirroring", "gauge", "1 if guest writes go to both devices.", get_mirroring },
	{ "actively_synced", "gauge", "1 if each acknowledged write is in both places.", get_actively_synced },
	{ "way_back", "gauge", "1 if it copies back to where the device came from.", get_way_back },
	{ "io_failed", "gauge", "1 while failed, paused or backing off by an error.", io_failed },
	{ "destination_gone", "gauge", "1 if the destination was taken away.", get_destination_gone },
	{ "metadata_failed", "gauge", "1 if it goes on without; absent without metadata.", metadata_failed },
	{ "write_timeout_seconds", "gauge", "Longest that a guest write waits for the destination.", write_timeout },
	{ "late_writes", "gauge", "Writes that the destination has still not answered.", get_late_writes },
	{ "last_blackout_seconds", "gauge", "How long guest writes were held last.", blackout },
	{ "verify_running", "gauge", "1 while the devices are being compared.", verify_running },
	{ "verify_size_bytes", "gauge", "What the last verify was to compare.", get_verify_total_bytes },
	{ "verify_compared_bytes", "gauge", "What it has compared.", get_verify_bytes },
	{ "verify_unread_bytes", "gauge", "What it could not read.", get_verify_unread_bytes },
	{ "verify_differing_bytes", "gauge", "What it found to differ.", get_verify_differing_bytes },
	{ "copied_bytes_total", "counter", "What was copied, some twice.", get_copied_bytes },
	{ "dirtied_bytes_total", "counter", "What guest writes made dirty.", get_dirtied_bytes },
	{ "zeroed_bytes_total", "counter", "What was copied as zeroes.", get_zeroed_bytes },
	{ "unwritten_bytes_total", "counter", "What was compared, and equal already.", get_unwritten_bytes },
	{ "mirrored_bytes_total", "counter", "Guest writes that went to both devices.", get_mirrored_bytes },
	{ "write_timeouts_total", "counter", "Writes the destination did not answer in time.", get_timeouts },
	{ "source_errors_total", "counter", "Requests that failed at the source.", get_source_errors },
	{ "target_errors_total", "counter", "Requests that failed at the destination.", get_target_errors },
	{ "events_total", "counter", "Events of the job.", get_events },
};

static void put_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP blockcopy_%s %s\n# TYPE blockcopy_%s %s\n", name, help, name, type);
}

/* NAME="value", as the format wants it. */
static void put_label(FILE *f, const char *name, const char *value)
{
	char *valid = valid_utf8(value);

	fprintf(f, "%s=\"", name);
	for (const char *s = valid ? valid : ""; *s; s++)
		if (*s == '\n')
			fputs("\\n", f);
		else
			fprintf(f, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	fputc('"', f);
	free(valid);
}

static void put_metric(FILE *f, const struct metric *m, const struct jobs *jobs)
{
	bool head = false;

	for (size_t k = 0; k < jobs->n; k++) {
		struct value value = m->get(jobs->list[k]);

		if (value.none)
			continue;
		if (!head)
			put_head(f, m->name, m->type, m->help);
		head = true;
		fprintf(f, "blockcopy_%s{", m->name);
		put_label(f, "name", blockcopy_info_name(jobs->list[k]));
		/* Whole numbers up to 2^53 as such, and no 0.10000000000000001. */
		fprintf(f, "} %.16g\n", value.v);
	}
}

/* What is no number: labels of a metric that is always 1, for joins. */
static void put_words(FILE *f, const struct jobs *jobs)
{
	put_head(f, "job_info", "gauge", "What is copied where, and how.");
	for (size_t k = 0; k < jobs->n; k++) {
		const struct blockcopy_info *i = jobs->list[k];
		const char *spec = blockcopy_info_destination_spec(i);
		const struct {
			const char *name, *value;
		} labels[] = {
			{ "name", blockcopy_info_name(i) },
			{ "uuid", blockcopy_info_uuid(i) },
			{ "source", blockcopy_info_source(i) },
			{ "destination", spec ? spec : blockcopy_info_destination(i) },
			{ "copy_mode", blockcopy_info_copy_mode(i) },
		};

		fprintf(f, "blockcopy_job_info");
		for (size_t l = 0; l < sizeof(labels) / sizeof(*labels); l++) {
			fputc(l ? ',' : '{', f);
			put_label(f, labels[l].name, labels[l].value);
		}
		fprintf(f, "} 1\n");
	}
}

/* Each state, one of them 1. */
static void put_states(FILE *f, const struct jobs *jobs)
{
	static const char *const words[BLOCKCOPY_STATE_ID_MAX] = {
		[BLOCKCOPY_STATE_ID_COPYING] = "copying",
		[BLOCKCOPY_STATE_ID_READY] = "ready",
		[BLOCKCOPY_STATE_ID_COMPLETING] = "completing",
		[BLOCKCOPY_STATE_ID_PIVOTED] = "pivoted",
		[BLOCKCOPY_STATE_ID_FINISHED] = "finished",
		[BLOCKCOPY_STATE_ID_FAILED] = "failed",
	};

	put_head(f, "state", "gauge", "1 for the state that the job is in.");
	for (size_t k = 0; k < jobs->n; k++)
		for (int s = 0; s < BLOCKCOPY_STATE_ID_MAX; s++) {
			fprintf(f, "blockcopy_state{");
			put_label(f, "name", blockcopy_info_name(jobs->list[k]));
			fprintf(f, ",state=\"%s\"} %d\n", words[s],
				blockcopy_info_state(jobs->list[k]) == (enum blockcopy_state)s);
		}
}

static void put_all(FILE *f, const struct jobs *jobs)
{
	put_head(f, "jobs", "gauge", "Jobs on this machine.");
	fprintf(f, "blockcopy_jobs %zu\n", jobs->n);
	if (!jobs->n)
		return;
	put_words(f, jobs);
	put_states(f, jobs);
	for (size_t m = 0; m < sizeof(metrics) / sizeof(*metrics); m++)
		put_metric(f, &metrics[m], jobs);
}

/* Return: 0, -errno. */
static int write_file(const char *path, const char *text, size_t n)
{
	char *temporary;
	int fd, r = 0;

	/* Does not end in ".prom": the collector leaves it alone. */
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		free(temporary);
		return r;
	}
	while (n && r == 0) {
		ssize_t done = write(fd, text, n);

		if (done < 0 && errno != EINTR)
			r = -errno;
		else if (done > 0) {
			text += done;
			n -= done;
		}
	}
	if (r == 0 && fchmod(fd, 0644) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	free(temporary);
	return r;
}

int cmd_metrics(struct ctl *c)
{
	struct jobs jobs;
	size_t n = 0;
	char *text = NULL;
	FILE *f;
	int r;

	if (blockcopy_list(c->bc, &jobs.list, &jobs.n) < 0)
		return failed(c);
	f = open_memstream(&text, &n);
	if (f)
		put_all(f, &jobs);
	blockcopy_info_list_free(jobs.list, jobs.n);
	if (!f || fclose(f) || !text) {
		free(text);
		return complain(BLOCKCOPY_FAILED, "out of memory");
	}
	if (c->opt.textfile) {
		r = write_file(c->opt.textfile, text, n);
		if (r < 0)
			complain(BLOCKCOPY_FAILED, "%s: cannot be written: %s", c->opt.textfile, strerror(-r));
	} else {
		r = fwrite(text, 1, n, stdout) == n ? 0 : -EIO;
	}
	free(text);
	return r < 0 ? BLOCKCOPY_FAILED : BLOCKCOPY_OK;
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handle: errors, log; and the options of a start. */
#include <stdarg.h>

#include "internal.h"

#define STR_(x) #x
#define STR(x) STR_(x)

const char *blockcopy_version(void)
{
	return STR(BLOCKCOPY_VERSION_MAJOR) "." STR(BLOCKCOPY_VERSION_MINOR) "."
	       STR(BLOCKCOPY_VERSION_PATCH);
}

int blockcopy_new(struct blockcopy **ret_bc)
{
	struct blockcopy *bc = calloc(1, sizeof(*bc));

	if (!bc)
		return -ENOMEM;
	bc->cancel_fd = -1;
	*ret_bc = bc;
	return 0;
}

void blockcopy_free(struct blockcopy *bc)
{
	if (!bc)
		return;
	free(bc->message);
	free(bc);
}

enum blockcopy_error blockcopy_error(const struct blockcopy *bc)
{
	return bc->kind;
}

const char *blockcopy_error_message(const struct blockcopy *bc)
{
	if (bc->message)
		return bc->message;
	return bc->kind == BLOCKCOPY_OK ? "no error" : "out of memory";
}

void blockcopy_set_log(struct blockcopy *bc, blockcopy_log_fn fn, void *userdata)
{
	bc->log = fn;
	bc->log_data = userdata;
}

void blockcopy_set_force(struct blockcopy *bc, bool force)
{
	bc->force = force;
}

void blockcopy_set_cancel_fd(struct blockcopy *bc, int fd)
{
	bc->cancel_fd = fd;
}

void bcl_begin(struct blockcopy *bc)
{
	bc->kind = BLOCKCOPY_OK;
	free(TAKE_PTR(bc->message));
}

int bcl_fail(struct blockcopy *bc, enum blockcopy_error kind, int r, const char *fmt, ...)
{
	char *message;
	va_list ap;
	int n;

	/* The old message may be among the arguments: format first. */
	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	free(bc->message);
	bc->message = n < 0 ? NULL : message;
	bc->kind = kind;
	return r;
}

void bcl_log(struct blockcopy *bc, enum blockcopy_log_level level, const char *fmt, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list ap;
	int n;

	if (!bc->log)
		return;
	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0) {
		line = NULL;
		return;
	}
	bc->log(bc->log_data, level, line);
}

void bcl_error_save(struct blockcopy *bc, struct bcl_saved_error *ret_saved)
{
	*ret_saved = (struct bcl_saved_error) { bc->kind, TAKE_PTR(bc->message) };
}

void bcl_error_restore(struct blockcopy *bc, struct bcl_saved_error *saved)
{
	free(bc->message);
	bc->kind = saved->kind;
	bc->message = TAKE_PTR(saved->message);
}

/* ---- options ---- */

int blockcopy_options_new(struct blockcopy_options **ret_options)
{
	struct blockcopy_options *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->args.region_sectors = BLOCKCOPY_REGION_SECTORS_DEFAULT;
	*ret_options = o;
	return 0;
}

void blockcopy_options_free(struct blockcopy_options *o)
{
	if (!o)
		return;
	bcl_args_done(&o->args);
	free(o->format);
	free(o->ranges);
	free(o->base);
	free(o);
}

int blockcopy_options_set_bandwidth(struct blockcopy_options *o, uint64_t bytes_per_s)
{
	o->args.bandwidth = bytes_per_s;
	o->args.bandwidth_set = true;
	return 0;
}

int blockcopy_options_set_granularity(struct blockcopy_options *o, uint64_t bytes)
{
	if (bytes % 512 || !bcl_region_sectors_valid(bytes / 512))
		return -EINVAL;
	o->args.region_sectors = bytes / 512;
	return 0;
}

int blockcopy_options_set_buf_size(struct blockcopy_options *o, uint64_t bytes)
{
	if (bytes < BLOCKCOPY_BUF_SIZE_MIN || bytes > BLOCKCOPY_BUF_SIZE_MAX)
		return -EINVAL;
	o->args.buf_size = bytes;
	o->args.buf_size_set = true;
	return 0;
}

static int set_word(char **to, const char *word, const char *const *allowed)
{
	char *copy;

	for (; *allowed; allowed++)
		if (!strcmp(*allowed, word))
			break;
	if (!*allowed)
		return -EINVAL;
	copy = strdup(word);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

int blockcopy_options_set_copy_mode(struct blockcopy_options *o, const char *word)
{
	static const char *const allowed[] = { "background", "write-blocking", "auto", NULL };

	return set_word(&o->args.copy_mode, word, allowed);
}

int blockcopy_options_set_write_timeout(struct blockcopy_options *o, unsigned int ms)
{
	if (ms < BLOCKCOPY_WRITE_TIMEOUT_MIN || ms > BLOCKCOPY_WRITE_TIMEOUT_MAX)
		return -EINVAL;
	o->args.write_timeout = ms;
	o->args.write_timeout_set = true;
	return 0;
}

static const char *const policies[] = { "report", "ignore", "enospc", "stop", NULL };

int blockcopy_options_set_on_source_error(struct blockcopy_options *o, const char *word)
{
	return set_word(&o->args.on_source_error, word, policies);
}

int blockcopy_options_set_on_target_error(struct blockcopy_options *o, const char *word)
{
	return set_word(&o->args.on_target_error, word, policies);
}

int blockcopy_options_set_sync(struct blockcopy_options *o, const char *word)
{
	static const char *const allowed[] = { "full", "none", "bitmap", NULL };

	return set_word(&o->args.sync, word, allowed);
}

int blockcopy_options_set_metadata(struct blockcopy_options *o, const char *device)
{
	char *copy = strdup(device);

	if (!copy)
		return -ENOMEM;
	free(o->args.metadata);
	o->args.metadata = copy;
	return 0;
}

int blockcopy_options_set_detect_zeroes(struct blockcopy_options *o, const char *word)
{
	static const char *const allowed[] = { "off", "on", "unmap", NULL };

	return set_word(&o->args.detect_zeroes, word, allowed);
}

void blockcopy_options_set_target_is_zero(struct blockcopy_options *o, bool zero)
{
	o->args.target_is_zero = zero;
}

void blockcopy_options_set_compare(struct blockcopy_options *o, bool compare)
{
	o->args.compare = compare;
}

int blockcopy_options_set_ranges(struct blockcopy_options *o, const struct blockcopy_range *ranges, size_t n)
{
	struct blockcopy_range *copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, ranges, n * sizeof(*copy));
	free(o->ranges);
	o->ranges = copy;
	o->n_ranges = n;
	return 0;
}

void blockcopy_options_set_shallow(struct blockcopy_options *o, bool shallow)
{
	o->shallow = shallow;
}

int blockcopy_options_set_base(struct blockcopy_options *o, const char *device)
{
	char *copy = strdup(device);

	if (!copy)
		return -ENOMEM;
	free(o->base);
	o->base = copy;
	return 0;
}

void blockcopy_options_set_paused(struct blockcopy_options *o, bool paused)
{
	o->args.paused = paused;
}

void blockcopy_options_set_force(struct blockcopy_options *o, bool force)
{
	o->force = force;
}

void blockcopy_options_set_reuse_external(struct blockcopy_options *o, bool reuse)
{
	o->reuse_external = reuse;
}

void blockcopy_options_set_blockdev(struct blockcopy_options *o, bool blockdev)
{
	o->blockdev = blockdev;
}

int blockcopy_options_set_format(struct blockcopy_options *o, const char *format)
{
	/* What qemu-img can create and qemu-nbd can write. */
	static const char *const allowed[] = {
		"raw", "qcow2", "qed", "vmdk", "vdi", "vhdx", "vpc", "parallels", NULL
	};
	int r = set_word(&o->format, format, allowed);

	if (r == 0 && !strcmp(format, "raw")) {
		free(o->format);
		o->format = NULL;
	}
	return r;
}

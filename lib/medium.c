// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

#include "blk.h"
#include "medium.h"

#define BLOCK	BC_FORMAT_BLOCK_SIZE

void bcl_medium_done(struct bcl_medium *m)
{
	bcl_closep(&m->fd);
	free(m->memory);
}

int bcl_medium_failed(struct blockcopy *bc, const struct bcl_medium *m, const char *what, int r)
{
	return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: cannot %s metadata: %s", m->path, what,
			strerror(-r));
}

int bcl_medium_read(struct blockcopy *bc, const struct bcl_medium *m, uint64_t block, size_t n)
{
	ssize_t got = pread(m->fd, m->memory, n * BLOCK, block * BLOCK);

	if (got < 0)
		return bcl_medium_failed(bc, m, "read", -errno);
	if ((size_t)got != n * BLOCK)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
				"%s: found a device that ends at block %" PRIu64 ", needed %zu more "
				"of 4096 bytes", m->path, block + got / BLOCK, n - got / BLOCK);
	return 0;
}

int bcl_medium_open(struct blockcopy *bc, const char *path, int flags, struct bcl_medium *m)
{
	int r;

	m->path = path;
	m->fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	if (m->fd < 0)
		return errno == EBUSY ?
			bcl_fail(bc, BLOCKCOPY_REFUSED, -EBUSY,
				 "%s: found it in use, needed a metadata device of its own", path) :
			bcl_medium_failed(bc, m, "open", -errno);
	if (posix_memalign(&m->memory, BLOCK, BCL_MEDIUM_CHUNK * BLOCK)) {
		m->memory = NULL;
		return bcl_oom(bc);
	}
	r = bcl_medium_read(bc, m, 0, BC_FORMAT_SUPER_SLOTS);
	if (r < 0)
		return r;
	memcpy(m->slots, m->memory, sizeof(m->slots));
	m->slot = bc_format_choose(&m->slots[0], &m->slots[1], &m->verdict);
	return 0;
}

static int write_slot(struct blockcopy *bc, const struct bcl_medium *m,
		      struct bc_format_super *super)
{
	uint64_t slot = le64_to_cpu(super->sequence) % BC_FORMAT_SUPER_SLOTS;

	bc_format_seal_super(super);
	memcpy(m->memory, super, BLOCK);
	if (pwrite(m->fd, m->memory, BLOCK, slot * BLOCK) != BLOCK)
		return bcl_medium_failed(bc, m, "write", errno ? -errno : -EIO);
	if (fdatasync(m->fd) < 0)
		return bcl_medium_failed(bc, m, "write", -errno);
	return 0;
}

int bcl_medium_write(struct blockcopy *bc, const struct bcl_medium *m,
		     struct bc_format_super *super)
{
	int r = 0;

	for (int i = 0; i < BC_FORMAT_SUPER_SLOTS && r == 0; i++) {
		super->sequence = cpu_to_le64(le64_to_cpu(super->sequence) + 1);
		r = write_slot(bc, m, super);
	}
	return r;
}

int bcl_medium_need_super(struct blockcopy *bc, const struct bcl_medium *m)
{
	return m->slot >= 0 ? 0 :
		bcl_fail(bc, BLOCKCOPY_REFUSED, -EINVAL,
			 "%s: found %s, needed the metadata of a copy job", m->path,
			 bc_format_verdicts[m->verdict]);
}

int bcl_medium_check_empty(struct blockcopy *bc, const struct bcl_medium *m)
{
	_cleanup_free_ char *what = NULL;
	int r;

	if (m->verdict == BC_FORMAT_BAD_VERSION)
		return bcl_medium_need_super(bc, m);
	r = bcl_blk_signature(m->path, &what);
	if (r < 0)
		return bcl_medium_failed(bc, m, "probe the device for", r);
	if (r > 0)
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found %s, needed an empty metadata device (--force overwrites)",
				m->path, what);
	return 0;
}

int bcl_medium_new_uuid(struct blockcopy *bc, struct bc_format_super *super)
{
	if (getrandom(super->uuid, sizeof(super->uuid), 0) != sizeof(super->uuid))
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "no random numbers for a uuid");
	super->uuid[6] = (super->uuid[6] & 0x0f) | 0x40;
	super->uuid[8] = (super->uuid[8] & 0x3f) | 0x80;
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The helper device: it holds a live table that is not one linear line, so that the job can read
 * and write through it. Known by its uuid, "BLOCKCOPY-" and the uuid (or name) of the device;
 * hidden from udev's rules, as it shows the very data of the device and would take its links
 * over.
 */
#include <sys/sysmacros.h>

#include "internal.h"

#define UUID_PREFIX "BLOCKCOPY-"
#define NAME_SUFFIX "-blockcopy"

/*
 * While a swap is under way both devices have the table, so its targets must bear being there
 * twice: no metadata of their own that two instances would write. dm-thin is one of them, its
 * metadata is the pool's.
 */
static const char *const twice_ok[] = {
	"linear", "striped", "crypt", "delay", "flakey", "error", "zero", "dust", "thin", "verity",
};

bool bcl_is_helper(const struct bcl_dm_info *dev)
{
	return !strncmp(dev->uuid, UUID_PREFIX, strlen(UUID_PREFIX));
}

static char *helper_uuid(const struct bcl_dm_info *dev)
{
	const char *id = *dev->uuid ? dev->uuid : dev->name;
	size_t room = BCL_DM_UUID_SIZE - 1 - strlen(UUID_PREFIX), n = strlen(id);

	/* The end of a uuid is what tells devices of one kind apart. */
	return bcl_asprintf(UUID_PREFIX "%s", n > room ? id + n - room : id);
}

int bcl_helper_name(struct blockcopy *bc, const struct bcl_dm_info *dev, char **ret_name)
{
	char *name = bcl_asprintf("%s" NAME_SUFFIX, dev->name);

	/* Mangling makes a name longer; four for one is the worst case. */
	if (name && strlen(dev->name) * 4 + strlen(NAME_SUFFIX) >= BCL_DM_NAME_SIZE) {
		size_t len = 0;

		for (const char *p = name; *p; p++)
			len += strchr("#+-.:=@_", *p) || (*p >= '0' && *p <= '9') ||
			       (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ? 1 : 4;
		if (len >= BCL_DM_NAME_SIZE) {
			free(name);
			name = bcl_asprintf("blockcopy-%u:%u", major(dev->dev), minor(dev->dev));
		}
	}
	if (!name)
		return bcl_oom(bc);
	*ret_name = name;
	return 0;
}

int bcl_helper_find(struct blockcopy *bc, const struct bcl_dm_info *dev,
		    struct bcl_dm_info *ret_helper)
{
	_cleanup_free_ char *uuid = helper_uuid(dev);

	return uuid ? bcl_dm_info_by_uuid(bc, uuid, ret_helper) : bcl_oom(bc);
}

int bcl_helper_check(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *t)
{
	_cleanup_free_ char *name = NULL;
	struct bcl_dm_info other;
	int r;

	for (size_t i = 0; i < t->n; i++) {
		size_t k = 0;

		while (k < ELEMENTSOF(twice_ok) && strcmp(t->lines[i].type, twice_ok[k]))
			k++;
		if (k == ELEMENTSOF(twice_ok))
			return bcl_fail(bc, BLOCKCOPY_REFUSED, -EOPNOTSUPP,
					"%s: found a table with target %s, which cannot be alive "
					"in two devices at once; needed only targets that can, or "
					"one linear line: put a linear device on top of it",
					dev->name, t->lines[i].type);
	}
	r = bcl_helper_name(bc, dev, &name);
	if (r < 0)
		return r;
	r = bcl_dm_info(bc, name, &other);
	if (r < 0)
		return r;
	if (r > 0 && !bcl_is_helper(&other))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, -EEXIST,
				"%s: found another device of this name, needed the name for the "
				"helper device of %s", name, dev->name);
	return 0;
}

/* A key in the kernel keyring that opened the device may be gone: cryptsetup unlinks it. */
static bool has_keyring_key(const struct bcl_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *key = strchr(t->lines[i].params, ' ');

		if (!strcmp(t->lines[i].type, "crypt") && key && key[1] == ':')
			return true;
	}
	return false;
}

int bcl_helper_create(struct blockcopy *bc, const struct bcl_dm_info *dev,
		      const struct bcl_table *t, struct bcl_dm_info *ret_helper)
{
	_cleanup_free_ char *name = NULL, *uuid = NULL;
	struct bcl_saved_error saved;
	int r;

	r = bcl_helper_name(bc, dev, &name);
	if (r < 0)
		return r;
	uuid = helper_uuid(dev);
	if (!uuid)
		return bcl_oom(bc);
	r = bcl_dm_create(bc, name, uuid, t, bcl_dm_udev_flags_hidden());
	if (r < 0 && has_keyring_key(t))
		return bcl_fail(bc, BLOCKCOPY_REFUSED, r,
				"%s: found its volume key in a kernel keyring that this process "
				"cannot use, needed a key in the table: open it with cryptsetup "
				"--disable-keyring", dev->name);
	if (r < 0)
		return r;
	r = bcl_dm_info(bc, name, ret_helper);
	if (r > 0)
		return 0;
	if (r == 0)
		r = bcl_fail(bc, BLOCKCOPY_FAILED, -ENXIO, "%s: vanished right after it was made",
			     name);
	bcl_error_save(bc, &saved);
	(void)bcl_dm_remove(bc, name, bcl_dm_udev_flags_hidden());
	bcl_error_restore(bc, &saved);
	return r;
}

int bcl_helper_remove(struct blockcopy *bc, const struct bcl_dm_info *helper)
{
	return bcl_dm_remove(bc, helper->name, bcl_dm_udev_flags_hidden());
}

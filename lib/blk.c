// SPDX-License-Identifier: LGPL-2.1-or-later
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "blk.h"
#include "util.h"

static void probe_freep(blkid_probe *pr)
{
	if (*pr)
		blkid_free_probe(*pr);
}

/* What udev calls them; of what anybody may have written there it has no blanks and the like. */
static const struct {
	const char *tag, *property;
} tags[] = {
	{ "UUID=", "ID_FS_UUID_ENC" },
	{ "PARTUUID=", "ID_PART_ENTRY_UUID" },
	{ "LABEL=", "ID_FS_LABEL_ENC" },
	{ "PARTLABEL=", "ID_PART_ENTRY_NAME" },
};

static const char *property_of(const char *spec)
{
	for (size_t i = 0; i < ELEMENTSOF(tags); i++)
		if (!strncmp(spec, tags[i].tag, strlen(tags[i].tag)))
			return tags[i].property;
	return NULL;
}

bool bcl_blk_is_tag(const char *spec)
{
	return property_of(spec);
}

int bcl_blk_tag_property(const char *spec, const char **ret_property, char **ret_value)
{
	_cleanup_free_ char *type = NULL, *value = NULL, *encoded = NULL;
	const char *property = property_of(spec);
	size_t size;

	if (!property || blkid_parse_tag_string(spec, &type, &value) != 0 || !value || !*value)
		return -EINVAL;
	size = 4 * strlen(value) + 1;
	encoded = malloc(size);
	if (!encoded || blkid_encode_string(value, encoded, size) < 0)
		return -ENOMEM;
	*ret_property = property;
	*ret_value = TAKE_PTR(encoded);
	return 0;
}

int bcl_blk_find_tag(const char *spec, char **ret_path)
{
	_cleanup_free_ char *type = NULL, *value = NULL;
	char *path;

	if (blkid_parse_tag_string(spec, &type, &value) != 0 || !value || !*value)
		return -EINVAL;
	path = blkid_evaluate_tag(type, value, NULL);
	if (!path)
		return -ENODEV;
	*ret_path = path;
	return 0;
}

static const char *lookup(blkid_probe pr, const char *key)
{
	const char *v = NULL;

	return blkid_probe_lookup_value(pr, key, &v, NULL) == 0 ? v : NULL;
}

static const char *article(const char *word)
{
	return strchr("aeioAEIO", *word) ? "an" : "a";
}

/* One signature that the probe stands on. NULL: none, or no memory. */
static char *describe(blkid_probe pr)
{
	const char *type = lookup(pr, "TYPE"), *usage = lookup(pr, "USAGE");
	const char *label = lookup(pr, "LABEL"), *table = lookup(pr, "PTTYPE");
	const char *noun = "signature";

	if (!type)
		return table ? bcl_asprintf("%s %s partition table", article(table), table) : NULL;
	if (usage && !strcmp(usage, "filesystem"))
		noun = "file system";
	else if (usage && !strcmp(usage, "raid"))
		noun = "RAID or LVM member";
	else if (usage && !strcmp(usage, "crypto"))
		noun = "encrypted volume";
	if (label && *label)
		return bcl_asprintf("%s %s %s (\"%s\")", article(type), type, noun, label);
	return bcl_asprintf("%s %s %s", article(type), type, noun);
}

/* Both are the caller's, also after a failure. */
static int probe_open(const char *path, int *ret_fd, blkid_probe *ret_probe)
{
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return -errno;
	*ret_probe = blkid_new_probe();
	if (!*ret_probe)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(*ret_probe, *ret_fd, 0, 0) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

int bcl_blk_signature(const char *path, char **ret_what)
{
	_cleanup_close_ int fd = -1;
	_cleanup_(probe_freep) blkid_probe pr = NULL;
	_cleanup_free_ char *all = NULL;
	int r;

	r = probe_open(path, &fd, &pr);
	if (r < 0)
		return r;
	if (blkid_probe_enable_superblocks(pr, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
					      BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC |
					      BLKID_SUBLKS_BADCSUM) < 0 ||
	    blkid_probe_enable_partitions(pr, 1) < 0 ||
	    blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC) < 0)
		return -ENOMEM;

	/* Not the safe probe: it names one signature, or none when there are several. */
	for (;;) {
		_cleanup_free_ char *one = NULL;
		char *more;

		errno = 0;
		r = blkid_do_probe(pr);
		if (r < 0)
			return errno ? -errno : -EIO;
		if (r > 0)
			break;
		one = describe(pr);
		/* A file system found twice, by its primary and its backup superblock. */
		if (!one || (all && strstr(all, one)))
			continue;
		more = all ? bcl_asprintf("%s and %s", all, one) : strdup(one);
		if (!more)
			return -ENOMEM;
		free(all);
		all = more;
	}
	if (!all)
		return 0;
	*ret_what = TAKE_PTR(all);
	return 1;
}

int bcl_blk_partitions(const char *path, uint64_t *ret_starts, int max)
{
	_cleanup_close_ int fd = -1;
	_cleanup_(probe_freep) blkid_probe pr = NULL;
	blkid_partlist list;
	int n, r;

	r = probe_open(path, &fd, &pr);
	if (r < 0)
		return r;
	list = blkid_probe_get_partitions(pr);
	if (!list)
		return 0;
	n = blkid_partlist_numof_partitions(list);
	if (n > max)
		n = max;
	for (int i = 0; i < n; i++)
		ret_starts[i] = 512 * (uint64_t)blkid_partition_get_start(
					      blkid_partlist_get_partition(list, i));
	return n;
}

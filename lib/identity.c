// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "metadata.h"
#include "sysfs.h"

/* Beside the kind and the number of a partition. */
#define VALUE_MAX	(BC_FORMAT_IDENTITY_SIZE - 32)

/*
 * Where it is plugged in, "pci0000:00/0000:00:04.0", which a name of the kernel's ("vdb") does not
 * tell: that goes by the order in which disks were found.
 */
static int place_of(dev_t disk, char **ret)
{
	static const char root[] = "/sys/devices/";
	_cleanup_free_ char *link = bcl_asprintf("/sys/dev/block/%u:%u/device", major(disk),
						 minor(disk));
	_cleanup_free_ char *path = link ? realpath(link, NULL) : NULL;
	char *last;

	if (!path || strncmp(path, root, strlen(root)))
		return -ENOENT;
	last = strrchr(path, '/');
	if (!strncmp(last, "/virtio", 7))
		*last = '\0';
	*ret = strdup(path + strlen(root));
	return *ret ? 0 : -ENOMEM;
}

/* A driver that has no serial number may still have an attribute for it: "(null)", "0000", blanks. */
static bool tells(const char *value)
{
	return value[strspn(value, "0 -_.")] && strcmp(value, "(null)");
}

void bcl_identity_of(dev_t dev, char ret[BC_FORMAT_IDENTITY_SIZE])
{
	static const struct {
		const char *attribute, *kind;
	} sources[] = {
		{ "dm/uuid", "dm-uuid" },
		{ "dm/name", "dm-name" },
		{ "md/uuid", "md-uuid" },
		{ "bcache/backing_dev_uuid", "bcache" },
		{ "wwid", "wwid" },
		{ "serial", "serial" },
		{ "device/wwid", "wwid" },
		{ "device/serial", "serial" },
		{ "loop/backing_file", "file" },
		{ "backend", "nbd" },
	};
	_cleanup_free_ char *value = NULL, *partition = NULL;
	const char *kind = NULL;
	dev_t disk = dev;
	size_t n;

	if (bcl_sysfs_is_partition(dev) && bcl_sysfs_whole(dev, &disk) == 0)
		(void)bcl_sysfs_read(dev, "partition", &partition);
	for (size_t i = 0; i < ELEMENTSOF(sources) && !kind; i++) {
		free(TAKE_PTR(value));
		if (bcl_sysfs_read(disk, sources[i].attribute, &value) == 0 && tells(value))
			kind = sources[i].kind;
	}
	if (!kind) {
		free(TAKE_PTR(value));
		if (place_of(disk, &value) == 0)
			kind = "place";
		else if (bcl_sysfs_name(disk, &value) == 0)
			kind = "name";
	}
	/* Of one that is too long the end tells more, a file name for instance. */
	n = value ? strlen(value) : 0;
	snprintf(ret, BC_FORMAT_IDENTITY_SIZE, "%s:%s%s%s", kind ? kind : "none",
		 value ? value + (n > VALUE_MAX ? n - VALUE_MAX : 0) : "", partition ? "#" : "",
		 partition ? partition : "");
}

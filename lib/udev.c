// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <libudev.h>
#include <string.h>

#include "blk.h"
#include "sysfs.h"
#include "udev.h"

static void udev_freep(struct udev **u)
{
	udev_unref(*u);
}

static void enumerate_freep(struct udev_enumerate **e)
{
	udev_enumerate_unref(*e);
}

static void device_freep(struct udev_device **d)
{
	udev_device_unref(*d);
}

static bool has_holders(dev_t dev)
{
	_cleanup_(bcl_devs_done) struct bcl_devs holders = {};

	return bcl_sysfs_related(dev, "holders", &holders) == 0 && holders.n;
}

int bcl_udev_tagged(const char *spec, bool used, struct bcl_devs *to)
{
	_cleanup_(udev_freep) struct udev *udev = udev_new();
	_cleanup_(enumerate_freep) struct udev_enumerate *e = udev ? udev_enumerate_new(udev) : NULL;
	_cleanup_free_ char *wanted = NULL;
	struct udev_list_entry *at;
	const char *property;
	int r;

	if (!e)
		return -ENOMEM;
	r = bcl_blk_tag_property(spec, &property, &wanted);
	if (r == 0)
		r = udev_enumerate_add_match_subsystem(e, "block");
	/* Not with the value, which would be a pattern. */
	if (r >= 0)
		r = udev_enumerate_add_match_property(e, property, "*");
	if (r >= 0)
		r = udev_enumerate_scan_devices(e);
	if (r < 0)
		return r;
	udev_list_entry_foreach(at, udev_enumerate_get_list_entry(e)) {
		_cleanup_(device_freep) struct udev_device *d =
			udev_device_new_from_syspath(udev, udev_list_entry_get_name(at));
		const char *found = d ? udev_device_get_property_value(d, property) : NULL;

		if (!found || strcmp(found, wanted) ||
		    (!used && has_holders(udev_device_get_devnum(d))))
			continue;
		r = bcl_devs_add(to, udev_device_get_devnum(d));
		if (r < 0)
			return r;
	}
	return 0;
}

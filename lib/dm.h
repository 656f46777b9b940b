/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device-mapper calls. dm.c is the only file that includes libdevmapper.h.
 *
 * Names and uuids are as users write them; libdevmapper mangles what the kernel does not take.
 * Functions that fail leave kind and message in the handle, except where "quiet" is said.
 */
#ifndef BCL_DM_H
#define BCL_DM_H

#include "table.h"

struct blockcopy;

#define BCL_DM_NAME_SIZE 128	/* DM_NAME_LEN, with the zero */
#define BCL_DM_UUID_SIZE 129	/* DM_UUID_LEN */

struct bcl_dm_info {
	char name[BCL_DM_NAME_SIZE];
	char uuid[BCL_DM_UUID_SIZE];	/* "" without */
	dev_t dev;
	bool suspended;
	bool live_table;
	bool inactive_table;
	bool read_only;
	int open_count;
	uint32_t event_nr;
};

/* Return: 1 there, 0 none, -errno. */
int bcl_dm_info(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret);
int bcl_dm_info_by_uuid(struct blockcopy *bc, const char *uuid, struct bcl_dm_info *ret);
int bcl_dm_info_by_dev(struct blockcopy *bc, dev_t dev, struct bcl_dm_info *ret);

/* All dm devices, sorted by name. Free the array with free(). */
int bcl_dm_list(struct blockcopy *bc, struct bcl_dm_info **ret, size_t *ret_n);

/* Lines with their parameters, keys included. -ENXIO: no such device. */
int bcl_dm_table(struct blockcopy *bc, const char *name, bool inactive, struct bcl_table **ret);
/* Lines with their status; no I/O, no flush. -ENXIO: no such device. */
int bcl_dm_status(struct blockcopy *bc, const char *name, struct bcl_table **ret);

int bcl_dm_message(struct blockcopy *bc, const char *name, const char *message);
/* One that is answered with text, which the caller frees. */
int bcl_dm_ask(struct blockcopy *bc, const char *name, const char *message, char **ret_answer);

/* Create, load, resume. "@udev_flags" are DM_UDEV_*; nothing is left after a failure. */
int bcl_dm_create(struct blockcopy *bc, const char *name, const char *uuid,
		  const struct bcl_table *t, uint16_t udev_flags);
int bcl_dm_load(struct blockcopy *bc, const char *name, const struct bcl_table *t);
int bcl_dm_clear(struct blockcopy *bc, const char *name);
/* The one ioctl that suspends, swaps and resumes; it runs with signals blocked. */
int bcl_dm_resume(struct blockcopy *bc, const char *name, uint16_t udev_flags);
int bcl_dm_remove(struct blockcopy *bc, const char *name, uint16_t udev_flags);

/* Ask for a target type, loading its module. Return: 1 there, 0 not, -errno. */
int bcl_dm_has_target(struct blockcopy *bc, const char *type);

/* The flags for a hidden device: no rule looks at it. */
uint16_t bcl_dm_udev_flags_hidden(void);
/* The flags that the device's creator gave, from the udev database; 0 without one. */
uint16_t bcl_dm_udev_flags_of(dev_t dev);

/* An fd of one's own on /dev/mapper/control, and its DM_DEV_ARM_POLL. Quiet; -errno. */
int bcl_dm_events_open(void);
int bcl_dm_events_arm(int fd);

#endif /* BCL_DM_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handle, and what the files of the library share. Not installed. */
#ifndef BCL_INTERNAL_H
#define BCL_INTERNAL_H

#include <errno.h>
#include <string.h>

#include "blockcopy-abi.h"
#include "blockcopy.h"
#include "dm.h"
#include "status.h"
#include "table.h"
#include "util.h"

struct blockcopy {
	enum blockcopy_error kind;
	char *message;		/* NULL: out of memory for it, or none */
	blockcopy_log_fn log;
	void *log_data;
	int cancel_fd;
	bool force;		/* blockcopy_set_force() */
};

/*
 * Keep kind and message, return "@r" (a negative errno). "%m" is not for it: give the errno text.
 */
int bcl_fail(struct blockcopy *bc, enum blockcopy_error kind, int r, const char *fmt, ...)
	_printf_(4, 5);
#define bcl_oom(bc) bcl_fail(bc, BLOCKCOPY_FAILED, -ENOMEM, "out of memory")
void bcl_log(struct blockcopy *bc, enum blockcopy_log_level level, const char *fmt, ...)
	_printf_(3, 4);

/* Begin of each public call: forget the last error. */
void bcl_begin(struct blockcopy *bc);

/* Keep an error over calls that undo things and may fail themselves. */
struct bcl_saved_error {
	enum blockcopy_error kind;
	char *message;
};
void bcl_error_save(struct blockcopy *bc, struct bcl_saved_error *ret_saved);
void bcl_error_restore(struct blockcopy *bc, struct bcl_saved_error *saved);

struct blockcopy_options {
	struct bcl_args args;	/* what goes to the table line; source and destination unset */
	bool force;
	char *format;		/* of a file; NULL: raw */
	bool reuse_external;
	bool blockdev;
	struct blockcopy_range *ranges;	/* NULL: no list; "n_ranges" may be 0 with one */
	size_t n_ranges;
	bool shallow;
	char *base;
};

/* ---- device.c: what NAME is ---- */

/*
 * Resolve NAME to a dm device. BLOCKCOPY_NOT_FOUND; BLOCKCOPY_REFUSED for a device that is not dm.
 */
int bcl_device_find(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_info);
/* Checks of a device as the source of a new job. "@ret_table" is its live table. */
int bcl_source_check(struct blockcopy *bc, const struct bcl_dm_info *dev,
		     struct bcl_table **ret_table);
/* A path for messages and info: /dev/mapper/x, /dev/x, else MAJ:MIN. NULL without memory. */
char *bcl_device_path(dev_t dev);

/* ---- lock.c ---- */

#define BCL_LOCK_DIR "/run/blockcopy"

/*
 * One controller at a time changes a device. The lock goes with the process.
 * Return: fd to close; -EBUSY (BLOCKCOPY_WRONG_STATE).
 */
int bcl_lock(struct blockcopy *bc, const struct bcl_dm_info *dev);
/*
 * Resolve NAME as bcl_device_find(), lock it, and look at it again, as it may have changed while we
 * waited. *ret_lock is an fd to close.
 */
int bcl_device_lock(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret_dev,
		    int *ret_lock);

/* ---- destination/block.c ---- */

struct bcl_destination {
	char *path;	/* as resolved, for messages; of the file, if it is one */
	char *device;	/* of a file: its loop device, else NULL */
	dev_t dev;
	uint64_t size;	/* bytes */
};

void bcl_destination_done(struct bcl_destination *d);
/* Resolve a path or tag. */
int bcl_destination_find(struct blockcopy *bc, const char *spec, struct bcl_destination *ret);
/* Every refusal. "@len" in bytes is what the copy needs. Changes nothing. */
int bcl_destination_check(struct blockcopy *bc, const struct bcl_destination *d,
			  const struct bcl_dm_info *source, uint64_t len, bool force);
/*
 * Limits that differ from the source's: BLOCKCOPY_LOG_DETAIL lines; -EINVAL where a pivot cannot
 * be.
 */
int bcl_destination_compare_limits(struct blockcopy *bc, dev_t source, dev_t destination);

/* ---- extents.c ---- */

/* Do the first "@len" sectors of two devices share some? Return: 1 with where, 0, -errno. */
int bcl_shared_extent(struct blockcopy *bc, dev_t a, dev_t b, uint64_t len, dev_t *ret_dev);

/* ---- helper.c: the device that holds a live table that is more than one linear line ---- */

/* A device by its uuid that is the helper of "@dev". Return: 1 there, 0 none, -errno. */
int bcl_helper_find(struct blockcopy *bc, const struct bcl_dm_info *dev,
		    struct bcl_dm_info *ret_helper);
bool bcl_is_helper(const struct bcl_dm_info *dev);
int bcl_helper_name(struct blockcopy *bc, const struct bcl_dm_info *dev, char **ret_name);
/* May two devices with this table be alive at once? */
int bcl_helper_check(struct blockcopy *bc, const struct bcl_dm_info *dev,
		     const struct bcl_table *t);
int bcl_helper_create(struct blockcopy *bc, const struct bcl_dm_info *dev,
		      const struct bcl_table *t, struct bcl_dm_info *ret_helper);
int bcl_helper_remove(struct blockcopy *bc, const struct bcl_dm_info *helper);

/* ---- kmsg.c ---- */

/* The kernel log from here on; -1 where it cannot be read. */
int bcl_kmsg_open(void);
/* What device-mapper said of a table for "@dev" since then; NULL nothing. The caller frees. */
char *bcl_kmsg_reason(int fd, dev_t dev);

/* ---- swap.c ---- */

struct bcl_job;

/*
 * Replace the live table by one load and one resume. Returns 0 only with "@t" live. On failure
 * the device runs on the table that it had, and the inactive slot is empty, unless the message
 * says otherwise.
 */
int bcl_swap(struct blockcopy *bc, const struct bcl_dm_info *dev, const struct bcl_table *t);
/*
 * Is a job's table in the inactive slot, as a start leaves it that was killed between its load and
 * its resume? Clear it. Neither touches the handle's error.
 */
bool bcl_has_loaded_job(struct blockcopy *bc, const struct bcl_dm_info *dev);
void bcl_clear_loaded_job(struct blockcopy *bc, const struct bcl_dm_info *dev);
/*
 * The same for the source's table, as an abort leaves it beside a job that goes on. Whoever resumes
 * the device next would end the job, and after a pivot take writes away. Return: it was there.
 */
bool bcl_clear_loaded_source(struct blockcopy *bc, const struct bcl_job *j);
/*
 * The table of the device on one leg alone: that of the helper, if the leg is one, or a linear line.
 */
int bcl_leg_table(struct blockcopy *bc, const char *leg, uint64_t offset, uint64_t len,
		  struct bcl_dm_info *ret_helper, bool *ret_has_helper, struct bcl_table **ret_table);
/* Of the source: the table that is below a job. */
int bcl_source_table(struct blockcopy *bc, const struct bcl_args *args, uint64_t len,
		     struct bcl_dm_info *ret_helper, bool *ret_has_helper,
		     struct bcl_table **ret_table);

/* ---- job.c ---- */

struct bcl_job {
	struct bcl_dm_info dev;
	uint64_t len;		/* sectors */
	struct bcl_args args;
	struct bcl_status status;
	bool destination_gone;	/* sysfs does not know it any more */
};

void bcl_job_done(struct bcl_job *j);
/* Return: 1 a job, 0 a device without one, -errno. Does no I/O, and opens neither leg. */
int bcl_job_read(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret);
/* As above by name; no job is BLOCKCOPY_NOT_FOUND. */
int bcl_job_find(struct blockcopy *bc, const char *name, struct bcl_job *ret);
/* The same under the lock, which is an fd to close. */
int bcl_job_lock(struct blockcopy *bc, const char *name, struct bcl_job *ret, int *ret_lock);
int bcl_job_message(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *fmt, ...)
	_printf_(3, 4);
/* Did pivot --keep-source leave it: does it copy from the new device to the old one? */
bool bcl_is_way_back(const struct bcl_job *j);
/* Why it failed, was paused by an error, or did not complete: a sentence. */
const char *bcl_job_why(const struct bcl_job *j);
/* By an error policy, not by the user: there the I/O status is ok. */
bool bcl_job_paused_by_error(const struct bcl_job *j);
int bcl_info_from_job(struct blockcopy *bc, const struct bcl_job *j,
		      struct blockcopy_info **ret_info);

/* ---- end.c: the swaps that end a job; the caller holds the lock ---- */

/* Source back, helper away. */
int bcl_end_on_source(struct blockcopy *bc, struct bcl_job *j);
/* Who reads the destination of a finished job gets what is on it. */
int bcl_job_show_copy(struct blockcopy *bc, const struct bcl_job *j);
/* Linear over the destination, helper away. The state is pivoted. */
int bcl_end_on_destination(struct blockcopy *bc, struct bcl_job *j);

/* ---- attach.c ---- */

int bcl_attach_check_name(struct blockcopy *bc, const char *name);
/* Was it made by blockcopy_attach()? */
bool bcl_is_attached(const struct bcl_dm_info *dev);
/* The uuid that the layer of this name has. NULL: no memory. */
char *bcl_attach_uuid(const char *name);
/* Does nobody use it? One of device-mapper only if "@dm_ok". */
int bcl_attach_check(struct blockcopy *bc, const struct bcl_destination *d, bool dm_ok);
/* One linear line of "@len" sectors (0: all of it) from "@offset" on, over a device that was checked. */
int bcl_attach(struct blockcopy *bc, const struct bcl_destination *d, const char *name,
	       uint64_t len, uint64_t offset);

/* ---- distrust.c ---- */

/* What the metadata of that dm device says is not to be gone on from. Return: 0, -errno. */
int bcl_distrust(const char *name, dev_t metadata);
bool bcl_distrusted(const char *name, dev_t metadata);
/* It is formatted anew. */
void bcl_trust(const char *name, dev_t metadata);

/* ---- start.c ---- */

/* All of a start, under the lock. -ESTALE: there is no going on from that metadata. */
int bcl_start(struct blockcopy *bc, const struct bcl_dm_info *dev, const char *destination,
	      const struct blockcopy_options *options);
/* Drop the table that a start left which was killed before its resume. "@dev" is looked at again. */
int bcl_start_drop_interrupted(struct blockcopy *bc, struct bcl_dm_info *dev);

/* ---- tracking.c: jobs that stay when they do not copy ---- */

/* Can it go on tracking? Return: 0, or -EINVAL when it keeps no metadata, or that has failed. */
int bcl_tracking_check(struct blockcopy *bc, const struct bcl_job *j);
/* It has just finished, and stays. */
int bcl_tracking_begin(struct blockcopy *bc, struct bcl_job *j);
/* Finished, and meant to stay as far as one can tell. */
bool bcl_is_tracking(const struct bcl_job *j);
/*
 * If the options say "bitmap" and the device has a job that tracks only, let it copy again; the
 * caller holds the lock. Return: 1 it does, 0 there is none, -errno.
 */
int bcl_tracking_go_on(struct blockcopy *bc, struct bcl_dm_info *dev, const char *destination,
		       const struct blockcopy_options *o);

/* ---- events.c ---- */

struct bcl_wait {
	int fd;			/* /dev/mapper/control */
	int cancel_fd;
};

int bcl_wait_open(struct blockcopy *bc, struct bcl_wait *ret);
void bcl_wait_done(struct bcl_wait *w);
/* From now on an event ends bcl_wait_event(). Arm, then look, then wait: nothing is missed. */
int bcl_wait_arm(struct blockcopy *bc, struct bcl_wait *w);
/* Return: 1 an event, 0 "@timeout_ms" passed (-1: never), -EINTR cancelled. */
int bcl_wait_event(struct blockcopy *bc, struct bcl_wait *w, int64_t timeout_ms);
/*
 * blockcopy_wait() for something. "judge" returns 1 over, 0 go on waiting, -errno; "timed_out" makes
 * the error after "@s" seconds.
 */
struct bcl_wait_what {
	int (*judge)(struct blockcopy *bc, const struct bcl_job *j);
	int (*timed_out)(struct blockcopy *bc, const struct bcl_job *j, long long s);
};
int bcl_wait_for(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
		 blockcopy_progress_fn progress, void *userdata, const struct bcl_wait_what *what);
/* Wait for a state other than completing. */
int bcl_wait_completed(struct blockcopy *bc, const struct bcl_dm_info *dev, struct bcl_job *ret);

#endif /* BCL_INTERNAL_H */

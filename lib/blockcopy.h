/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libblockcopy: copy a device-mapper device in use to another block device, then switch to the
 * copy.
 *
 * Conventions
 *
 *  - Functions return 0 or a negative errno. Outputs named ret_* are written on success only.
 *  - After a failure the handle holds what kind of failure it was and one line that says it,
 *    without a trailing dot or newline: blockcopy_error(), blockcopy_error_message().
 *  - The library prints nothing, never exits, installs no signal handler. What is worth telling
 *    beside an error goes to the log function of the handle.
 *  - Different handles may be used by different threads at the same time; one handle by one
 *    thread at a time, and likewise an options object, an info, a metadata and a monitor. Objects
 *    got from a handle do not refer to it unless it says so, and outlive it.
 *  - Calls that take a handle and a NAME may block for I/O of devices that are in their way; those that
 *    wait for a copy say so. None is safe in a signal handler; after fork() only one of the two processes
 *    may go on with a handle.
 *  - Errors that any such call may return: -ENOMEM, -EPERM and what the kernel returned
 *    (BLOCKCOPY_FAILED), -ENXIO (BLOCKCOPY_NOT_FOUND). The number is for messages; decide by
 *    blockcopy_error().
 *  - Sizes and offsets are bytes, rates bytes per second, unless the name says another unit.
 *  - NAME is a dm name, a path that leads to a dm device (/dev/mapper/x, /dev/dm-3, /dev/vg/lv) or
 *    MAJOR:MINOR. Strings are neither kept nor changed.
 *  - Everything that changes a device needs root, and so do most of the queries.
 *
 * The library keeps no state outside the kernel: the tables are the state. A process killed at
 * any instruction leaves a device that serves I/O; the same call again, or blockcopy_recover(),
 * goes on from there.
 */
#ifndef BLOCKCOPY_H
#define BLOCKCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of failures; the numbers are the exit statuses of the controller and never change. */
enum blockcopy_error {
	BLOCKCOPY_OK		= 0,
	BLOCKCOPY_FAILED	= 1,	/* the system or the copy failed */
	BLOCKCOPY_USAGE		= 2,	/* an argument makes no sense */
	BLOCKCOPY_NOT_FOUND	= 3,	/* no such device or no job on it */
	BLOCKCOPY_WRONG_STATE	= 4,	/* not now: not ready, a job runs already, ... */
	BLOCKCOPY_TIMED_OUT	= 5,
	BLOCKCOPY_REFUSED	= 6,	/* would endanger data */
};

enum blockcopy_state {
	BLOCKCOPY_STATE_ID_COPYING,
	BLOCKCOPY_STATE_ID_READY,
	BLOCKCOPY_STATE_ID_COMPLETING,
	BLOCKCOPY_STATE_ID_PIVOTED,
	BLOCKCOPY_STATE_ID_FINISHED,
	BLOCKCOPY_STATE_ID_FAILED,
	BLOCKCOPY_STATE_ID_MAX,
	BLOCKCOPY_STATE_ID_INVALID = -22,
};

enum blockcopy_log_level {
	BLOCKCOPY_LOG_WARNING,		/* the user should know */
	BLOCKCOPY_LOG_INFO,		/* something was done */
	BLOCKCOPY_LOG_DETAIL,		/* for --verbose: differences that may matter */
};

struct blockcopy;		/* a handle */
struct blockcopy_options;	/* how to copy */
struct blockcopy_info;		/* a job, seen at one moment */
struct blockcopy_monitor;	/* a stream of changes */

/* Of bytes. */
struct blockcopy_range {
	uint64_t offset;
	uint64_t length;
};

/* "@line" is one line without newline, valid during the call only. */
typedef void (*blockcopy_log_fn)(void *userdata, enum blockcopy_log_level level, const char *line);

/* ---- the handle ---- */

/* Version of the library, "0.2.0"; static. */
const char *blockcopy_version(void);

/* Make a handle: no device is opened, nothing is asked. Return: 0, -ENOMEM. */
int blockcopy_new(struct blockcopy **ret_bc);
/* Take it back; jobs go on. Accepts NULL, as all blockcopy_*_free() do. */
void blockcopy_free(struct blockcopy *bc);

/* What the last call that failed on this handle failed of. */
enum blockcopy_error blockcopy_error(const struct blockcopy *bc);
/* Owned by the handle, valid until its next call; never NULL. */
const char *blockcopy_error_message(const struct blockcopy *bc);

/* Where lines go that are no errors, from within the calls on the handle. NULL is silence, the default. */
void blockcopy_set_log(struct blockcopy *bc, blockcopy_log_fn fn, void *userdata);

/*
 * Calls that wait also poll "@fd" for reading, and return -EINTR (BLOCKCOPY_FAILED) as soon as it
 * is readable: give a signalfd or the read end of a pipe. -1 is none, the default. The fd stays
 * the caller's.
 */
void blockcopy_set_cancel_fd(struct blockcopy *bc, int fd);

/*
 * Let blockcopy_pivot() and blockcopy_finish() go on where the metadata device does not take the
 * record. It must not be used at the next boot then. And blockcopy_pivot_source_failed(), see there.
 * Overrides no other refusal.
 */
void blockcopy_set_force(struct blockcopy *bc, bool force);

/*
 * The number of a device: a dm device by any of its names, or a block device by path or tag.
 * BLOCKCOPY_NOT_FOUND: none of that name.
 */
int blockcopy_resolve(struct blockcopy *bc, const char *name, dev_t *ret_dev);

/* ---- options ---- */

/* Make options, all at their defaults, for any number of calls. Return: 0, -ENOMEM. */
int blockcopy_options_new(struct blockcopy_options **ret_options);
/* Accepts NULL. */
void blockcopy_options_free(struct blockcopy_options *o);

/*
 * Each setter returns 0 or -EINVAL when the value is out of range, and leaves the option as it
 * was then. Defaults are those of the kernel target.
 */
/* Limit of the copier in bytes/s, at most INT64_MAX; 0 is no limit, the default. */
int blockcopy_options_set_bandwidth(struct blockcopy_options *o, uint64_t bytes_per_s);
/* Bytes that are tracked and copied as one: a power of two, 4 KiB to 64 MiB (64 KiB). */
int blockcopy_options_set_granularity(struct blockcopy_options *o, uint64_t bytes);
/* Most bytes in flight between the devices, 1 MiB to 256 MiB (16 MiB). */
int blockcopy_options_set_buf_size(struct blockcopy_options *o, uint64_t bytes);
/*
 * How guest writes reach the destination: "background", later; "write-blocking", before they are
 * acknowledged; "auto", the default: the one or the other, whatever converges.
 */
int blockcopy_options_set_copy_mode(struct blockcopy_options *o, const char *word);
/* Longest that a guest write waits for the destination, 10 to 60000 ms (1000). */
int blockcopy_options_set_write_timeout(struct blockcopy_options *o, unsigned int ms);
/*
 * What an error of that leg does: "report", the default: the job fails; "ignore", it is tried again, and
 * of a source all is copied that can be read, see blockcopy_map(); "enospc", a
 * full destination pauses the job, any other error fails it; "stop", the job is paused.
 */
int blockcopy_options_set_on_source_error(struct blockcopy_options *o, const char *word);
int blockcopy_options_set_on_target_error(struct blockcopy_options *o, const char *word);
/*
 * What is to be copied: "full", the default, everything; "none", the devices are equal; "bitmap", what may differ as the metadata says, which is
 * how a job goes on after a crash.
 */
int blockcopy_options_set_sync(struct blockcopy_options *o, const char *word);
/* How zeroes are written: "off", as data; "on", by write-zeroes; "unmap", the default: they may deallocate. */
int blockcopy_options_set_detect_zeroes(struct blockcopy_options *o, const char *word);
/*
 * The destination reads as zeroes everywhere: what is zero at the source is not written there. Some places
 * are looked at before the job begins. Not with "@sync" none or bitmap. Of a source that is a thin device, or a
 * loop device over a file, what is not allocated is not even read; for thin devices that needs thin_dump(8).
 */
void blockcopy_options_set_target_is_zero(struct blockcopy_options *o, bool zero);
/* What is copied is read from the destination, too, and only what differs is written there. */
void blockcopy_options_set_compare(struct blockcopy_options *o, bool compare);
/*
 * Copy these ranges, of bytes and in any order, and what is written from now on; the destination is
 * trusted to have all the rest. They are copied, and none of them may be behind the end of the device.
 * Return: 0, -ENOMEM.
 */
int blockcopy_options_set_ranges(struct blockcopy_options *o, const struct blockcopy_range *ranges, size_t n);
/*
 * The destination shows what the source is based on: write only what differs. Without a base the devices
 * are compared for that. With one, which is named as a device to copy is, both are thin devices of one pool,
 * whose metadata tells what is to be read at all: the destination is trusted to have what the base has. Needs
 * thin_delta(8). A base says "@shallow" by itself.
 */
void blockcopy_options_set_shallow(struct blockcopy_options *o, bool shallow);
int blockcopy_options_set_base(struct blockcopy_options *o, const char *device);
/*
 * Keep what may differ on that device (a path or tag), so that the job can go on after a crash. It
 * is formatted for the job, but for "bitmap".
 */
int blockcopy_options_set_metadata(struct blockcopy_options *o, const char *device);
/* Start with the copier paused, until blockcopy_resume(). */
void blockcopy_options_set_paused(struct blockcopy_options *o, bool paused);
/* Overwrite a destination that carries a signature. Overrides no other refusal. */
void blockcopy_options_set_force(struct blockcopy_options *o, bool force);
/*
 * What a destination that is a file is written as: "raw", or a format that qemu-img can create and
 * qemu-nbd can write: "qcow2", "vmdk" ...
 */
int blockcopy_options_set_format(struct blockcopy_options *o, const char *format);
/* A destination that is a file or an image of Ceph must be there and is used as it is; else it must not, or be empty. */
void blockcopy_options_set_reuse_external(struct blockcopy_options *o, bool reuse);
/* The destination must be a block device: no file is created by a slip of the pen. */
void blockcopy_options_set_blockdev(struct blockcopy_options *o, bool blockdev);

/*
 * A destination as libvirt describes it: the <disk> of virsh blockcopy --xml, "@n" bytes, of type
 * file, block or network with protocol nbd or rbd. Sets format and blockdev in "@o"; what to give to
 * blockcopy_start() is in *ret_destination, which the caller frees. BLOCKCOPY_USAGE names the element
 * that is not understood.
 */
int blockcopy_destination_from_xml(struct blockcopy *bc, const char *text, size_t n,
				   struct blockcopy_options *o, char **ret_destination);
/* The other way. "@is_device": a path is that of a block device. The caller frees the text. */
int blockcopy_destination_to_xml(struct blockcopy *bc, const char *destination, bool is_device,
				 const struct blockcopy_options *o, char **ret_text);

/* ---- a job ---- */

/*
 * Insert the target under the device NAME and begin to copy to "@destination": a path, or a tag
 * UUID=, PARTUUID=, LABEL=, PARTLABEL=. A path may be that of a file: one that is missing is
 * created, and attached to a loop device, or by qemu-nbd if it is no raw one; "nbd://host:port/export"
 * and "nbd+unix:///export?socket=path" are exports of a server. The device goes with its last user.
 * "rbd:pool/image", with options as :id=USER behind it, is an image of a Ceph cluster,
 * which rbd(8) creates if it is missing and maps; it is unmapped when a job ends and nobody uses it.
 * Checks everything before it changes anything; a file that was made is taken away after a failure. "@options" may be
 * NULL. Returns when the copy runs.
 */
int blockcopy_start(struct blockcopy *bc, const char *name, const char *destination,
		    const struct blockcopy_options *options);

/*
 * What blockcopy_start() would do, a line a step, after the same checks. Keys in tables are
 * masked unless "@show_keys". The caller frees the text.
 */
int blockcopy_plan(struct blockcopy *bc, const char *name, const char *destination,
		   const struct blockcopy_options *options, bool show_keys, char **ret_text);

/*
 * Wait until the job is READY, or ended by pivot or finish: 0. A failed job is -EIO
 * (BLOCKCOPY_FAILED), one that was removed meanwhile -ENXIO (BLOCKCOPY_NOT_FOUND), no READY
 * within "@timeout_ms" -ETIMEDOUT; -1 is no limit. A job that an error has paused is waited for, as
 * somebody may make room and resume it; a BLOCKCOPY_LOG_WARNING line says so. "@progress" (may be
 * NULL) is called with the state at first, after each event and each "@interval_ms" (-1: events
 * only).
 */
typedef void (*blockcopy_progress_fn)(void *userdata, const struct blockcopy_info *info);
int blockcopy_wait(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
		   blockcopy_progress_fn progress, void *userdata);

/*
 * Switch a READY job to the destination, with guest writes held at most "@max_blackout_ms"
 * (1..60000), and leave a plain linear table. -EAGAIN (BLOCKCOPY_WRONG_STATE) when not READY or
 * when the budget did not suffice: the copy then goes on. On a job that is pivoted already only
 * the rest is done.
 */
int blockcopy_pivot(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		    uint64_t *ret_blackout_us);

/*
 * Likewise, but the job stays and goes on the other way round, from the instant of the switch on: the
 * destination is the source now, and each write goes to the old source as well. blockcopy_pivot() goes
 * back, blockcopy_abort() stays. A job that is that way already: 0. Not for one with metadata.
 */
int blockcopy_pivot_keep_source(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
				uint64_t *ret_blackout_us);

/*
 * Go back from such a job, whose source has failed: it need not be READY, and nothing is read there.
 * BLOCKCOPY_REFUSED where the old source may lack what was acknowledged: those bytes are lost with
 * blockcopy_set_force().
 */
int blockcopy_pivot_source_failed(struct blockcopy *bc, const char *name,
				  unsigned int max_blackout_ms, uint64_t *ret_blackout_us);

/*
 * Make the destination the image of the device at one instant, stay on the source, take the
 * target out. Errors as blockcopy_pivot().
 */
int blockcopy_finish(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
		     uint64_t *ret_blackout_us);

/*
 * Likewise, but the target stays and tracks what the guest writes from that instant on: a later
 * blockcopy_start() to the same destination with the same metadata and "bitmap" copies only that.
 * The destination stays claimed. Needs a job with metadata. blockcopy_abort() ends it.
 */
int blockcopy_finish_tracking(struct blockcopy *bc, const char *name, unsigned int max_blackout_ms,
			      uint64_t *ret_blackout_us);

/*
 * The same for a group of "@n" devices, each named once: all at one instant, or, if one cannot within the
 * budget, none: then all jobs go on. "@ret_blackout_us" has room for "@n", in the order of the names. What
 * all of them have done already only lacks its end; one whose target was taken out before, by a call that
 * was interrupted, has UINT64_MAX there; but where the others are finished with metadata, they may track
 * since long ago, and that is BLOCKCOPY_NOT_FOUND. A failure to take one out leaves that one to
 * blockcopy_recover(), and is told when the others are done.
 */
int blockcopy_pivot_group(struct blockcopy *bc, const char *const *names, size_t n,
			  unsigned int max_blackout_ms, uint64_t *ret_blackout_us);
int blockcopy_finish_group(struct blockcopy *bc, const char *const *names, size_t n,
			   unsigned int max_blackout_ms, bool keep_tracking,
			   uint64_t *ret_blackout_us);

/*
 * Stop copying, and track what is written for such a start. The destination is of no use until
 * then. Needs a job with metadata.
 */
int blockcopy_abort_tracking(struct blockcopy *bc, const char *name);

/*
 * Put the source back as it was; the destination is then of no use (unless the job was finished).
 * Neither looks at the destination nor waits for it, so that it may be gone or hang, and works in
 * each state but pivoted. No job on the device: 0 when
 * "@missing_ok", else BLOCKCOPY_NOT_FOUND.
 */
int blockcopy_abort(struct blockcopy *bc, const char *name, bool missing_ok);

/*
 * Stop copying; writes are kept account of. Returns at once. One that is paused already, has ended
 * or is being ended: BLOCKCOPY_WRONG_STATE.
 */
int blockcopy_pause(struct blockcopy *bc, const char *name);
/* Goes on copying, also after a failure; BLOCKCOPY_WRONG_STATE when the destination is gone. */
int blockcopy_resume(struct blockcopy *bc, const char *name);
/*
 * Change a running job, at once. Values as for the options of the same name; those that are out of
 * range are -EINVAL, BLOCKCOPY_USAGE.
 */
int blockcopy_set_bandwidth(struct blockcopy *bc, const char *name, uint64_t bytes_per_s);
int blockcopy_set_buf_size(struct blockcopy *bc, const char *name, uint64_t bytes);
int blockcopy_set_copy_mode(struct blockcopy *bc, const char *name, const char *word);
int blockcopy_set_write_timeout(struct blockcopy *bc, const char *name, unsigned int ms);
int blockcopy_set_on_source_error(struct blockcopy *bc, const char *name, const char *word);
int blockcopy_set_on_target_error(struct blockcopy *bc, const char *name, const char *word);

/*
 * Compare source and destination in the kernel, while the guest writes. What is dirty or being written
 * is looked at again later, never taken for a difference; what is so all the time is not compared in
 * the end. "@repair": what differs is copied again. "@bytes_per_s" limits it, 0 does not; the limit of
 * the copier holds as well, and the copier has precedence. Returns when it runs: blockcopy_info_verify()
 * and its kin, and the event "verified", tell the rest. BLOCKCOPY_WRONG_STATE when one runs, or the
 * job neither copies nor is ready.
 */
int blockcopy_verify(struct blockcopy *bc, const char *name, bool repair, uint64_t bytes_per_s);
/* Enough of that. None runs: 0. */
int blockcopy_verify_stop(struct blockcopy *bc, const char *name);
/*
 * Wait until it is done. One that was stopped, be it because the job was completed, aborted or has
 * failed, is -ECANCELED (BLOCKCOPY_WRONG_STATE); all else is as for blockcopy_wait().
 */
int blockcopy_verify_wait(struct blockcopy *bc, const char *name, int64_t timeout_ms, int interval_ms,
			  blockcopy_progress_fn progress, void *userdata);

/*
 * What the last one found to differ, sorted, also while it runs; the caller frees the array. There are no
 * more than 1024 in it, blockcopy_info_verify_ranges() is how many there were.
 */
int blockcopy_verify_ranges(struct blockcopy *bc, const char *name,
			    struct blockcopy_range **ret_ranges, size_t *ret_n);
/*
 * As a condition of what follows: BLOCKCOPY_REFUSED if the last one, which is done, found differences or
 * could not read everything.
 */
int blockcopy_verify_check(struct blockcopy *bc, const char *name);

enum blockcopy_map_kind {
	BLOCKCOPY_MAP_DIRTY,		/* what may differ at this moment: not copied yet, or written to since */
	BLOCKCOPY_MAP_UNREAD,		/* what of it could not be read at the source (policy "ignore") */
};

/*
 * Where the two devices of the job on NAME may differ, sorted; the caller frees the array. What is dirty is in
 * whole regions, but for one that was copied up to what could not be read: that is told by the logical block.
 */
int blockcopy_map(struct blockcopy *bc, const char *name, enum blockcopy_map_kind kind,
		  struct blockcopy_range **ret_ranges, size_t *ret_n);

/*
 * Finish or undo what an interrupted controller left, on NAME or (NULL) on all devices: each deed
 * is a BLOCKCOPY_LOG_INFO line. A running job is left alone.
 */
int blockcopy_recover(struct blockcopy *bc, const char *name, unsigned int *ret_deeds);

/*
 * Give a plain disk or partition a dm device NAME, one linear line over the whole of it; or a device that was
 * made so, that each of the two can have a job: a copy to two destinations.
 */
int blockcopy_attach(struct blockcopy *bc, const char *device, const char *name);
/*
 * Likewise for a device that is copied with metadata, as after a boot: that one of the two devices
 * gets the name which has the data, as the metadata says. Where neither is what it says, or NAME is
 * there and stands elsewhere, that is BLOCKCOPY_REFUSED. "@destination" and "@metadata" may be NULL.
 * "@ret_new": NAME was not there before.
 */
int blockcopy_attach_job(struct blockcopy *bc, const char *device, const char *name,
			 const char *destination, const char *metadata, bool *ret_new);
/*
 * Go on with the job that the metadata of the options knows, if it does, to that one of the two
 * devices that it means: one that copied copies what may differ, or everything if the device was
 * written to without it, and one that was finished tracks on. "@ret_has_job": NAME has a job now.
 */
int blockcopy_come_back(struct blockcopy *bc, const char *name, const char *device,
			const char *destination, const struct blockcopy_options *options,
			bool *ret_has_job);
/*
 * Note that the metadata of the job on NAME is not to be believed after a crash, as it has failed and
 * may answer again; until it is formatted anew. In /var/lib/blockcopy.
 */
int blockcopy_distrust(struct blockcopy *bc, const char *name);
/*
 * Remove what blockcopy_attach() made, also after a pivot; refused while it is open or has a job.
 */
int blockcopy_detach(struct blockcopy *bc, const char *name);

/*
 * Let NAME, without a job and one linear line, have all of the device that it stands on, as after a pivot to a larger one; the
 * size in bytes in *ret_len. BLOCKCOPY_WRONG_STATE when there is no room or a job, BLOCKCOPY_REFUSED when the room may
 * be somebody else's.
 */
int blockcopy_grow(struct blockcopy *bc, const char *name, uint64_t *ret_len);
/*
 * The same for a device that blockcopy_attach_job() makes at boot with that metadata (may be NULL): where its job has pivoted the
 * metadata says how long the device is, and is told first. BLOCKCOPY_REFUSED for metadata of another device, or of a job that is
 * to come back.
 */
int blockcopy_grow_recorded(struct blockcopy *bc, const char *name, const char *metadata, uint64_t *ret_len);

/* ---- looking ---- */

/* The job on NAME. No job or no device: -ENXIO, BLOCKCOPY_NOT_FOUND. */
int blockcopy_info_get(struct blockcopy *bc, const char *name, struct blockcopy_info **ret_info);
/* Accepts NULL. */
void blockcopy_info_free(struct blockcopy_info *i);

/* All jobs, sorted by name; free with blockcopy_info_list_free(). */
int blockcopy_list(struct blockcopy *bc, struct blockcopy_info ***ret_list, size_t *ret_n);
/* With the infos in it. */
void blockcopy_info_list_free(struct blockcopy_info **list, size_t n);

/*
 * What an info holds does not change, and asks nobody. Strings are owned by it. Counters begin when the
 * table became live.
 */
/* Of the dm device. */
const char *blockcopy_info_name(const struct blockcopy_info *i);
/* Of the dm device, "" without. */
const char *blockcopy_info_uuid(const struct blockcopy_info *i);
/* The state, as a number and as a word. */
enum blockcopy_state blockcopy_info_state(const struct blockcopy_info *i);
const char *blockcopy_info_state_word(const struct blockcopy_info *i);
/* Both are equal but for what is being written; stays true after a pivot or a finish. */
bool blockcopy_info_ready(const struct blockcopy_info *i);
/* By blockcopy_pause(), or by an error of policy "stop" or "enospc". */
bool blockcopy_info_paused(const struct blockcopy_info *i);
bool blockcopy_info_suspended(const struct blockcopy_info *i);	/* the dm device, not the job */
/* Mirroring, and nothing left to copy: each write that is acknowledged is in both places. */
bool blockcopy_info_actively_synced(const struct blockcopy_info *i);
/* The word of the option, as in force. */
const char *blockcopy_info_copy_mode(const struct blockcopy_info *i);
/* Do guest writes go to both legs before they are acknowledged, at this moment? */
bool blockcopy_info_mirroring(const struct blockcopy_info *i);
uint64_t blockcopy_info_mirrored_bytes(const struct blockcopy_info *i);	/* of guest writes, so far */
/* Milliseconds; 0 and NULL: the kernel module is older than these. */
unsigned int blockcopy_info_write_timeout(const struct blockcopy_info *i);
const char *blockcopy_info_on_source_error(const struct blockcopy_info *i);
const char *blockcopy_info_on_target_error(const struct blockcopy_info *i);
/* Writes that the destination has not answered in time, now and ever. */
uint64_t blockcopy_info_late_writes(const struct blockcopy_info *i);
uint64_t blockcopy_info_timeouts(const struct blockcopy_info *i);
/* "none"; "ok"; "failed", the job goes on without: after a crash everything is copied again. */
const char *blockcopy_info_metadata(const struct blockcopy_info *i);
uint64_t blockcopy_info_intent_bytes(const struct blockcopy_info *i);	/* copied after a crash */
/* Did blockcopy_pivot_keep_source() leave it: is the destination where the device was before? */
bool blockcopy_info_way_back(const struct blockcopy_info *i);
/* Of regions with acknowledged writes that the destination may lack. */
uint64_t blockcopy_info_source_only_bytes(const struct blockcopy_info *i);
/* "none", "running", "done", "stopped"; the numbers are those of the last one. */
const char *blockcopy_info_verify(const struct blockcopy_info *i);
uint64_t blockcopy_info_verify_total_bytes(const struct blockcopy_info *i);	/* to be compared */
uint64_t blockcopy_info_verify_bytes(const struct blockcopy_info *i);	/* that were compared */
uint64_t blockcopy_info_verify_unread_bytes(const struct blockcopy_info *i);
uint64_t blockcopy_info_verify_differing_bytes(const struct blockcopy_info *i);	/* in whole sectors */
uint64_t blockcopy_info_verify_ranges(const struct blockcopy_info *i);	/* how many */
uint64_t blockcopy_info_len(const struct blockcopy_info *i);		/* of the device, bytes */
uint64_t blockcopy_info_offset(const struct blockcopy_info *i);		/* equals len only when ready */
uint64_t blockcopy_info_dirty_bytes(const struct blockcopy_info *i);	/* of regions that may differ */
uint64_t blockcopy_info_inflight_bytes(const struct blockcopy_info *i);	/* being copied now */
uint64_t blockcopy_info_copied_bytes(const struct blockcopy_info *i);	/* so far, some twice */
uint64_t blockcopy_info_dirtied_bytes(const struct blockcopy_info *i);	/* by guest writes, so far */
uint64_t blockcopy_info_zeroed_bytes(const struct blockcopy_info *i);	/* of those copied */
uint64_t blockcopy_info_unwritten_bytes(const struct blockcopy_info *i);	/* likewise: they were equal */
/* What is to be copied is still being listed: all of it is dirty so far. */
bool blockcopy_info_listing(const struct blockcopy_info *i);
uint64_t blockcopy_info_region_size(const struct blockcopy_info *i);	/* bytes: the granularity */
uint64_t blockcopy_info_bandwidth(const struct blockcopy_info *i);	/* limit in bytes/s, 0 is none */
uint64_t blockcopy_info_buf_size(const struct blockcopy_info *i);	/* limit in bytes */
uint64_t blockcopy_info_rate(const struct blockcopy_info *i);		/* bytes/s copied lately */
/* Seconds until READY at the present rate; -1 unknown. */
int64_t blockcopy_info_eta_s(const struct blockcopy_info *i);
/* 0..100, 100 only when ready. */
unsigned int blockcopy_info_percent(const struct blockcopy_info *i);
/* "ok"; "failed" or "nospace" while failed, paused or backing off by an error. */
const char *blockcopy_info_io_status(const struct blockcopy_info *i);
/* Requests of the copier that failed, and of the mirror at the destination, so far. */
uint64_t blockcopy_info_source_errors(const struct blockcopy_info *i);
uint64_t blockcopy_info_target_errors(const struct blockcopy_info *i);
/* Of the source, that the copier could not read: the job is not ready before it could. See blockcopy_map(). */
uint64_t blockcopy_info_unread_bytes(const struct blockcopy_info *i);
/* A word, NULL without; "destination-gone" in place of what its absence made fail. */
const char *blockcopy_info_error(const struct blockcopy_info *i);
/* Was the destination taken away (unplugged)? */
bool blockcopy_info_destination_gone(const struct blockcopy_info *i);
uint64_t blockcopy_info_blackout_us(const struct blockcopy_info *i);	/* the last hold, 0 without */
const char *blockcopy_info_event(const struct blockcopy_info *i);	/* a word, NULL without */
uint64_t blockcopy_info_events(const struct blockcopy_info *i);		/* how many there were */
/* Paths where the devices have some, else MAJOR:MINOR, as also for one that is gone. */
const char *blockcopy_info_source(const struct blockcopy_info *i);
const char *blockcopy_info_destination(const struct blockcopy_info *i);
/* The dm device below the source that has a job as well, the nearest one; NULL: none does. */
const char *blockcopy_info_below(const struct blockcopy_info *i);
/* The file, "FORMAT:FILE", "nbd://..." or "rbd:..." that the destination stands for; NULL: a device like any. */
const char *blockcopy_info_destination_spec(const struct blockcopy_info *i);

/* A sentence for a word of blockcopy_info_error(); static, the word itself when it is not known. */
const char *blockcopy_error_word_explain(const char *word);

/* ---- metadata ---- */

struct blockcopy_metadata;	/* what is on a metadata device, seen at one moment */

/*
 * Make "@device" the metadata of a job that copies NAME to "@destination" with the granularity of
 * the options (may be NULL), everything to be copied. What carries anything else than our metadata
 * is refused, unless forced by the options. blockcopy_start() does that by itself.
 */
int blockcopy_metadata_format(struct blockcopy *bc, const char *device, const char *name,
			      const char *destination, const struct blockcopy_options *options);

/* Look at one, be it in use or not. What is not our metadata is BLOCKCOPY_REFUSED. */
int blockcopy_metadata_read(struct blockcopy *bc, const char *device,
			    struct blockcopy_metadata **ret_metadata);
/* Accepts NULL. */
void blockcopy_metadata_free(struct blockcopy_metadata *md);

/*
 * Put a superblock back that blockcopy_metadata_superblock() gave, on a device that lost it or on a new
 * one: the outcome of the job is known again, and everything counts as different. What carries
 * anything, metadata included, is refused, unless forced.
 */
int blockcopy_metadata_restore(struct blockcopy *bc, const char *device, const char *superblock,
			       bool force);
/* The superblock as text, for that. */
const char *blockcopy_metadata_superblock(const struct blockcopy_metadata *md);

/* What it holds does not change; strings are owned by it. */
const char *blockcopy_metadata_uuid(const struct blockcopy_metadata *md);	/* of the job */
/* new, copying, pivoted, finished; detached: the job has ended, there is nothing to go on from. */
const char *blockcopy_metadata_outcome(const struct blockcopy_metadata *md);
uint64_t blockcopy_metadata_generation(const struct blockcopy_metadata *md);	/* of the bitmap, from 1 */
uint64_t blockcopy_metadata_sequence(const struct blockcopy_metadata *md);	/* of the superblock */
uint64_t blockcopy_metadata_instant(const struct blockcopy_metadata *md);	/* s since 1970 */
uint64_t blockcopy_metadata_len(const struct blockcopy_metadata *md);		/* bytes */
uint64_t blockcopy_metadata_region_size(const struct blockcopy_metadata *md);	/* bytes */
/* "KIND:VALUE", what the devices are known by: dm-uuid, dm-name, wwid, serial, file, place or name. */
const char *blockcopy_metadata_source(const struct blockcopy_metadata *md);
uint64_t blockcopy_metadata_source_offset(const struct blockcopy_metadata *md);	/* bytes */
/* What the source stood on, if that was one device, else "". */
const char *blockcopy_metadata_below(const struct blockcopy_metadata *md);
const char *blockcopy_metadata_destination(const struct blockcopy_metadata *md);	/* as the source */
uint64_t blockcopy_metadata_destination_offset(const struct blockcopy_metadata *md);	/* bytes */
/* Copies of the superblock that are not good, of two: one may be, after a crash. */
unsigned int blockcopy_metadata_bad_slots(const struct blockcopy_metadata *md);
/* Of the bitmap; those that are not good, or were never written, count as all to be copied. */
uint64_t blockcopy_metadata_blocks(const struct blockcopy_metadata *md);
uint64_t blockcopy_metadata_bad_blocks(const struct blockcopy_metadata *md);
uint64_t blockcopy_metadata_intent_bytes(const struct blockcopy_metadata *md);	/* after a crash */

/* ---- following ---- */

enum blockcopy_change {
	BLOCKCOPY_CHANGE_FOUND,		/* a job that is there; all of them come first */
	BLOCKCOPY_CHANGE_STARTED,
	BLOCKCOPY_CHANGE_EVENT,		/* something happened: state, event or error differ */
	BLOCKCOPY_CHANGE_ENDED,		/* the info is the last one seen */
};

/*
 * Follow the job on NAME, or all (NULL). The monitor refers to the handle, which must outlive it,
 * and its errors are the handle's. No job on NAME: BLOCKCOPY_NOT_FOUND.
 */
int blockcopy_monitor_new(struct blockcopy *bc, const char *name,
			  struct blockcopy_monitor **ret_monitor);
/* Before its handle. Accepts NULL. */
void blockcopy_monitor_free(struct blockcopy_monitor *m);
/*
 * The next change; waits for it at most "@timeout_ms" (-1: for ever), then -ETIMEDOUT. -ENODATA
 * when the one job that is followed has ended and that was reported. The caller frees the info.
 */
int blockcopy_monitor_next(struct blockcopy_monitor *m, int64_t timeout_ms,
			   enum blockcopy_change *ret_change, struct blockcopy_info **ret_info);

#ifdef __cplusplus
}
#endif

#endif /* BLOCKCOPY_H */

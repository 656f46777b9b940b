/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The contract between the dm target "blockcopy" and userspace.
 *
 * Everything crosses as text: a table line in, a status line and a table line out, messages in.
 * Names here are fixed; new ones may be added, none is ever reused with another meaning.
 *
 * Table line
 *
 *	<start> <len> blockcopy <source> <offset> <destination> <offset> <region_sectors>
 *		[<#args> <arg>...]
 *
 * Offsets, <start>, <len> and <region_sectors> are in 512-byte sectors. Each argument is a name,
 * followed by a value where it takes one:
 *
 *	copy_mode background|write-blocking|auto
 *					how guest writes reach the destination: copied later | sent
 *					to both legs before they are acknowledged | the one or the
 *					other, whatever converges and does not hold the guest up
 *					(the default)
 *	write_timeout <ms>		longest that a guest write waits for the destination
 *	sync full|none|bitmap|ranges	copy everything | the legs are equal, copy what changes
 *					from now on | copy what may differ as the metadata says,
 *					everything if that is not to be believed | copy what
 *					"dirty" messages name, and what changes from now on: the
 *					job is "listing", and not READY, until "listed"
 *	metadata <device>		keep what may differ after a crash there; it has been
 *					formatted for this job ("blockcopy metadata format"). With
 *					sync full or none it begins anew. Before the table of such a
 *					job is taken away while the guest goes on: "detach"
 *	bandwidth <bytes/s>		limit of the background copier, 0 is none
 *	buf_size <bytes>		most bytes in flight between the legs
 *	detect_zeroes off|on|unmap	write what reads as zeroes as data | as WRITE_ZEROES | as
 *					WRITE_ZEROES that may deallocate (the default)
 *	target_is_zero			the destination reads as zeroes: what is zero at the source
 *					is not written there; with sync full or ranges. The line
 *					that status prints has it until something was written
 *	compare				read the destination, too, and write only what differs
 *	on_source_error report|ignore|enospc|stop
 *					what a read error of the copier does: the job fails (the
 *					default) | it is tried again, ever more slowly | as report,
 *					as a source is never full | the copier pauses
 *	on_target_error report|ignore|enospc|stop
 *					what an error of the destination does: as above, enospc:
 *					a full destination pauses, any other error fails
 *	paused				start with the copier paused
 *	pivoted				the destination is the truth, nothing is copied (as after
 *					"complete")
 *	finished			the destination is a finished copy, nothing is copied (as
 *					after "finish")
 *
 * Messages
 *
 *	pause | resume			stop and go on copying; "resume" also leaves "failed"
 *	set <name> <value>		bandwidth, buf_size, copy_mode, write_timeout,
 *					on_source_error or on_target_error, as in the table line
 *	fail				give the destination up now: the job is "failed", no guest
 *					write waits for it any more
 *	detach				forget the metadata: when status says "detached" it is
 *					written down there that there is nothing to go on from
 *	dirty <start> <len> [<start> <len>]... | dirty all
 *				the legs may differ there, in sectors: copy it. While copying,
 *				ready or failed
 *	listed			the job of sync ranges knows all that is to be copied
 *	complete <ms> [unrecorded]	when READY: hold guest writes at most <ms>, go on at the
 *					destination; "unrecorded": also where the metadata takes no
 *					record of it
 *	complete <ms> reverse		likewise, and from that moment on go on as a job from the
 *					old destination to the old source: READY, write-blocking,
 *					on_source_error ignore. Not with metadata
 *	complete <ms> source-failed [lossy]
 *					of such a job: go on at the destination though the source
 *					cannot be read, if no acknowledged write is only there;
 *					"lossy": or even so
 *	finish <ms> [unrecorded]	when READY: hold guest writes at most <ms>, then leave the
 *					destination as it is
 *	complete|finish <ms> [unrecorded] group <id> <count>
 *				likewise, together with others: <count> jobs that were sent this
 *				with the same number <id> hold writes, and all do it at one instant;
 *				or none does, and all are READY again
 *
 *	verify [repair] [bandwidth <bytes/s>] [<start> <len>]
 *				compare the legs, all of them or so many sectors from there, while
 *				the guest writes, with what the copier leaves of the limit and no
 *				more than <bytes/s>; with "repair" what differs is made dirty. Once
 *				at a time, while copying or ready, paused or not
 *	verify stop		enough of that
 *	verify ranges		answers with what differs, as the last one found it: lines of
 *				"<start> <len>", sectors, at most BLOCKCOPY_VERIFY_RANGES
 *
 *	map <start> [<lines>]	answers with what may differ from there on: lines of "<start>
 *				<len>", sectors, no more than asked for, and a last one with the
 *				sector to ask on from, the length of the device when that was all
 *	map unread <start> [<lines>]
 *				likewise, with what of it the copier could not read at the source
 *
 * "complete" and "finish" return at once; an event tells when the state is no longer "completing".
 * So does "verify"; an event tells when it is no longer "running".
 *
 * Status line
 *
 *	<version> <state> <synced>/<total> <region_sectors> <#pairs> [<key> <value>]...
 *
 * <version> is BLOCKCOPY_STATUS_VERSION, <synced> and <total> are sectors; they are never equal
 * before the job is READY. Readers must skip keys that they do not know. Values hold no spaces.
 * Keys every status has:
 *
 *	ready			1 from when READY was latched until the epoch ends by an error;
 *				stays 1 when pivoted or finished
 *	paused			1 while the copier is paused
 *	copy_mode		the word of the table line that is in force
 *	mirroring		1 while guest writes go to both legs before they are acknowledged
 *	actively_synced		1 while mirroring and nothing is dirty or being copied
 *	mirrored_bytes		bytes of guest writes that reached both legs that way
 *	write_timeout		milliseconds, in force
 *	late_writes		writes that the destination has not answered for longer than that;
 *				their guests do not wait any more
 *	timeouts		how many there were
 *	listing			1 until "listed" with sync ranges
 *	dirty_bytes		bytes of all regions that may differ; all while listing
 *	inflight_bytes		bytes being copied now
 *	copied_bytes		bytes copied since the table became live, those of a region copied
 *				twice counted twice
 *	dirtied_bytes		bytes of regions that guest writes made dirty since then
 *	zeroed_bytes		bytes of copied_bytes that were sent as WRITE_ZEROES, or not sent
 *	unwritten_bytes		bytes of copied_bytes that were the same at the destination, with
 *				compare, and not written
 *	rate			bytes per second copied lately
 *	bandwidth		the limit in force, bytes per second, 0 is none
 *	buf_size		the limit in force, bytes
 *	on_source_error		the policy in force
 *	on_target_error		the policy in force
 *	io_status		ok; failed or nospace while the job is failed, paused or backing off
 *				because of an error
 *	source_errors		errors of copier reads
 *	unread_bytes		what the copier could not read at the source, as small as is known:
 *				policy ignore. The regions stay dirty, the rest of them is copied
 *	target_errors		errors of destination writes, zeroes and flushes
 *	error			"-", or what ended the last attempt or is retried, one of
 *				BLOCKCOPY_ERROR_*
 *	reversals		how often source and destination changed places
 *	source_only_bytes	bytes of regions with acknowledged writes that the destination may
 *				lack; of a job that was never reversed, the dirty ones
 *	metadata		none; ok; off before the table was live; failed, or did not answer
 *				for write_timeout and at least a second: the job goes on without,
 *				after a crash everything is copied again; detached: likewise, and
 *				that is written down on the device
 *	intent_bytes		bytes of the regions that would be copied after a crash
 *	verify			none; running; done; stopped: by the message, or because the job
 *				neither copies nor is ready any more. What the others tell is of
 *				the last one
 *	verify_total_bytes	what was to be compared
 *	verify_bytes		what has been. When done, the rest was dirty or written to whenever
 *				it was looked at, or is in the next
 *	verify_unread_bytes	what a leg could not read
 *	verify_differing_bytes	in sectors that were found to differ. None had a write on its way
 *	verify_ranges		how many ranges those are
 *	blackout_us		how long the last "complete" or "finish" held guest writes
 *	held			guest writes parked now
 *	event			name of the last event, "-" before the first
 *	events			its sequence number: how many events there were
 */
#ifndef BLOCKCOPY_ABI_H
#define BLOCKCOPY_ABI_H

#define BLOCKCOPY_TARGET_NAME		"blockcopy"
#define BLOCKCOPY_VERSION_MAJOR		0
#define BLOCKCOPY_VERSION_MINOR		2
#define BLOCKCOPY_VERSION_PATCH		0

#define BLOCKCOPY_STATUS_VERSION	1

/* Regions: a power of two of sectors, 4 KiB to 64 MiB. */
#define BLOCKCOPY_REGION_SECTORS_MIN	8
#define BLOCKCOPY_REGION_SECTORS_MAX	131072
#define BLOCKCOPY_REGION_SECTORS_DEFAULT 128

/* Bytes in flight between the legs. */
#define BLOCKCOPY_BUF_SIZE_MIN		1048576ULL
#define BLOCKCOPY_BUF_SIZE_MAX		268435456ULL
#define BLOCKCOPY_BUF_SIZE_DEFAULT	16777216ULL

/* "complete <ms>" and "finish <ms>". */
#define BLOCKCOPY_HOLD_MS_MIN		1
#define BLOCKCOPY_HOLD_MS_MAX		60000
#define BLOCKCOPY_HOLD_MS_DEFAULT	500

/* Members of a group, and how long they wait for the last one to come; nothing is held then. */
#define BLOCKCOPY_GROUP_MAX		1024
#define BLOCKCOPY_GROUP_JOIN_MS		5000

/* How long a guest write waits for the destination at most, milliseconds. */
#define BLOCKCOPY_WRITE_TIMEOUT_MIN	10
#define BLOCKCOPY_WRITE_TIMEOUT_MAX	60000
#define BLOCKCOPY_WRITE_TIMEOUT_DEFAULT	1000

/* What "verify ranges" tells at most. */
#define BLOCKCOPY_VERIFY_RANGES		1024

/* States, as status names them. */
#define BLOCKCOPY_STATE_COPYING		"copying"
#define BLOCKCOPY_STATE_READY		"ready"
#define BLOCKCOPY_STATE_COMPLETING	"completing"
#define BLOCKCOPY_STATE_PIVOTED		"pivoted"
#define BLOCKCOPY_STATE_FINISHED	"finished"
#define BLOCKCOPY_STATE_FAILED		"failed"

/* Values of "error". */
#define BLOCKCOPY_ERROR_NONE		"-"
#define BLOCKCOPY_ERROR_SOURCE_READ	"source-read"
#define BLOCKCOPY_ERROR_TARGET_WRITE	"target-write"
#define BLOCKCOPY_ERROR_TARGET_FLUSH	"target-flush"
#define BLOCKCOPY_ERROR_GIVEN_UP	"destination-given-up"
#define BLOCKCOPY_ERROR_BLACKOUT	"blackout-budget-spent"
#define BLOCKCOPY_ERROR_SUSPENDED	"suspended-while-completing"
#define BLOCKCOPY_ERROR_METADATA	"metadata-write"
#define BLOCKCOPY_ERROR_SOURCE_ONLY	"source-only-writes"
#define BLOCKCOPY_ERROR_GROUP		"group-member-failed"

/* Values of "event". */
#define BLOCKCOPY_EVENT_NONE		"-"
#define BLOCKCOPY_EVENT_READY		"ready"
#define BLOCKCOPY_EVENT_COMPLETING	"completing"
#define BLOCKCOPY_EVENT_NOT_COMPLETED	"not-completed"
#define BLOCKCOPY_EVENT_PIVOTED		"pivoted"
#define BLOCKCOPY_EVENT_FINISHED	"finished"
#define BLOCKCOPY_EVENT_PAUSED		"paused"
#define BLOCKCOPY_EVENT_RESUMED		"resumed"
#define BLOCKCOPY_EVENT_ERROR		"error"
#define BLOCKCOPY_EVENT_MODE_CHANGED	"mode-changed"
#define BLOCKCOPY_EVENT_FALLING_BEHIND	"falling-behind"
#define BLOCKCOPY_EVENT_METADATA_FAILED	"metadata-failed"
#define BLOCKCOPY_EVENT_VERIFIED	"verified"

/* Values of "verify". */
#define BLOCKCOPY_VERIFY_NONE		"none"
#define BLOCKCOPY_VERIFY_RUNNING	"running"
#define BLOCKCOPY_VERIFY_DONE		"done"
#define BLOCKCOPY_VERIFY_STOPPED	"stopped"

#endif /* BLOCKCOPY_ABI_H */

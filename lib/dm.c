// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The only file that includes libdevmapper.h.
 *
 * libdevmapper keeps state for the whole process: its control fd, its log function, a list of
 * pending node operations. So each call into it is made under one lock, and that lock is the one
 * static in this library; with it handles of different threads can be used at the same time. It
 * is not held while waiting for udev.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <linux/dm-ioctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cookie.h"
#include "internal.h"

static pthread_mutex_t libdm_lock = PTHREAD_MUTEX_INITIALIZER;
/* What libdevmapper complained about in the call that this thread is in. */
static __thread char complaint[256];

/* udev that does not answer for so long is not waited for: the guest does not depend on it. */
#define UDEV_TIMEOUT_MS 30000

#define LOG_LEVEL_ERROR 3

static void __attribute__((format(printf, 5, 6)))
keep_complaint(int level, const char *file, int line, int dm_errno, const char *fmt, ...)
{
	va_list ap;

	(void)file;
	(void)line;
	(void)dm_errno;
	/* The first one names the cause, later ones the consequences. */
	if ((level & 7) > LOG_LEVEL_ERROR || *complaint)
		return;
	va_start(ap, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, ap);
	va_end(ap);
}

/* Also tells whether the log function is ours to give back. */
static bool libdm_enter(void)
{
	bool ours;

	pthread_mutex_lock(&libdm_lock);
	*complaint = '\0';
	/* A program with a log function of its own for libdevmapper keeps it. */
	ours = !dm_log_is_non_default();
	if (ours)
		dm_log_with_errno_init(keep_complaint);
	return ours;
}

static void libdm_leave(bool ours)
{
	if (ours)
		dm_log_with_errno_init(NULL);
	pthread_mutex_unlock(&libdm_lock);
}

static void task_destroyp(struct dm_task **dmt)
{
	if (*dmt)
		dm_task_destroy(*dmt);
}

#define _cleanup_task_ _cleanup_(task_destroyp)

/* What a call in words, for messages. */
static const char *verb(int type)
{
	switch (type) {
	case DM_DEVICE_CREATE:		return "create";
	case DM_DEVICE_RELOAD:		return "load a table into";
	case DM_DEVICE_REMOVE:		return "remove";
	case DM_DEVICE_RESUME:		return "resume";
	case DM_DEVICE_CLEAR:		return "clear the inactive table of";
	case DM_DEVICE_TARGET_MSG:	return "send a message to";
	case DM_DEVICE_STATUS:		return "read the status of";
	case DM_DEVICE_TABLE:		return "read the table of";
	case DM_DEVICE_LIST:		return "list";
	default:			return "look at";
	}
}

static int fail_task(struct blockcopy *bc, int type, const char *name, int err)
{
	const char *what = name ? name : "dm devices";

	if (err == EACCES || err == EPERM || (err == 0 && geteuid() != 0))
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EPERM,
				"%s: no permission to %s it, must be root", what, verb(type));
	if (err == ENXIO && type != DM_DEVICE_RELOAD && type != DM_DEVICE_CREATE)
		return bcl_fail(bc, BLOCKCOPY_NOT_FOUND, -ENXIO, "%s: no such dm device", what);
	if (err == 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, -EIO, "%s: cannot %s it: %s", what,
				verb(type), *complaint ? complaint : "libdevmapper failed");
	return bcl_fail(bc, BLOCKCOPY_FAILED, -err, "%s: cannot %s it: %s", what, verb(type),
			strerror(err));
}

static int new_task(struct blockcopy *bc, int type, const char *name, struct dm_task **ret)
{
	_cleanup_task_ struct dm_task *dmt = dm_task_create(type);

	if (!dmt)
		return fail_task(bc, type, name, 0);
	if (name && !dm_task_set_name(dmt, name))
		return bcl_fail(bc, BLOCKCOPY_USAGE, -EINVAL, "%s: not a name for a dm device",
				name);
	*ret = TAKE_PTR(dmt);
	return 0;
}

static int run_task(struct blockcopy *bc, struct dm_task *dmt, int type, const char *name)
{
	int err;

	if (dm_task_run(dmt))
		return 0;
	err = dm_task_get_errno(dmt);
	return fail_task(bc, type, name, err);
}

/* ---- udev ---- */

/*
 * Wait for the rules of an event. Not dm_udev_wait(): with a udevd that died it would wait for
 * ever. Called without the lock.
 */
static void wait_udev_for(uint32_t cookie)
{
	int64_t end = bcl_now_ms() + UDEV_TIMEOUT_MS;
	struct timespec pause = { .tv_nsec = 1000000 };
	int ready = 0;

	if (!cookie) {
		bool ours = libdm_enter();

		/* Without udev this is where libdevmapper makes and removes nodes. */
		dm_udev_wait(0);
		libdm_leave(ours);
		return;
	}
	for (;;) {
		bool ours = libdm_enter();
		int ok = dm_udev_wait_immediate(cookie, &ready);

		if (ok && !ready && bcl_now_ms() > end) {
			/* In place of the rules; with their count gone the semaphore goes too. */
			dm_udev_complete(cookie);
			dm_udev_wait_immediate(cookie, &ready);
			ready = 1;
		}
		libdm_leave(ours);
		if (!ok || ready)
			return;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 32000000)
			pause.tv_nsec *= 2;
	}
}

static void wait_udev(struct bcl_cookie *cookie)
{
	wait_udev_for(cookie->id);
	bcl_cookie_done(cookie);
}

uint16_t bcl_dm_udev_flags_hidden(void)
{
	return DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG |
	       DM_UDEV_DISABLE_OTHER_RULES_FLAG;
}

uint16_t bcl_dm_udev_flags_of(dev_t dev)
{
	static const struct {
		const char *line;
		uint16_t flag;
	} flags[] = {
		{ "E:DM_UDEV_DISABLE_DM_RULES_FLAG=1", DM_UDEV_DISABLE_DM_RULES_FLAG },
		{ "E:DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG=1",
		  DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG },
		{ "E:DM_UDEV_DISABLE_DISK_RULES_FLAG=1", DM_UDEV_DISABLE_DISK_RULES_FLAG },
		{ "E:DM_UDEV_DISABLE_OTHER_RULES_FLAG=1", DM_UDEV_DISABLE_OTHER_RULES_FLAG },
		{ "E:DM_UDEV_LOW_PRIORITY_FLAG=1", DM_UDEV_LOW_PRIORITY_FLAG },
		{ "E:DM_UDEV_DISABLE_LIBRARY_FALLBACK_FLAG=1", DM_UDEV_DISABLE_LIBRARY_FALLBACK },
	};
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	uint16_t found = 0;
	size_t size = 0;
	ssize_t n;

	path = bcl_asprintf("/run/udev/data/b%u:%u", major(dev), minor(dev));
	f = path ? fopen(path, "re") : NULL;
	if (!f)
		return 0;
	while ((n = getline(&line, &size, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		for (size_t i = 0; i < ELEMENTSOF(flags); i++)
			if (!strcmp(line, flags[i].line))
				found |= flags[i].flag;
	}
	return found;
}

/* ---- looking ---- */

static int fill_info(struct dm_task *dmt, struct bcl_dm_info *ret)
{
	struct bcl_dm_info i = {};
	const char *name, *uuid;
	struct dm_info dmi;

	if (!dm_task_get_info(dmt, &dmi))
		return -EIO;
	if (!dmi.exists)
		return 0;
	name = dm_task_get_name(dmt);
	uuid = dm_task_get_uuid(dmt);
	if (!name || strlen(name) >= sizeof(i.name) || (uuid && strlen(uuid) >= sizeof(i.uuid)))
		return -EIO;
	strcpy(i.name, name);
	strcpy(i.uuid, uuid ? uuid : "");
	i.dev = makedev(dmi.major, dmi.minor);
	i.suspended = dmi.suspended;
	i.live_table = dmi.live_table;
	i.inactive_table = dmi.inactive_table;
	i.read_only = dmi.read_only;
	i.open_count = dmi.open_count;
	i.event_nr = dmi.event_nr;
	*ret = i;
	return 1;
}

/* One of name, uuid, dev (0 is none). */
static int info_locked(struct blockcopy *bc, const char *name, const char *uuid, dev_t dev,
		       struct bcl_dm_info *ret)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	int r, err;

	r = new_task(bc, DM_DEVICE_INFO, name, &dmt);
	if (r < 0)
		return r;
	if (uuid && !dm_task_set_uuid(dmt, uuid))
		return fail_task(bc, DM_DEVICE_INFO, uuid, 0);
	if (dev && !dm_task_set_major_minor(dmt, major(dev), minor(dev), 0))
		return fail_task(bc, DM_DEVICE_INFO, NULL, 0);
	if (!dm_task_run(dmt)) {
		err = dm_task_get_errno(dmt);
		if (err == ENXIO)
			return 0;
		return fail_task(bc, DM_DEVICE_INFO, name ? name : uuid, err);
	}
	r = fill_info(dmt, ret);
	if (r < 0)
		return bcl_fail(bc, BLOCKCOPY_FAILED, r, "%s: libdevmapper gave no information",
				name ? name : uuid ? uuid : "dm device");
	return r;
}

static int get_info(struct blockcopy *bc, const char *name, const char *uuid, dev_t dev,
		    struct bcl_dm_info *ret)
{
	bool ours = libdm_enter();
	int r = info_locked(bc, name, uuid, dev, ret);

	libdm_leave(ours);
	return r;
}

int bcl_dm_info(struct blockcopy *bc, const char *name, struct bcl_dm_info *ret)
{
	/* libdevmapper complains of these in its own words, or takes them for a path. */
	if (!*name || strlen(name) >= BCL_DM_NAME_SIZE || strchr(name, '/'))
		return 0;
	return get_info(bc, name, NULL, 0, ret);
}

int bcl_dm_info_by_uuid(struct blockcopy *bc, const char *uuid, struct bcl_dm_info *ret)
{
	return get_info(bc, NULL, uuid, 0, ret);
}

int bcl_dm_info_by_dev(struct blockcopy *bc, dev_t dev, struct bcl_dm_info *ret)
{
	return get_info(bc, NULL, NULL, dev, ret);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct bcl_dm_info *)a)->name, ((const struct bcl_dm_info *)b)->name);
}

static int list_locked(struct blockcopy *bc, struct bcl_dm_info **ret, size_t *ret_n)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	_cleanup_free_ struct bcl_dm_info *list = NULL;
	struct dm_names *names;
	size_t n = 0;
	int r;

	r = new_task(bc, DM_DEVICE_LIST, NULL, &dmt);
	if (r < 0)
		return r;
	r = run_task(bc, dmt, DM_DEVICE_LIST, NULL);
	if (r < 0)
		return r;
	names = dm_task_get_names(dmt);
	if (!names)
		return fail_task(bc, DM_DEVICE_LIST, NULL, 0);
	while (names->dev) {
		struct bcl_dm_info *bigger, info;

		/* One that vanished meanwhile is not an error. */
		r = info_locked(bc, NULL, NULL, names->dev, &info);
		if (r < 0)
			return r;
		if (r > 0) {
			bigger = reallocarray(list, n + 1, sizeof(*list));
			if (!bigger)
				return bcl_oom(bc);
			list = bigger;
			list[n++] = info;
		}
		if (!names->next)
			break;
		names = (void *)((char *)names + names->next);
	}
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	*ret = TAKE_PTR(list);
	*ret_n = n;
	return 0;
}

int bcl_dm_list(struct blockcopy *bc, struct bcl_dm_info **ret, size_t *ret_n)
{
	bool ours = libdm_enter();
	int r = list_locked(bc, ret, ret_n);

	libdm_leave(ours);
	return r;
}

static int lines_locked(struct blockcopy *bc, int type, const char *name, bool inactive,
			struct bcl_table **ret)
{
	_cleanup_(bcl_table_freep) struct bcl_table *t = NULL;
	_cleanup_task_ struct dm_task *dmt = NULL;
	void *next = NULL;
	int r;

	r = new_task(bc, type, name, &dmt);
	if (r < 0)
		return r;
	/* A table of crypt has its key in it: libdevmapper and the kernel zero their buffers. */
	if (!dm_task_secure_data(dmt) || !dm_task_no_flush(dmt) ||
	    (inactive && !dm_task_query_inactive_table(dmt)))
		return fail_task(bc, type, name, 0);
	r = run_task(bc, dmt, type, name);
	if (r < 0)
		return r;
	r = bcl_table_new(&t);
	if (r < 0)
		return bcl_oom(bc);
	do {
		char *target = NULL, *params = NULL;
		uint64_t start, len;

		next = dm_get_next_target(dmt, next, &start, &len, &target, &params);
		if (target && bcl_table_add(t, start, len, target, params ? params : "") < 0)
			return bcl_oom(bc);
	} while (next);
	*ret = TAKE_PTR(t);
	return 0;
}

int bcl_dm_table(struct blockcopy *bc, const char *name, bool inactive, struct bcl_table **ret)
{
	bool ours = libdm_enter();
	int r = lines_locked(bc, DM_DEVICE_TABLE, name, inactive, ret);

	libdm_leave(ours);
	return r;
}

int bcl_dm_status(struct blockcopy *bc, const char *name, struct bcl_table **ret)
{
	bool ours = libdm_enter();
	int r = lines_locked(bc, DM_DEVICE_STATUS, name, false, ret);

	libdm_leave(ours);
	return r;
}

static int message_locked(struct blockcopy *bc, const char *name, const char *message,
			  char **ret_answer)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	const char *answer;
	int r;

	r = new_task(bc, DM_DEVICE_TARGET_MSG, name, &dmt);
	if (r < 0)
		return r;
	if (!dm_task_set_sector(dmt, 0) || !dm_task_set_message(dmt, message))
		return fail_task(bc, DM_DEVICE_TARGET_MSG, name, 0);
	r = run_task(bc, dmt, DM_DEVICE_TARGET_MSG, name);
	if (r < 0 || !ret_answer)
		return r;
	answer = dm_task_get_message_response(dmt);
	*ret_answer = strdup(answer ? answer : "");
	return *ret_answer ? 0 : bcl_oom(bc);
}

int bcl_dm_message(struct blockcopy *bc, const char *name, const char *message)
{
	bool ours = libdm_enter();
	int r = message_locked(bc, name, message, NULL);

	libdm_leave(ours);
	return r;
}

int bcl_dm_ask(struct blockcopy *bc, const char *name, const char *message, char **ret_answer)
{
	bool ours = libdm_enter();
	int r = message_locked(bc, name, message, ret_answer);

	libdm_leave(ours);
	return r;
}

int bcl_dm_has_target(struct blockcopy *bc, const char *type)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	bool ours = libdm_enter();
	int r, err;

	r = new_task(bc, DM_DEVICE_GET_TARGET_VERSION, type, &dmt);
	if (r == 0) {
		if (dm_task_run(dmt)) {
			r = 1;
		} else {
			err = dm_task_get_errno(dmt);
			if (err == EINVAL || err == ENXIO)
				r = 0;
			else
				r = fail_task(bc, DM_DEVICE_GET_TARGET_VERSION, NULL, err);
		}
	}
	libdm_leave(ours);
	return r;
}

/* ---- changing ---- */

static int add_lines(struct blockcopy *bc, struct dm_task *dmt, int type, const char *name,
		     const struct bcl_table *t)
{
	if (!dm_task_secure_data(dmt))
		return fail_task(bc, type, name, 0);
	for (size_t i = 0; i < t->n; i++)
		if (!dm_task_add_target(dmt, t->lines[i].start, t->lines[i].len,
					t->lines[i].type, t->lines[i].params))
			return fail_task(bc, type, name, 0);
	return 0;
}

/*
 * Run a task that makes a uevent. The cookie is waited for on every path, or its semaphore would
 * stay in the system; a task that failed has given back its count itself.
 */
static int run_with_cookie(struct blockcopy *bc, struct dm_task *dmt, int type, const char *name,
			   uint16_t udev_flags, struct bcl_cookie *ret_cookie)
{
	struct bcl_cookie cookie = BCL_NO_COOKIE;
	int r;

	/* Where none of ours can be, libdevmapper makes one. */
	if (dm_udev_get_sync_support())
		(void)bcl_cookie_new(&cookie);
	r = dm_task_set_cookie(dmt, &cookie.id, udev_flags) ? run_task(bc, dmt, type, name) :
							      fail_task(bc, type, name, 0);
	*ret_cookie = cookie;
	return r;
}

static int create_locked(struct blockcopy *bc, const char *name, const char *uuid,
			 const struct bcl_table *t, uint16_t udev_flags,
			 struct bcl_cookie *ret_cookie)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	int r;

	r = new_task(bc, DM_DEVICE_CREATE, name, &dmt);
	if (r < 0)
		return r;
	if (!dm_task_set_uuid(dmt, uuid) || !dm_task_set_add_node(dmt, DM_ADD_NODE_ON_CREATE))
		return fail_task(bc, DM_DEVICE_CREATE, name, 0);
	r = add_lines(bc, dmt, DM_DEVICE_CREATE, name, t);
	if (r < 0)
		return r;
	return run_with_cookie(bc, dmt, DM_DEVICE_CREATE, name, udev_flags, ret_cookie);
}

int bcl_dm_create(struct blockcopy *bc, const char *name, const char *uuid,
		  const struct bcl_table *t, uint16_t udev_flags)
{
	struct bcl_cookie cookie = BCL_NO_COOKIE;
	bool ours = libdm_enter();
	int r = create_locked(bc, name, uuid, t, udev_flags, &cookie);

	libdm_leave(ours);
	wait_udev(&cookie);
	return r;
}

static int load_locked(struct blockcopy *bc, const char *name, const struct bcl_table *t)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	int r;

	r = new_task(bc, DM_DEVICE_RELOAD, name, &dmt);
	if (r < 0)
		return r;
	r = add_lines(bc, dmt, DM_DEVICE_RELOAD, name, t);
	if (r < 0)
		return r;
	return run_task(bc, dmt, DM_DEVICE_RELOAD, name);
}

int bcl_dm_load(struct blockcopy *bc, const char *name, const struct bcl_table *t)
{
	bool ours = libdm_enter();
	int r = load_locked(bc, name, t);

	libdm_leave(ours);
	return r;
}

static int simple_locked(struct blockcopy *bc, int type, const char *name, bool cookie,
			 uint16_t udev_flags, struct bcl_cookie *ret_cookie)
{
	_cleanup_task_ struct dm_task *dmt = NULL;
	int r;

	r = new_task(bc, type, name, &dmt);
	if (r < 0)
		return r;
	if (type == DM_DEVICE_REMOVE && !dm_task_retry_remove(dmt))
		return fail_task(bc, type, name, 0);
	if (!cookie)
		return run_task(bc, dmt, type, name);
	return run_with_cookie(bc, dmt, type, name, udev_flags, ret_cookie);
}

int bcl_dm_clear(struct blockcopy *bc, const char *name)
{
	struct bcl_cookie cookie;
	bool ours = libdm_enter();
	int r = simple_locked(bc, DM_DEVICE_CLEAR, name, false, 0, &cookie);

	libdm_leave(ours);
	return r;
}

int bcl_dm_resume(struct blockcopy *bc, const char *name, uint16_t udev_flags)
{
	struct bcl_cookie cookie = BCL_NO_COOKIE;
	sigset_t all, old;
	bool ours;
	int r;

	/* A signal would break the drain off half way; it can wait until the device runs. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	ours = libdm_enter();
	r = simple_locked(bc, DM_DEVICE_RESUME, name, true, udev_flags, &cookie);
	libdm_leave(ours);
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	wait_udev(&cookie);
	return r;
}

int bcl_dm_remove(struct blockcopy *bc, const char *name, uint16_t udev_flags)
{
	struct bcl_cookie cookie = BCL_NO_COOKIE;
	bool ours = libdm_enter();
	int r = simple_locked(bc, DM_DEVICE_REMOVE, name, true, udev_flags, &cookie);

	libdm_leave(ours);
	wait_udev(&cookie);
	return r;
}

/* ---- events ---- */

int bcl_dm_events_open(void)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * By hand: libdevmapper arms its own fd, which all users in the process share.
 */
int bcl_dm_events_arm(int fd)
{
	struct dm_ioctl dmi = {
		.version = { 4, 37, 0 },	/* the first with this call */
		.data_size = sizeof(dmi),
	};

	return ioctl(fd, DM_DEV_ARM_POLL, &dmi) < 0 ? -errno : 0;
}

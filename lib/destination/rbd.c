// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Images in a Ceph cluster: rbd(8) creates and maps them, with the keys that it finds; the kernel's client
 * does the rest, also when the servers go and come back.
 *
 * The kernel does not unmap an image with its last user, as it does with loop and NBD devices. So whoever
 * ends a job tries to, and `blockcopy recover` does after a kill; one in use is refused by the kernel, so that
 * nothing is taken away. Only those are tried that were mapped here: of each device the kernel keeps the
 * options it was mapped with, but no name that we could give it, so one of them is the mark.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "destination/rbd.h"
#include "spawn.h"
#include "sysfs.h"

#define DEVICES "/sys/bus/rbd/devices"
/* Seconds after which an idle connection to a server is closed; others have 60. */
#define MARK "osd_idle_ttl=61"
/* The device is made by the kernel; waiting for udev would be in vain where there is none. */
#define MAP_OPTIONS "noudev," MARK
/* A client of the image that has gone keeps the kernel for five seconds, a cluster that does not answer for a minute. */
#define UNMAP_MS 10000

/*
 * Devices that are there
 */

/* An attribute of the Nth device. NULL: it has none. */
static char *attribute(int n, const char *what)
{
	_cleanup_free_ char *path = bcl_asprintf(DEVICES "/%d/%s", n, what);
	char *value;

	return path && bcl_read_line(path, &value) == 0 ? value : NULL;
}

static bool is_attribute(int n, const char *what, const char *wanted)
{
	_cleanup_free_ char *value = attribute(n, what);

	return value && !strcmp(value, wanted);
}

/* The next device. Return: its number, -1. */
static int next_device(DIR *d)
{
	struct dirent *e;
	uint64_t n;

	while (d && (e = readdir(d)))
		if (bcl_parse_u64(e->d_name, &n) == 0 && n <= INT32_MAX)
			return (int)n;
	return -1;
}

/* "MONITORS OPTIONS POOL IMAGE SNAPSHOT". */
static bool is_ours(int n)
{
	_cleanup_free_ char *info = attribute(n, "config_info");
	char *options = info ? strchr(info, ' ') : NULL, *word;

	if (!options)
		return false;
	options++;
	options[strcspn(options, " ")] = '\0';
	while ((word = strsep(&options, ",")))
		if (!strcmp(word, MARK))
			return true;
	return false;
}

static bool has_name(int n, const struct bcl_rbd_name *name)
{
	_cleanup_free_ char *namespace = attribute(n, "pool_ns");

	return is_attribute(n, "pool", name->pool) && is_attribute(n, "name", name->image) &&
	       !strcmp(namespace ? namespace : "", name->namespace) &&
	       is_attribute(n, "current_snap", "-");
}

int bcl_rbd_find(const char *spec, char **ret_device)
{
	struct bcl_rbd_name name;
	int n, found = -1, count = 0, r;
	DIR *d;

	r = bcl_rbd_name_parse(NULL, spec, &name);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	d = opendir(DEVICES);
	while ((n = next_device(d)) >= 0) {
		if (!has_name(n, &name))
			continue;
		found = n;
		count++;
	}
	if (d)
		closedir(d);
	bcl_rbd_name_done(&name);
	/* Of more than one cluster, nobody knows which is meant. */
	if (count != 1)
		return 0;
	*ret_device = bcl_asprintf("/dev/rbd%d", found);
	return *ret_device ? 1 : -ENOMEM;
}

static int number_of(dev_t dev)
{
	_cleanup_free_ char *name = NULL;
	int n;
	char more;

	return bcl_sysfs_name(dev, &name) == 0 && sscanf(name, "rbd%d%c", &n, &more) == 1 ? n : -1;
}

static char *name_of(int n)
{
	_cleanup_free_ char *pool = attribute(n, "pool"), *image = attribute(n, "name");
	_cleanup_free_ char *namespace = attribute(n, "pool_ns");
	char none[] = "";
	struct bcl_rbd_name name = {
		.pool = pool, .namespace = namespace ? namespace : none, .image = image,
	};

	return pool && image ? bcl_rbd_name_format(&name) : NULL;
}

char *bcl_rbd_name(dev_t dev)
{
	int n = number_of(dev);

	return n < 0 ? NULL : name_of(n);
}

/* Another device of the same image, as the cluster knows it. Return: its number, -1. */
static int twin_of(int n)
{
	_cleanup_free_ char *cluster = attribute(n, "cluster_fsid"), *pool = attribute(n, "pool_id");
	_cleanup_free_ char *image = attribute(n, "image_id");
	DIR *d = opendir(DEVICES);
	int other, found = -1;

	while (cluster && pool && image && found < 0 && (other = next_device(d)) >= 0)
		if (other != n && is_attribute(other, "cluster_fsid", cluster) &&
		    is_attribute(other, "pool_id", pool) && is_attribute(other, "image_id", image) &&
		    is_attribute(other, "current_snap", "-"))
			found = other;
	if (d)
		closedir(d);
	return found;
}

/*
 * Unmapped
 */

/* By a table, a mount, another program that has it for itself. */
static bool is_claimed(int n)
{
	_cleanup_free_ char *device = bcl_asprintf("/dev/rbd%d", n);
	_cleanup_close_ int fd = device ? open(device, O_RDONLY | O_EXCL | O_CLOEXEC) : -1;

	return fd < 0;
}

/* Who has it open keeps it, too. Return: 0, -errno. Leaves the handle's error alone. */
static int unmap(struct blockcopy *bc, int n)
{
	_cleanup_free_ char *device = bcl_asprintf("/dev/rbd%d", n);
	const char *const argv[] = { "rbd", "unmap", "-o", "noudev", device, NULL };
	struct bcl_saved_error saved;
	int r;

	if (!device)
		return -ENOMEM;
	bcl_error_save(bc, &saved);
	r = bcl_run_for(bc, argv, UNMAP_MS);
	bcl_error_restore(bc, &saved);
	return r;
}

static void release(struct blockcopy *bc, int n)
{
	_cleanup_free_ char *name = NULL;
	int r;

	if (!is_ours(n))
		return;
	name = name_of(n);
	r = is_claimed(n) ? -EBUSY : unmap(bc, n);
	if (r == -ETIMEDOUT)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: is unmapped from /dev/rbd%d when its cluster answers", name ? name : "?", n);
	else if (r < 0)
		bcl_log(bc, BLOCKCOPY_LOG_WARNING,
			"%s: stays mapped to /dev/rbd%d, which is in use; `blockcopy recover` unmaps it "
			"when it is not", name ? name : "?", n);
}

void bcl_rbd_release(struct blockcopy *bc, dev_t dev)
{
	int n = number_of(dev);

	if (n >= 0)
		release(bc, n);
}

void bcl_rbd_recover(struct blockcopy *bc, unsigned int *deeds)
{
	DIR *d = opendir(DEVICES);
	int n;

	while ((n = next_device(d)) >= 0) {
		_cleanup_free_ char *name = is_ours(n) && !is_claimed(n) ? name_of(n) : NULL;

		if (!name || unmap(bc, n) < 0)
			continue;
		bcl_log(bc, BLOCKCOPY_LOG_INFO, "%s: unmapped, as nobody uses it", name);
		++*deeds;
	}
	if (d)
		closedir(d);
}

/*
 * Made and mapped
 */

/* Seconds for a cluster that does not answer; rbd would wait for five minutes, or for ever. */
static const char *const patience[] = {
	"--client_mount_timeout=30", "--rados_mon_op_timeout=30", "--rados_osd_op_timeout=30",
};

/* Words of a command line: "rbd --OPTION=VALUE... VERB --pool=... --namespace=... --image=... MORE..." */
struct command {
	const char *argv[20];
	char *made[BCL_RBD_OPTIONS + 3];
	size_t n, n_made;
	bool failed;		/* no memory */
};

static void command_done(struct command *c)
{
	for (size_t i = 0; i < c->n_made; i++)
		free(c->made[i]);
}

static void add_option(struct command *c, const char *word, const char *value)
{
	char *text = bcl_asprintf("--%s=%s", word, value);

	if (!text)
		c->failed = true;
	else
		c->argv[c->n++] = c->made[c->n_made++] = text;
}

/* "@more" has at most 3 words, and ends with NULL. */
static int ask(struct bcl_rbd *r, const char *verb, const char *const more[], char **ret_line)
{
	_cleanup_(command_done) struct command c = { .argv = { "rbd" }, .n = 1 };

	for (int i = 0; i < BCL_RBD_OPTIONS; i++)
		if (r->name.options[i])
			add_option(&c, bcl_rbd_option_word(i), r->name.options[i]);
	for (size_t i = 0; i < ELEMENTSOF(patience); i++)
		c.argv[c.n++] = patience[i];
	c.argv[c.n++] = verb;
	add_option(&c, "pool", r->name.pool);
	if (*r->name.namespace)
		add_option(&c, "namespace", r->name.namespace);
	add_option(&c, "image", r->name.image);
	while (*more)
		c.argv[c.n++] = *more++;
	return c.failed ? bcl_oom(r->bc) : bcl_ask(r->bc, c.argv, ret_line);
}

static int refused(struct bcl_rbd *r, const char *spec, const char *what, int status, const char *said)
{
	/* The status is an errno where the cluster said one. */
	return bcl_fail(r->bc, status == ENOENT ? BLOCKCOPY_NOT_FOUND : BLOCKCOPY_FAILED, -EIO,
			"%s: cannot %s it: %s", spec, what, said);
}

/* Has nobody written to it, as a start that was killed leaves it? */
static int check_blank(struct bcl_rbd *r, const char *spec)
{
	static const char *const more[] = { "--whole-object", "--format=json", NULL };
	_cleanup_free_ char *said = NULL;
	int status = ask(r, "diff", more, &said);

	if (status < 0)
		return status;
	if (status > 0)
		return refused(r, spec, "look into", status, said);
	return !strcmp(said, "[]") ? 0 :
		bcl_fail(r->bc, BLOCKCOPY_REFUSED, -EEXIST,
			 "%s: found an image that is not empty, needed none or an empty one "
			 "(--reuse-external uses it as it is)", spec);
}

static int create(struct bcl_rbd *r, const char *spec, uint64_t size)
{
	_cleanup_free_ char *bytes = bcl_asprintf("--size=%" PRIu64 "B", size), *said = NULL;
	const char *const more[] = { bytes, NULL };
	int status = bytes ? ask(r, "create", more, &said) : bcl_oom(r->bc);

	if (status < 0)
		return status;
	if (status == EEXIST)
		return check_blank(r, spec);
	if (status > 0)
		return refused(r, spec, "create", status, said);
	r->created = true;
	return 0;
}

static int map(struct bcl_rbd *r, const char *spec, int *ret_number)
{
	static const char *const more[] = { "-o", MAP_OPTIONS, NULL };
	_cleanup_free_ char *said = NULL;
	int status = ask(r, "map", more, &said);

	if (status < 0)
		return status;
	if (status > 0)
		return refused(r, spec, "map", status, said);
	return sscanf(said, "/dev/rbd%d", ret_number) == 1 ? 0 :
		bcl_fail(r->bc, BLOCKCOPY_FAILED, -EIO, "%s: cannot map it: rbd named no device: %s", spec,
			 said);
}

int bcl_rbd_open(struct blockcopy *bc, const char *spec, const struct bcl_file_wanted *want,
		 struct bcl_rbd *r)
{
	int n = -1, twin, ret = bcl_rbd_name_parse(bc, spec, &r->name);

	if (ret < 0)
		return ret;
	r->bc = bc;
	if (!want->reuse)
		ret = create(r, spec, want->size);
	if (ret == 0)
		ret = map(r, spec, &n);
	if (ret < 0)
		return ret;
	/* A device that is there is taken, so that its user is seen, and a job that was killed goes on with it. */
	twin = twin_of(n);
	if (twin >= 0) {
		(void)unmap(bc, n);
		n = twin;
	}
	r->device = bcl_asprintf("/dev/rbd%d", n);
	if (!r->device)
		return bcl_oom(bc);
	r->fd = open(r->device, O_RDONLY | O_CLOEXEC);
	return r->fd < 0 ? bcl_fail(bc, BLOCKCOPY_FAILED, -errno, "%s: cannot be opened: %s", r->device,
				    strerror(errno)) : 0;
}

void bcl_rbd_keep(struct bcl_rbd *r)
{
	r->kept = true;
}

static void remove_image(struct bcl_rbd *r)
{
	static const char *const more[] = { "--no-progress", NULL };
	_cleanup_free_ char *said = NULL;
	struct bcl_saved_error saved;

	bcl_error_save(r->bc, &saved);
	(void)ask(r, "rm", more, &said);
	bcl_error_restore(r->bc, &saved);
}

void bcl_rbd_done(struct bcl_rbd *r)
{
	int n;

	bcl_closep(&r->fd);
	/* Somebody else may have a job on it: then it stays. */
	if (!r->kept && r->device && sscanf(r->device, "/dev/rbd%d", &n) == 1 && is_ours(n) &&
	    !is_claimed(n))
		(void)unmap(r->bc, n);
	if (!r->kept && r->created)
		remove_image(r);
	free(r->device);
	bcl_rbd_name_done(&r->name);
	*r = BCL_NO_RBD;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * bc-attempts NAME complete|finish MS COUNT SECONDS: send that message over and over, each as soon as the one before was given up.
 *
 * A shell needs milliseconds for one, on an emulated processor under load seconds; the races of a hold with the one before it
 * are shorter. Ends when one came about ("pivoted" or "finished"), when COUNT were given up ("ready"), or after SECONDS; prints
 * that word and how many were given up. Exit status: 0, or 1 when the job is in no state to be completed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int control;

static struct dm_ioctl *request(const char *name, void *buf, size_t bytes)
{
	struct dm_ioctl *io = buf;

	memset(buf, 0, bytes);
	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = bytes;
	io->data_start = sizeof(*io);
	snprintf(io->name, sizeof(io->name), "%s", name);
	return io;
}

/* Return: 0 or -errno. */
static int message(const char *name, const char *text)
{
	uint64_t buf[128];
	struct dm_ioctl *io = request(name, buf, sizeof(buf));
	struct dm_target_msg *msg = (void *)(io + 1);

	snprintf(msg->message, sizeof(buf) - sizeof(*io) - sizeof(*msg), "%s", text);
	return ioctl(control, DM_TARGET_MSG, io) ? -errno : 0;
}

/* The second word of the status line. */
static void get_state(const char *name, char *state, size_t bytes)
{
	uint64_t buf[512];
	struct dm_ioctl *io = request(name, buf, sizeof(buf));
	struct dm_target_spec *spec;
	char *line, *word, *save;

	snprintf(state, bytes, "gone");
	io->flags = DM_NOFLUSH_FLAG;
	if (ioctl(control, DM_TABLE_STATUS, io) || !io->target_count)
		return;
	spec = (void *)((char *)io + io->data_start);
	line = (char *)(spec + 1);
	if (strcmp(spec->target_type, "blockcopy") || !strtok_r(line, " ", &save))
		return;
	word = strtok_r(NULL, " ", &save);
	if (word)
		snprintf(state, bytes, "%s", word);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long given_up = 0, count;
	char state[32], text[64];
	double end;
	int r;

	if (argc != 6) {
		fprintf(stderr, "usage: bc-attempts NAME complete|finish MS COUNT SECONDS\n");
		return 2;
	}
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control < 0) {
		perror("/dev/mapper/control");
		return 1;
	}
	snprintf(text, sizeof(text), "%s %s", argv[2], argv[3]);
	count = atol(argv[4]);
	end = now() + atof(argv[5]);

	for (;;) {
		get_state(argv[1], state, sizeof(state));
		if (!strcmp(state, "ready")) {
			if (given_up >= count || now() > end)
				break;
			r = message(argv[1], text);
			if (!r)
				given_up++;
			else if (r != -EBUSY)
				break;
		} else if (strcmp(state, "completing")) {
			break;
		}
		/* Others want the processor, too. */
		usleep(50);
	}
	/* The last one was not. */
	if (!strcmp(state, "pivoted") || !strcmp(state, "finished"))
		given_up--;
	printf("%s %ld\n", state, given_up);
	return strcmp(state, "ready") && strcmp(state, "pivoted") && strcmp(state, "finished");
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/* Why the kernel refused a table: it says so nowhere but in its log. */
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

int bcl_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

char *bcl_kmsg_reason(int fd, dev_t dev)
{
	_cleanup_free_ char *prefix = bcl_asprintf("device-mapper: table: %u:%u: ", major(dev),
						   minor(dev));
	char *reason = NULL;
	char record[8192];	/* a record at a time; longer ones do not exist */

	if (fd < 0 || !prefix)
		return NULL;
	for (;;) {
		ssize_t n = read(fd, record, sizeof(record) - 1);
		char *text;

		/* Records that were overwritten before we came. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return reason;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text || strncmp(text + 1, prefix, strlen(prefix)))
			continue;
		text += 1 + strlen(prefix);
		text[strcspn(text, "\n")] = '\0';
		free(reason);
		reason = strdup(text);
	}
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * switch-over NAME DESTINATION
 *
 * An example of libblockcopy: copies the dm device NAME, in use, and goes on at DESTINATION.
 *
 *	cc switch-over.c $(pkg-config --cflags --libs libblockcopy)
 */
#include <blockcopy.h>
#include <inttypes.h>
#include <stdio.h>

static void show(void *unused, const struct blockcopy_info *info)
{
	(void)unused;
	printf("%s: %s, %u %%\n", blockcopy_info_name(info), blockcopy_info_state_word(info),
	       blockcopy_info_percent(info));
}

int main(int argc, char **argv)
{
	struct blockcopy *bc;
	uint64_t blackout_us;
	int status;

	if (argc != 3) {
		fputs("usage: switch-over NAME DESTINATION\n", stderr);
		return BLOCKCOPY_USAGE;
	}
	if (blockcopy_new(&bc) < 0)
		return BLOCKCOPY_FAILED;
	if (blockcopy_start(bc, argv[1], argv[2], NULL) < 0 ||
	    blockcopy_wait(bc, argv[1], -1, 1000, show, NULL) < 0 ||
	    blockcopy_pivot(bc, argv[1], 500, &blackout_us) < 0) {
		status = blockcopy_error(bc);
		fprintf(stderr, "%s\n", blockcopy_error_message(bc));
	} else {
		status = BLOCKCOPY_OK;
		printf("writes were held for %" PRIu64 " us\n", blackout_us);
	}
	blockcopy_free(bc);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

/* splitmix64 */
uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t unit_below(uint64_t *state, uint64_t n)
{
	return unit_random(state) % n;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t unit_seed(void)
{
	static uint64_t seed;

	if (!seed)
		seed = number("UNIT_SEED", (uint64_t)time(NULL) << 20 ^ getpid());
	return seed;
}

unsigned long unit_scaled(unsigned long n)
{
	n = n * number("UNIT_SCALE", 100) / 100;
	return n ? n : 1;
}

int unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	/* Before the tests fork: they all have the same one. */
	printf("UNIT_SEED=0x%llx\n", (unsigned long long)unit_seed());
	fflush(stdout);

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

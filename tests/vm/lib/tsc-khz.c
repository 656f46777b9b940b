/* Prints the frequency of this machine's time stamp counter in kHz; see tsc_khz in qemu.sh. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Counter and clock read at the same moment: of some tries the one that took least, so that no preemption is in it. */
static void sample(uint64_t *tsc, int64_t *ns)
{
	int64_t best = INT64_MAX;
	int i;

	for (i = 0; i < 50; i++) {
		int64_t before = now();
		uint64_t t = __rdtsc();
		int64_t took = now() - before;

		if (took < best) {
			best = took;
			*tsc = t;
			*ns = before + took / 2;
		}
	}
}

int main(void)
{
	struct timespec wait = { .tv_nsec = 50000000 };
	uint64_t tsc[2];
	int64_t ns[2];

	sample(&tsc[0], &ns[0]);
	nanosleep(&wait, NULL);
	sample(&tsc[1], &ns[1]);
	printf("%lld\n", (long long)((double)(tsc[1] - tsc[0]) * 1e6 / (double)(ns[1] - ns[0]) + 0.5));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include "journal.h"

void random_seed(struct random *r, uint64_t salt)
{
	r->state = (now_ns() ^ salt * 0x9e3779b97f4a7c15ULL) | 1;
	random_next(r);
	random_next(r);
}

uint64_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dULL;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Names as programs can read them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* Length of the UTF-8 sequence at "@s", 0 if it is none. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned int min;
	uint32_t v;
	size_t n;

	if (*s < 0x80)
		return 1;
	if (*s >= 0xc2 && *s < 0xe0) {
		n = 2;
		v = *s & 0x1f;
		min = 0x80;
	} else if (*s >= 0xe0 && *s < 0xf0) {
		n = 3;
		v = *s & 0x0f;
		min = 0x800;
	} else if (*s >= 0xf0 && *s < 0xf5) {
		n = 4;
		v = *s & 0x07;
		min = 0x10000;
	} else {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	return v < min || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

char *valid_utf8(const char *s)
{
	const unsigned char *in = (const unsigned char *)s;
	char *buf, *out;

	out = buf = malloc(strlen(s) * 4 + 1);
	if (!buf)
		return NULL;
	while (*in) {
		size_t n = utf8_length(in);

		if (n) {
			memcpy(out, in, n);
			out += n;
			in += n;
		} else {
			out += sprintf(out, "\\x%02x", *in++);
		}
	}
	*out = '\0';
	return buf;
}

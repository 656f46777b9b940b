// SPDX-License-Identifier: GPL-2.0-only
/* Sizes as people write them. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"

static int digits(const char **s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++) {
		unsigned int d = **s - '0';

		if (v > (UINT64_MAX - d) / 10)
			return -ERANGE;
		v = v * 10 + d;
	}
	*ret = v;
	return 0;
}

int parse_number(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	int r = digits(&s, &v);

	if (r < 0)
		return r;
	if (*s)
		return -EINVAL;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

/* K and KiB are 1024, KB is 1000, as virsh has it; "/s" may follow. Return: 0 for no suffix. */
static int parse_suffix(const char *s, uint64_t *ret)
{
	static const char letters[] = "KMGTPE";
	uint64_t base = 1024, factor = 1;
	const char *letter;

	if (!*s) {
		*ret = 0;
		return 0;
	}
	letter = strchr(letters, toupper((unsigned char)*s));
	if (letter) {
		s++;
		if (!strncasecmp(s, "iB", 2))
			s += 2;
		else if (*s == 'B' || *s == 'b') {
			base = 1000;
			s++;
		}
		for (const char *l = letters; l <= letter; l++)
			factor *= base;
	} else if (*s == 'B' || *s == 'b') {
		s++;
	}
	if (!strcmp(s, "/s"))
		s += 2;
	if (*s)
		return -EINVAL;
	*ret = factor;
	return 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *ret)
{
	uint64_t whole, factor, fraction = 0, scale = 1;
	unsigned __int128 v;
	int r;

	r = digits(&s, &whole);
	if (r < 0)
		return r;
	if (*s == '.') {
		s++;
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		/* More digits than nine are less than a byte of anything. */
		for (; isdigit((unsigned char)*s); s++)
			if (scale < 1000000000) {
				fraction = fraction * 10 + (*s - '0');
				scale *= 10;
			}
	}
	r = parse_suffix(s, &factor);
	if (r < 0)
		return r;
	if (!factor)
		factor = unit;
	if (fraction && factor == 1)
		return -EINVAL;
	v = (unsigned __int128)whole * factor + (unsigned __int128)fraction * factor / scale;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ret = v;
	return 0;
}

const char *format_size(uint64_t bytes, char buf[SIZE_TEXT])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = bytes;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(buf, SIZE_TEXT, "%u B", (unsigned int)bytes);
		return buf;
	}
	for (v /= 1024; v >= 1024 && i < 5; i++)
		v /= 1024;
	snprintf(buf, SIZE_TEXT, "%.1f %s", v, units[i]);
	return buf;
}

const char *format_eta(int64_t s, char buf[SIZE_TEXT])
{
	int64_t hours = s / 3600, days = hours / 24;

	if (s < 0)
		strcpy(buf, "--:--");
	else if (days > 9999)
		strcpy(buf, "years");
	else if (hours > 99)
		snprintf(buf, SIZE_TEXT, "%d days", (int)days);
	else if (hours)
		snprintf(buf, SIZE_TEXT, "%d:%02d:%02d", (int)hours, (int)(s / 60 % 60), (int)(s % 60));
	else
		snprintf(buf, SIZE_TEXT, "%d:%02d", (int)(s / 60), (int)(s % 60));
	return buf;
}

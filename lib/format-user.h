/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kmod/bc-format.c takes from the kernel's headers, for the library. */
#ifndef BCL_FORMAT_USER_H
#define BCL_FORMAT_USER_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define le32_to_cpu(x)	le32toh(x)
#define le64_to_cpu(x)	le64toh(x)

/* CRC-32 of ISO 3309, bits in reverse, as in zlib and Ethernet; neither inverted before nor after. */
static inline uint32_t crc32_le(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

#endif /* BCL_FORMAT_USER_H */

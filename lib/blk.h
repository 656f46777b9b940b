/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libblkid: blk.c is the only file that includes blkid.h. */
#ifndef BCL_BLK_H
#define BCL_BLK_H

#include <stdbool.h>
#include <stdint.h>

/* Is it UUID=, PARTUUID=, LABEL=, PARTLABEL= something? */
bool bcl_blk_is_tag(const char *spec);
/* The device of a tag. Return: 0, -ENODEV none has it, -EINVAL, -ENOMEM. */
int bcl_blk_find_tag(const char *spec, char **ret_path);
/*
 * The property by which udev's database knows the tag, and its value there. Return: 0, -EINVAL, -ENOMEM.
 */
int bcl_blk_tag_property(const char *spec, const char **ret_property, char **ret_value);
/*
 * What "@path" carries: "an ext4 file system (\"data\")", "a gpt partition table".
 * Return: 1 with a text, 0 nothing, -errno.
 */
int bcl_blk_signature(const char *path, char **ret_what);
/*
 * Where the partitions of "@path" begin, at most "@max", in bytes.
 * Return: how many, 0 there is no table of partitions, -errno.
 */
int bcl_blk_partitions(const char *path, uint64_t *ret_starts, int max);

#endif /* BCL_BLK_H */

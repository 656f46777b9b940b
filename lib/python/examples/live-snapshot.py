#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""live-snapshot.py DISK FILE: a copy of a disk in use, of one instant, as nova takes a live snapshot.

Nova once looked at cur and end of the job to know that the copy was complete, and took one that was not:
they are equal, or both 0, before the job has begun. Here it waits for READY, which is a state of its own.
"""
import os
import sys

import blockcopy

XML = "<disk type='file'><source file='{}'/><driver type='raw'/></disk>"


def main():
    disk, path = sys.argv[1:]
    with blockcopy.Disks() as disks:
        disks.blockCopy(disk, XML.format(os.path.abspath(path)))
        try:
            disks.waitReady(disk, timeout=3600)
        except BaseException:
            # It is ready or not: what is there is of no use to anybody.
            disks.blockJobAbort(disk)
            raise
        disks.blockJobAbort(disk)
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()

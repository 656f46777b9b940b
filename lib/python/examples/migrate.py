#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate.py DISK DEVICE: copy a disk in use to a block device and switch to it, and tell by events."""
import sys
import threading

import blockcopy

XML = "<disk type='block'><source dev='{}'/><driver type='raw'/></disk>"
WORDS = {blockcopy.VIR_DOMAIN_BLOCK_JOB_READY: "ready", blockcopy.VIR_DOMAIN_BLOCK_JOB_FAILED: "failed",
         blockcopy.VIR_DOMAIN_BLOCK_JOB_COMPLETED: "completed",
         blockcopy.VIR_DOMAIN_BLOCK_JOB_CANCELED: "canceled"}


def tell(_disks, disk, destination, _type, status, ready):
    print(f"{disk} to {destination}: {WORDS[status]}", flush=True)
    ready.set()


def main():
    disk, device = sys.argv[1:]
    ready = threading.Event()
    with blockcopy.Disks() as disks, blockcopy.Disks() as others:
        disks.blockCopy(disk, XML.format(device), {"force": True},
                        blockcopy.VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES)
        # A handle is for one thread at a time: that of the events has its own.
        listener = threading.Thread(target=others.blockJobEventRegister, args=(tell, disk, ready))
        listener.start()
        ready.wait()
        if disks.blockJobInfo(disk).get("ready"):
            disks.blockJobAbort(disk, blockcopy.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        listener.join()


if __name__ == "__main__":
    main()

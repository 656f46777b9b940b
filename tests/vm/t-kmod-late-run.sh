#!/bin/bash
# description: a run of dirty regions whose first one a write that becomes late covers, too
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 4 discard=1
null_disk dst 4
bio fill "$src" 0 4m 1
bio fill "$dst" 0 4m 1
linear_on slow "$dst"
linear_on disk "$src"
dev=/dev/mapper/$disk
start_job "$disk" "$src" "/dev/mapper/$slow" sync none copy_mode write-blocking write_timeout 5000
wait_for 10 status_is "$disk" actively_synced 1

check "regions 0 to 3 are written, 1 to 3 become dirty meanwhile, then the write is late"
dmsetup suspend --noflush --nolockfs "$slow"
bio write "$dev" 0 256k 2 &
writer=$!
wait_for 5 in_flight "$disk" 1
# What a discard leaves is copied: the copier looks at region 1, and at how many follow.
bio discard "$dev" 64k 192k
status_is "$disk" late_writes 0 || echo "  too late: nothing is shown on a machine this slow"
wait "$writer"
expect_status "$disk" late_writes 1
expect_status "$disk" dirty_bytes 262144
bio write "$dev" 1m 4k 3

check "all is copied when it has been answered"
dmsetup resume "$slow"
wait_for 20 status_is "$disk" late_writes 0
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 status_is "$disk" inflight_bytes 0
compare_legs "$src" "$dst"
bio verify "$dst" 0 64k 2
bio verify "$dst" 1m 4k 3

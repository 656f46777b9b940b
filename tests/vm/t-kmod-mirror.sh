#!/bin/bash
# description: write-blocking mode: both legs get every write, at READY they are equal, READY stays
# kernels: 6.1 6.12 uml-debug uml
# ci: 6.12 uml-debug
# tier: core
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 64
null_disk dst 64
linear_on disk "$src"
dev=/dev/mapper/$disk

check "one write, no copy: it is on both legs, and nothing is dirty"
start_job "$disk" "$src" "$dst" sync none copy_mode write-blocking
wait_ready "$disk"
expect_status "$disk" mirroring 1
expect_status "$disk" actively_synced 1
bio write "$dev" 64k 4k 7
bio write "$dev" 1020k 200k 8
expect_status "$disk" dirty_bytes 0
expect_status "$disk" dirtied_bytes 0
expect_status "$disk" mirrored_bytes $((204 << 10))
bio verify "$dst" 64k 4k 7
bio verify "$dst" 1020k 200k 8
compare_legs "$src" "$dst"

check "larger than a mirrored write may be"
bio write "$dev" 8m 4m 9
expect_status "$disk" dirtied_bytes 0
compare_legs "$src" "$dst"

check "under random writes nothing gets dirty, and the legs are equal"
guest_on pid "$disk"
wait_for 10 status_above "$disk" mirrored_bytes $((16 << 20))
expect_status "$disk" dirtied_bytes 0
guest_off "$pid" "$disk"
expect_status "$disk" dirtied_bytes 0
expect_status "$disk" state ready
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "a full copy under random writes becomes READY; what was dirty only becomes less"
bio fill "$dst" 0 64m 99
guest_on pid "$disk"
start_job "$disk" "$src" "$dst" copy_mode write-blocking bandwidth 16777216
wait_ready "$disk"
wait_for 10 status_is "$disk" actively_synced 1
guest_off "$pid" "$disk"
expect_status "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "switched to background and back, under writes"
guest_on pid "$disk"
for mode in background write-blocking background auto write-blocking; do
	msg "$disk" set copy_mode $mode
	expect_status "$disk" copy_mode $mode
	before=$(status_value "$disk" copied_bytes)
	wait_for 10 status_above "$disk" copied_bytes $((before - 1))
done
wait_for 20 status_is "$disk" actively_synced 1
guest_off "$pid" "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "complete"
guest_on pid "$disk"
complete "$disk" 10000 || fail "not pivoted: $(status_value "$disk" error)"
bio fill "$src" 0 64m 100
guest_off "$pid" "$disk"

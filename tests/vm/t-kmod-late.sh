#!/bin/bash
# description: a destination write that comes back late is not overtaken by a newer copy of its region (I4)
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# Two ways to one disk, chosen by a message without a suspend: what hangs on the one is overtaken by what takes the other.
needs_target switch
null_disk src 16
null_disk disk2 16
linear_on one "$disk2"
linear_on two "$disk2"
dm_new ways "0 32768 switch 2 2048 0 /dev/mapper/$one 0 /dev/mapper/$two 0"
dst=/dev/mapper/$ways
# way NUMBER: of all 16 parts of 1 MiB
way() {
	local i maps=()
	for ((i = 0; i < 16; i++)); do
		maps+=("$(printf '%x:%x' "$i" "$1")")
	done
	dmsetup message "$ways" 0 set_region_mappings "${maps[@]}"
}
way 0
linear_on disk "$src"
dev=/dev/mapper/$disk
start_job "$disk" "$src" "$dst" copy_mode write-blocking write_timeout 200
wait_for 20 status_is "$disk" actively_synced 1

check "one write hangs, the next ones to its region take another way"
dmsetup suspend --noflush --nolockfs "$one"
bio write "$dev" 64k 8k 1
expect_status "$disk" late_writes 1
expect_status "$disk" dirty_bytes 65536
wait_for 10 status_is "$disk" mirroring 0
way 1
bio write "$dev" 64k 8k 2
bio write "$dev" 256k 8k 3
wait_for 10 status_is "$disk" dirty_bytes 65536
bio verify "$dst" 256k 8k 3

check "the mode comes back only with the late write; then the region is copied"
dmsetup resume "$one"
wait_for 10 status_is "$disk" late_writes 0
wait_for 20 status_is "$disk" actively_synced 1
bio verify "$dst" 64k 8k 2
compare_legs "$src" "$dst"

check "no pivot while a write is late"
way 0
dmsetup suspend --noflush --nolockfs "$one"
bio write "$dev" 64k 8k 4
way 1
complete "$disk" 300 && fail "pivoted with a late write"
bio write "$dev" 64k 8k 5
dmsetup resume "$one"
wait_for 10 status_is "$disk" late_writes 0
wait_for 20 status_is "$disk" dirty_bytes 0
complete "$disk" 10000 || fail "not pivoted"
bio verify "$dev" 64k 8k 5

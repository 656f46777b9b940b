#!/bin/bash
# description: a finished copy has nothing of what comes after its instant, however soon that comes
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 4
null_disk dst 4
linear_on lower "$src"
leg=/dev/mapper/$lower
linear_on disk "$leg"
dev=/dev/mapper/$disk
bio -n write "$dev" 0 4k 1 2> /dev/null || skip "this kernel has no writes to device-mapper that may not wait"

refused_once() {
	grep -qs refused "$case_dir/again"
}

# Writes that may wait are parked in the hold, and released when all is over. One that may not comes again and again.
for ((round = 1; round <= 6; round++)); do
	bio fill "$src" 0 4m 1
	start_job "$disk" "$leg" "$dst" copy_mode write-blocking
	wait_ready "$disk"
	wait_for 20 status_is "$disk" actively_synced 1
	dmsetup suspend --noflush "$lower"
	bio write "$dev" 0 4k 2 &
	first=$!
	wait_for 5 in_flight "$disk" 1
	hold_a_write held "$disk" finish 60000 1m 3
	: > "$case_dir/again"
	bio -n -a write "$dev" 2m 4k 4 > "$case_dir/again" &
	soon=$!
	wait_for 10 refused_once
	dmsetup resume "$lower"
	wait_for 40 not_completing "$disk"
	wait "$first" "$held" "$soon"
	expect_status "$disk" state finished
	bio verify "$dst" 0 4k 2
	bio verify "$dst" 1m 4k 1
	bio verify "$dst" 2m 4k 1
	bio verify "$src" 2m 4k 4
	stop_job "$disk" "$leg"
done
check "$((round - 1)) writes right after the instant"

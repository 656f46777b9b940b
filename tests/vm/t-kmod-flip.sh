#!/bin/bash
# description: a flip waits for the write in flight, and held writes go on at the new truth
# kernels: 6.1 6.12 uml-debug
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
bio fill "$src" 0 8m 1
linear_on lower "$src"
leg=/dev/mapper/$lower
linear_on disk "$leg"
dev=/dev/mapper/$disk

# flip HOW: with one write in flight, which hangs at the source, and one held
flip() {
	start_job "$disk" "$leg" "$dst"
	wait_ready "$disk"
	dmsetup suspend --noflush "$lower"
	bio write "$dev" 0 4k 2 &
	first=$!
	wait_for 5 in_flight "$disk" 1
	hold_a_write second "$disk" "$1" 60000 1m 3
	expect_status "$disk" state completing
	expect_status "$disk" held 1
	gone "$first" && fail "the first write did not wait: nothing is shown"
	bio verify "$dst" 1m 4k 1
	dmsetup resume "$lower"
	wait_for 40 not_completing "$disk"
	wait "$first" "$second"
}

check "complete: both are on the destination, the held one only there"
flip complete
expect_status "$disk" state pivoted
bio verify "$dst" 0 4k 2
bio verify "$dst" 1m 4k 3
bio verify "$src" 1m 4k 1
bio verify "$dev" 0 4k 2
bio verify "$dev" 1m 4k 3
status_above "$disk" blackout_us 0 || fail "no blackout"

check "finish: the first one is on the copy, the held one is not"
stop_job "$disk" "$leg"
bio fill "$src" 0 8m 1
flip finish
expect_status "$disk" state finished
bio verify "$dst" 0 4k 2
bio verify "$dst" 1m 4k 1
bio verify "$src" 0 4k 2
bio verify "$src" 1m 4k 3

check "reads never wait: not while writes are held"
stop_job "$disk" "$leg"
start_job "$disk" "$leg" "$dst"
wait_ready "$disk"
linear_on hung "$dst"
stop_job "$disk" "$leg"
start_job "$disk" "$leg" "/dev/mapper/$hung" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$hung"
bio write "$dev" 0 4k 4
hold_a_write held "$disk" complete 60000 1m 5
bio read "$dev" 0 64k
bio read "$dev" 1m 4k
bio flush "$dev"
expect_status "$disk" held 1
dmsetup resume "$hung"
wait_state "$disk" pivoted
wait "$held"
bio verify "$dst" 1m 4k 5

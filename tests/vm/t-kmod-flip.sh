#!/bin/bash
# description: a flip waits for the write in flight, and held writes go on at the new truth
# kernels: 6.1 6.12 uml-debug
# tier: core
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
bio fill "$src" 0 8m 1
ms=$((500 + 100 * case_slow))
delay_on slow "$src" 0 0
linear_on disk "/dev/mapper/$slow"
dev=/dev/mapper/$disk

# flip HOW: with one write in flight at the source, and one held
flip() {
	swap_table "$slow" "$(delay_table "$src" 0 0)"
	start_job "$disk" "/dev/mapper/$slow" "$dst" sync "$2"
	wait_ready "$disk"
	swap_table "$slow" "$(delay_table "$src" 0 $ms)"
	bio write "$dev" 0 4k 2 &
	first=$!
	wait_for 5 in_flight "$disk" 1
	msg "$disk" "$1" 30000
	hold_a_write second "$disk" 1m 3
	gone "$first" && fail "the first write did not wait: nothing is shown"
	expect_status "$disk" state completing
	# Reads never wait.
	bio read "$dev" 1m 4k
	wait_for 40 not_completing "$disk"
	wait "$first" "$second"
}

check "complete: both are on the destination, the held one only there"
flip complete full
expect_status "$disk" state pivoted
bio verify "$dst" 0 4k 2
bio verify "$dst" 1m 4k 3
bio verify "$src" 1m 4k 1
bio verify "$dev" 0 4k 2
bio verify "$dev" 1m 4k 3
us=$(status_value "$disk" blackout_us)
echo "  held for $us us, a write took $ms ms"
[ "$us" -le $((ms * 3000)) ] || fail "held for too long"

check "finish: the first one is on the copy, the held one is not"
stop_job "$disk" "/dev/mapper/$slow"
bio fill "$src" 0 8m 1
flip finish full
expect_status "$disk" state finished
bio verify "$dst" 0 4k 2
bio verify "$dst" 1m 4k 1
bio verify "$src" 0 4k 2
bio verify "$src" 1m 4k 3

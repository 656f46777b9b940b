#!/bin/bash
# description: a destination that loses its cache: flush errors, and what it acknowledged is copied again
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

needs_target flakey
null_disk src 16
null_disk dst 17 cache_size=17
bio fill "$src" 0 16m 1
len=$(sectors "$src")
linear_on disk "$src"
linear_on leg "$dst"

# A device that takes writes and fails flushes: those go to each of its parts, writes only to the one that is in use.
no_flush() {
	dmsetup load "$leg" <<- END
		0 $len linear $dst 0
		$len 8 flakey $dst $len 0 1 1 error_writes
	END
	dmsetup resume "$leg"
}

good() {
	swap_table "$leg" "0 $((len + 8)) linear $dst 0"
}
good

check "flush error before ready: failed, and nothing counts as copied"
start_job "$disk" "$src" "/dev/mapper/$leg" paused
no_flush
refused bio flush "/dev/mapper/$leg"
msg "$disk" resume
wait_state "$disk" failed
expect_status "$disk" error target-flush
expect_status "$disk" io_status failed
expect_status "$disk" dirty_bytes $((16 << 20))
expect_status "$disk" ready 0

check "repaired: everything is copied again, and ready"
copied=$(status_value "$disk" copied_bytes)
good
msg "$disk" resume
wait_ready "$disk"
[ $(($(status_value "$disk" copied_bytes) - copied)) -ge $((16 << 20)) ] || fail "not copied again"
compare_legs "$src" "$dst"

check "flush error while completing: not pivoted, the guest goes on at the source"
no_flush
guest_on guest "$disk" -p 1000
complete "$disk" 3000 && fail "pivoted to a destination that was not flushed"
expect_status "$disk" state failed
expect_status "$disk" error target-flush
guest_off "$guest" "$disk"
good
msg "$disk" resume
wait_ready "$disk"
complete "$disk" 5000 || fail "not pivoted after repair"
compare_legs "$src" "$dst"

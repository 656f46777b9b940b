#!/bin/bash
# description: errors of destination and source: the guest does not notice, and a repaired job becomes ready
# kernels: 6.1 6.12 uml-debug
# check: 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
len=$(sectors "$src")
linear_on lower "$src"
linear_on leg "$dst"
linear_on disk "/dev/mapper/$lower"

# A leg of which 128 KiB from 4 MiB on are broken; a request over their border fails in part
broken() {
	printf '0 8192 linear %s 0\n8192 256 error\n8448 %s linear %s 8448\n' "$1" $((len - 8448)) "$1"
}

# repair NAME DEVICE
repair() {
	swap_table "$1" "0 $len linear $2 0"
}

break_leg() {
	broken "$2" | dmsetup load "$1"
	dmsetup resume "$1"
}

failed_with() {
	wait_state "$disk" failed
	expect_status "$disk" error "$1"
	expect_status "$disk" io_status "$2"
	expect_status "$disk" ready 0
	expect_status "$disk" event error
	wait_for 10 status_is "$disk" inflight_bytes 0
}

recovers() {
	msg "$disk" resume
	wait_ready "$disk"
	expect_status "$disk" io_status ok
	expect_status "$disk" error -
	wait_for 20 status_is "$disk" dirty_bytes 0
	wait_for 20 status_is "$disk" inflight_bytes 0
}

check "destination write error in the middle"
guest_on guest "$disk" -p 1000
break_leg "$leg" "$dst"
start_job "$disk" "/dev/mapper/$lower" "/dev/mapper/$leg"
failed_with target-write failed
status_above "$disk" target_errors 0 || fail "not counted"
expect_status "$disk" source_errors 0
status_above "$disk" dirty_bytes 131071 || fail "not kept dirty"
copied=$(status_value "$disk" copied_bytes)

check "resumed without repair it fails again"
msg "$disk" resume
failed_with target-write failed

check "repaired and resumed it becomes ready; what was copied is not copied again"
repair "$leg" "$dst"
guest_off "$guest" "$disk"
dirty=$(status_value "$disk" dirty_bytes)
copied=$(status_value "$disk" copied_bytes)
recovers
more=$(($(status_value "$disk" copied_bytes) - copied))
[ "$more" -le "$dirty" ] || fail "copied $more bytes where $dirty were dirty"
compare_legs "$src" "$dst"

check "an error once ready ends ready; writes go on being tracked"
break_leg "$leg" "$dst"
bio write "/dev/mapper/$disk" 4m 4k 2
failed_with target-write failed
bio write "/dev/mapper/$disk" 8m 4k 2
status_above "$disk" dirty_bytes 131071 || fail "not tracked while failed"
refused msg "$disk" complete 100
repair "$leg" "$dst"
recovers
compare_legs "$src" "$dst"

check "source read error: the copier's own, the guest's other reads go on"
stop_job "$disk" "/dev/mapper/$lower"
break_leg "$lower" "$src"
start_job "$disk" "/dev/mapper/$lower" "/dev/mapper/$leg"
failed_with source-read failed
status_above "$disk" source_errors 0 || fail "not counted"
expect_status "$disk" target_errors 0
bio read "/dev/mapper/$disk" 8m 64k
refused bio read "/dev/mapper/$disk" 4m 64k

check "a guest write that failed at the source is tracked, too: it may have changed something"
refused bio write "/dev/mapper/$disk" $(((8192 - 8) * 512)) 8k 3
repair "$lower" "$src"
recovers
compare_legs "$src" "$dst"

check "destination gone for good: abort works in state failed"
swap_table "$leg" "0 $len error"
bio write "/dev/mapper/$disk" 0 4k 4
failed_with target-write failed
stop_job "$disk" "/dev/mapper/$lower"
bio verify "/dev/mapper/$disk" 0 4k 4

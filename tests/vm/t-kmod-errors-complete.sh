#!/bin/bash
# description: a destination that dies while a job completes, and an abort from every state with it dead
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
len=$(sectors "$src")
linear_on disk "$src"
linear_on leg "$dst"

live() {
	swap_table "$leg" "0 $len linear $dst 0"
}

die() {
	swap_table "$leg" "0 $len error"
}

ready_job() {
	live
	start_job "$disk" "$src" "/dev/mapper/$leg" "$@"
	wait_ready "$disk"
}

check "write error while completing: failed, not pivoted, and the guest goes on at the source"
ready_job
dmsetup suspend --noflush "$leg"
bio write "/dev/mapper/$disk" 0 4k 2
hold_a_write writer "$disk" complete 60000 1m 2
# What hangs at the destination comes back with errors.
die
wait "$writer"
wait_state "$disk" failed
expect_status "$disk" event not-completed
expect_status "$disk" error target-write
expect_status "$disk" held 0
bio verify "$src" 1m 4k 2
bio write "/dev/mapper/$disk" 1m 4k 3
bio verify "$src" 1m 4k 3

check "abort in state failed"
stop_job "$disk" "$src"

check "abort while copying, paused, ready; the destination dead"
for how in copying paused ready; do
	live
	case $how in
	copying) start_job "$disk" "$src" "/dev/mapper/$leg" bandwidth 1048576 ;;
	paused) start_job "$disk" "$src" "/dev/mapper/$leg" paused ;;
	ready) ready_job sync none ;;
	esac
	die
	bio write "/dev/mapper/$disk" 0 4k 3
	stop_job "$disk" "$src"
	bio verify "/dev/mapper/$disk" 0 4k 3
done

check "abort of a finished job; of a pivoted one there is no way back, and the dead destination's errors are the guest's"
ready_job sync none
complete "$disk" 5000 finish || fail "not finished"
die
bio write "/dev/mapper/$disk" 0 4k 4
stop_job "$disk" "$src"
bio verify "/dev/mapper/$disk" 0 4k 4
ready_job sync none
complete "$disk" 5000 || fail "not pivoted"
die
refused bio write "/dev/mapper/$disk" 0 4k 5
live
bio write "/dev/mapper/$disk" 0 4k 5
bio verify "$dst" 0 4k 5
stop_job "$disk" "$dst"

check "a full destination: nospace"
if modprobe -q dm-thin-pool; then
	null_disk meta 4
	null_disk data 8
	dm_new pool "0 $(sectors "$data") thin-pool $meta $data 128 0 1 error_if_no_space"
	msg "$pool" create_thin 0
	dm_new thin "0 $len thin /dev/mapper/$pool 0"
	swap_table "$disk" "0 $len linear $src 0"
	start_job "$disk" "$src" "/dev/mapper/$thin" detect_zeroes off
	wait_state "$disk" failed
	expect_status "$disk" io_status nospace
	expect_status "$disk" error target-write
	bio write "/dev/mapper/$disk" 0 4k 6
	stop_job "$disk" "$src"
	dmsetup remove "$thin"
	dmsetup remove "$pool"
else
	echo "  no thin-pool in this kernel"
fi

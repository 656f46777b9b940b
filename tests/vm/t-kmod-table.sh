#!/bin/bash
# description: the printed table line loads again and prints the same
# kernels: 6.1 6.12 uml-debug uml
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 2
null_disk dst 2
null_disk src2 2
null_disk dst2 2
linear_on disk "$src"
linear_on copy "$src2"
len=$(sectors "$src")

src_no=$(devno "$src") dst_no=$(devno "$dst") src2_no=$(devno "$src2") dst2_no=$(devno "$dst2")

# same_elsewhere LINE ARGUMENTS: the printed line, loaded for $copy with legs of its own, is printed again to the letter
same_elsewhere() {
	local line=$1 moved
	moved=${line/$src_no/$src2_no}
	moved=${moved/$dst_no/$dst2_no}
	dmsetup load "$copy" --table "$moved"
	expect "the line again" "$(dmsetup table --inactive "$copy")" "$moved"
	expect "arguments of '$line'" "${line#*copy_mode auto}" "$2"
}

round_trip() {
	local want=$1
	shift
	dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len" "$@")"
	same_elsewhere "$(dmsetup table --inactive "$disk")" "$want"
}

live_line() {
	same_elsewhere "$(dmsetup table "$disk")" "$1"
}

check "arguments, given in any order, defaults left out"
round_trip ""
round_trip " sync none" sync none
round_trip " bandwidth 1000000" bandwidth 1000000
round_trip "" bandwidth 0
round_trip " buf_size 1048576" buf_size 1048576
round_trip "" buf_size 16777216
round_trip " detect_zeroes off" detect_zeroes off
round_trip " detect_zeroes on" detect_zeroes on
round_trip "" detect_zeroes unmap
round_trip " paused" paused
round_trip "" copy_mode auto on_source_error report on_target_error report write_timeout 1000
round_trip " write_timeout 60000" write_timeout 60000
for policy in ignore enospc stop; do
	round_trip " on_source_error $policy" on_source_error $policy
	round_trip " on_target_error $policy" on_target_error $policy
done
round_trip " sync none bandwidth 5 buf_size 2097152 detect_zeroes on paused" \
	paused detect_zeroes on buf_size 2097152 bandwidth 5 sync none on_target_error report

check "copy modes"
for mode in background write-blocking auto; do
	dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len" paused copy_mode $mode)"
	expect "the line" "$(dmsetup table --inactive "$disk")" \
		"0 $len blockcopy $src_no 0 $dst_no 0 128 3 copy_mode $mode paused"
done

check "no arguments at all, and the number 0"
for tail in "" " 0"; do
	dmsetup load "$disk" --table "0 $len blockcopy $src 0 $dst 0 128$tail"
	same_elsewhere "$(dmsetup table --inactive "$disk")" ""
done

check "offsets and lengths"
dmsetup clear "$disk"
short=$((len - 2048))
dmsetup create "$case_id-off" --table "0 $short blockcopy $src 1024 $dst 2048 8 1 paused"
expect "the line" "$(dmsetup table "$case_id-off")" \
	"0 $short blockcopy $src_no 1024 $dst_no 2048 8 3 copy_mode auto paused"
dmsetup remove "$case_id-off"

check "every region size"
for ((REGION = 8; REGION <= 131072; REGION *= 2)); do
	round_trip " paused" paused
done
REGION=128

check "as it is now: pause, resume, set"
start_job "$disk" "$src" "$dst" sync none
msg "$disk" pause
live_line " sync none paused"
msg "$disk" resume
msg "$disk" set bandwidth 12345678
msg "$disk" set buf_size 4194304
live_line " sync none bandwidth 12345678 buf_size 4194304"

check "pivoted and finished, which load again as the same"
wait_ready "$disk"
complete "$disk" 5000 || fail "not pivoted"
live_line " sync none bandwidth 12345678 buf_size 4194304 pivoted"
stop_job "$disk" "$src"
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
complete "$disk" 5000 finish || fail "not finished"
live_line " sync none finished"

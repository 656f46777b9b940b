#!/bin/bash
# description: write-blocking: the legs are equal though writes overlap, and though their data changes meanwhile
# kernels: 6.1 6.12 uml-debug uml
# check: uml-debug
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk raw 16
null_disk dst 16
# The source takes its time, on several processors: it reorders what is in flight together.
if modprobe -q dm-crypt 2> /dev/null; then
	dm_new src "0 $(sectors "$raw") crypt capi:xts(aes)-plain64 $(printf '%064d' 7) 0 $raw 0"
else
	linear_on src "$raw"
fi
src=/dev/mapper/$src
bio fill "$src" 0 16m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
start_job "$disk" "$src" "$dst" copy_mode write-blocking
wait_for 30 status_is "$disk" actively_synced 1

# equal: nothing was copied afterwards to make it so
equal() {
	local copied=$1
	expect_status "$disk" dirty_bytes 0
	expect_status "$disk" copied_bytes "$copied"
	compare_legs "$src" "$dst"
}
copied=$(status_value "$disk" copied_bytes)

check "overlapping writes of several threads"
for ((round = 0; round < 24; round++)); do
	clash -t 6 -n 150 "$dev" $((round * 65536)) 32768
done
equal "$copied"

check "data that changes while it is written"
for ((round = 0; round < 8; round++)); do
	clash -x -t 4 -b 16 -n 150 "$dev" $((4194304 + round * 1048576)) 1048576
done
equal "$copied"

check "both, with copies going on"
msg "$disk" set copy_mode background
bio fill "$dev" 0 16m 2
msg "$disk" set bandwidth 4194304
msg "$disk" set copy_mode write-blocking
for ((round = 0; round < 8; round++)); do
	clash -x -t 6 -n 100 "$dev" $((round * 2097152)) 2097152
done
msg "$disk" set bandwidth 0
wait_for 30 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"

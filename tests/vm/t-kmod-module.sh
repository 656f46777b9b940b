#!/bin/bash
# description: the module stays while it is used; jobs on several devices at once; many begun and aborted
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
null_disk src2 8
null_disk dst2 8
bio fill "$src" 0 8m 1
bio fill "$src2" 0 8m 2
linear_on disk "$src"
linear_on disk2 "$src2"

uses() {
	local n
	read -r n < /sys/module/dm_blockcopy/refcnt
	echo "$n"
}

check "unused it goes, and comes when it is asked for by name"
if [ "$BLOCKCOPY_KERNEL" != uml-debug ]; then
	modprobe -r dm-blockcopy
	[ ! -d /sys/module/dm_blockcopy ] || fail "still there"
fi
start_job "$disk" "$src" "$dst"
[ -d /sys/module/dm_blockcopy ] || fail "not loaded"

check "used, be it by a table that is not live, it stays"
refused modprobe -r dm-blockcopy
expect "uses" "$(uses)" 1
dmsetup load "$disk2" --table "$(job_table "$src2" "$dst2" "$(sectors "$src2")")"
expect "uses" "$(uses)" 2
dmsetup clear "$disk2"
expect "uses" "$(uses)" 1

check "two jobs at once, each to its own destination"
start_job "$disk2" "$src2" "$dst2"
guest_on guest "$disk" -t 2 -p 1000
guest_on guest2 "$disk2" -t 2 -p 1000
wait_ready "$disk"
wait_ready "$disk2"
until complete "$disk" $((300 * case_slow)); do
	expect_status "$disk" error blackout-budget-spent
done
until complete "$disk2" $((300 * case_slow)) finish; do
	expect_status "$disk2" error blackout-budget-spent
done
guest_off "$guest" "$disk"
guest_off "$guest2" "$disk2"
expect_status "$disk" state pivoted
expect_status "$disk2" state finished
stop_job "$disk" "$dst"
stop_job "$disk2" "$src2"
expect "uses" "$(uses)" 0

# Leaks show in kmemleak, which the harness reads at the end.
rounds=$((case_slow == 10 ? 15 : 50))
check "$rounds jobs begun and aborted"
guest_on guest "$disk" -t 1 -p 5000
for ((i = 0; i < rounds; i++)); do
	start_job "$disk" "$dst" "$src" bandwidth $((1048576 * (i + 1)))
	stop_job "$disk" "$dst"
done
guest_off "$guest" "$disk"
expect "uses" "$(uses)" 0
bio fill "$src" 0 8m 3
bio verify "$src" 0 8m 3

#!/bin/bash
# description: a job on the swap device of a guest that has too little memory, with allocations that fail: no deadlock, forward progress
# kernels: 6.1 6.12
# check: none
# tier: full
# mem: 512M
# disks: 1G 1G
# timeout: 1200
# log-ok: page allocation failure|Out of memory|oom-kill|oom_reaper|FAULT_INJECTION|Call Trace
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

read -r one two <<< "$BLOCKCOPY_DISKS"
[ -b "$two" ] || skip "needs two scratch disks"
seconds=${BLOCKCOPY_SOAK_SECONDS:-20}
len=$(((512 << 20) / 512))
linear_on disk "$one" $len
linear_on to "$two" $len
mkswap -q "/dev/mapper/$disk" > /dev/null
swapon "/dev/mapper/$disk"
trap 'swapoff -a; teardown' EXIT

# Of those that are killed for want of memory we are not one; stress-ng says so for itself.
echo -1000 > /proc/$$/oom_score_adj

# MiB that were written to it; without a process more.
swapped_out() {
	local words
	read -ra words < "/sys/dev/block/$(devno "/dev/mapper/$disk")/stat"
	echo $((words[6] >> 11))
}
fail_allocations() {
	local what=/sys/kernel/debug/$1
	[ -d "$what" ] || return 0
	echo "$2" > "$what/probability"
	echo 97 > "$what/interval"
	echo -1 > "$what/times"
	echo 0 > "$what/verbose"
	# Only those that may fail: not of whoever cannot be told.
	[ ! -e "$what/ignore-gfp-wait" ] || echo 1 > "$what/ignore-gfp-wait"
}

# pressure MODE
pressure() {
	local before out copied
	check "swapping through a job in mode $1"
	blkdiscard -f "/dev/mapper/$to" 2> /dev/null || true
	start_job "$disk" "$one" "/dev/mapper/$to" copy_mode "$1" bandwidth 33554432
	before=$(swapped_out)
	fail_allocations failslab 5
	fail_allocations fail_page_alloc 5
	hog 320 &
	local stress=$!
	hog 320 &
	wait_for 60 more_swapped "$before"
	copied=$(status_value "$disk" copied_bytes)
	wait_for 60 status_above "$disk" copied_bytes "$copied"
	wait $stress
	wait
	fail_allocations failslab 0
	fail_allocations fail_page_alloc 0
	out=$(($(swapped_out) - before))
	echo "  swapped out: $out MiB, mirrored: $(($(status_value "$disk" mirrored_bytes) >> 20)) MiB, copied: $(($(status_value "$disk" copied_bytes) >> 20)) MiB"
	wait_ready "$disk"
	swapoff "/dev/mapper/$disk"
	wait_for 30 status_is "$disk" dirty_bytes 0
	compare_legs "$one" "/dev/mapper/$to" $((len * 512))
	mkswap -q "/dev/mapper/$disk" > /dev/null
	swapon "/dev/mapper/$disk"
	wait_for 30 status_is "$disk" dirty_bytes 0
	complete "$disk" 10000 || fail "not pivoted: $(status_value "$disk" error)"
	swapoff "/dev/mapper/$disk"
	stop_job "$disk" "$one"
	mkswap -q "/dev/mapper/$disk" > /dev/null
	swapon "/dev/mapper/$disk"
}
# hog MIB: writes to that much memory, round and round. stress-ng gives up at the first allocation that fails.
hog() {
	(echo 500 > "/proc/$BASHPID/oom_score_adj" && exec python3 -c '
import sys, time
end = time.monotonic() + float(sys.argv[2])
memory = bytearray(int(sys.argv[1]) << 20)
n = 0
while time.monotonic() < end:
    n = (n + 1) % 256
    for i in range(0, len(memory), 4096):
        memory[i] = n
' "$1" "$seconds") || true
}
more_swapped() {
	[ $(($(swapped_out) - $1)) -gt 16 ]
}

pressure background
pressure write-blocking
swapoff "/dev/mapper/$disk"

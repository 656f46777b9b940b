#!/bin/bash
# description: a suspend interrupted by a signal: presuspend_undo, and copying goes on
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
linear_on lower "$src"
linear_on disk "/dev/mapper/$lower"
start_job "$disk" "/dev/mapper/$lower" "$dst" bandwidth 4194304
wait_for 10 status_above "$disk" copied_bytes 0

check "a guest write hangs below, so the suspend waits for it"
dmsetup suspend --noflush "$lower"
bio write "/dev/mapper/$disk" 0 4k 2 &
writer=$!
wait_for 5 blocked "$writer" || true
dmsetup suspend --nolockfs "$disk" &
suspend=$!
pid_waits() {
	[ "$(sed 's/.*) //;s/ .*//' "/proc/$suspend/stat")" = S ]
}
# interrupt: background commands of a shell ignore SIGINT
interrupt() {
	local status=0
	wait_for 5 pid_waits
	# It may not have got to the waiting yet.
	until gone "$suspend"; do
		kill -TERM "$suspend"
		sleep 0.1
	done
	wait "$suspend" || status=$?
	[ $status != 0 ] || fail "it succeeded"
}

check "interrupted, the device is live again"
interrupt
dmsetup resume "$lower"
wait "$writer"
attr=$(dmsetup info -c --noheadings -o suspended "$disk")
expect "suspended" "$attr" "Active"

check "the copier goes on and the job becomes ready"
copied=$(status_value "$disk" copied_bytes)
wait_for 10 status_above "$disk" copied_bytes "$copied"
msg "$disk" set bandwidth 0
wait_ready "$disk"
compare_legs "$src" "$dst"

check "the same in a swap: the live job goes on, the new table is inactive again or gone"
dmsetup suspend --noflush "$lower"
bio write "/dev/mapper/$disk" 0 4k 3 &
writer=$!
wait_for 5 blocked "$writer" || true
dmsetup load "$disk" --table "0 $(sectors "/dev/mapper/$disk") linear /dev/mapper/$lower 0"
dmsetup resume --nolockfs "$disk" &
suspend=$!
interrupt
dmsetup resume "$lower"
wait "$writer"
dmsetup clear "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

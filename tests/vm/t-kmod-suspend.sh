#!/bin/bash
# description: suspend and resume of the same job: copying, ready, completing; noflush, nolockfs; status meanwhile
# kernels: 6.1 6.12 uml-debug uml
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
linear_on disk "$src"
start_job "$disk" "$src" "$dst" bandwidth 1048576
wait_for 10 status_above "$disk" copied_bytes 0

# resume without a loaded table: the same job goes on
for how in "" --noflush --nolockfs "--noflush --nolockfs"; do
	check "suspend ${how:-plainly} while copying: nothing is copied, status and messages answer"
	before=$(status_value "$disk" copied_bytes)
	# shellcheck disable=SC2086
	dmsetup suspend $how "$disk"
	expect_status "$disk" inflight_bytes 0
	stopped=$(status_value "$disk" copied_bytes)
	dmsetup table "$disk" > /dev/null
	msg "$disk" set bandwidth 2097152
	expect_status "$disk" bandwidth 2097152
	expect_status "$disk" copied_bytes "$stopped"
	expect_status "$disk" state copying
	[ "$stopped" -ge "$before" ] || fail "progress went back"
	dmsetup resume "$disk"
	wait_for 10 status_above "$disk" copied_bytes "$stopped"
done

check "pause and resume of the copier while suspended take effect afterwards"
dmsetup suspend "$disk"
msg "$disk" pause
dmsetup resume "$disk"
stopped=$(status_value "$disk" copied_bytes)
expect_status "$disk" paused 1
msg "$disk" resume
wait_for 10 status_above "$disk" copied_bytes "$stopped"
msg "$disk" set bandwidth 0
wait_ready "$disk"

check "suspend while ready: ready stays latched, writes afterwards are tracked and copied"
events=$(status_value "$disk" events)
dmsetup suspend "$disk"
expect_status "$disk" ready 1
refused msg "$disk" complete 500
refused msg "$disk" finish 500
expect_status "$disk" events "$events"
dmsetup resume "$disk"
bio write "/dev/mapper/$disk" 1m 1m 2
wait_for 10 status_is "$disk" dirty_bytes 0
wait_for 10 status_is "$disk" inflight_bytes 0
bio verify "$dst" 1m 1m 2

check "suspend while completing: the completion is given up, the guest's held write goes on"
stop_job "$disk" "$src"
delay_on slow "$dst" 0 0
start_job "$disk" "$src" "/dev/mapper/$slow" sync none
wait_ready "$disk"
# From here on nothing that the copier sends to the destination comes back.
dmsetup suspend --noflush "$slow"
bio write "/dev/mapper/$disk" 2m 4k 3
msg "$disk" complete 60000
expect_status "$disk" state completing
bio write "/dev/mapper/$disk" 3m 4k 3 &
writer=$!
dmsetup suspend "$disk"
expect_status "$disk" state ready
expect_status "$disk" error suspended-while-completing
[[ $(status_value "$disk" event) == @(not-completed|mode-changed|falling-behind) ]] || fail "event: $(status_value "$disk" event)"
expect_status "$disk" held 0
dmsetup resume "$disk"
wait "$writer"
dmsetup resume "$slow"
wait_for 10 status_is "$disk" dirty_bytes 0
wait_for 10 status_is "$disk" inflight_bytes 0
complete "$disk" 5000 || fail "the next completion did not come about"
compare_legs "$src" "$dst"

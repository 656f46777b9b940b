#!/bin/bash
# description: error policies ignore, stop and enospc on either leg; a bad region does not keep the others; the epoch of READY ends
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

needs_target flakey
null_disk src 32
null_disk dst 32
bio fill "$src" 0 32m 1
len=$(sectors "$src")
# Two devices whose sectors 16 MiB to 16 MiB + 4 KiB can be made bad, for writes or reads.
good() { echo "0 $len linear $1 0"; }
bad() { # DISK
	echo "0 32768 linear $1 0
32768 8 error
32776 $((len - 32776)) linear $1 32776"
}
dm_new from "$(good "$src")"
dm_new to "$(good "$dst")"
linear_on disk "/dev/mapper/$from"
dev=/dev/mapper/$disk
job() { start_job "$disk" "/dev/mapper/$from" "/dev/mapper/$to" "$@"; }
repair() {
	swap_table "$from" "$(good "$src")"
	swap_table "$to" "$(good "$dst")"
}
ended() {
	wait_ready "$disk"
	wait_for 20 status_is "$disk" dirty_bytes 0
	expect_status "$disk" io_status ok
	compare_legs "$src" "$dst"
	stop_job "$disk" "/dev/mapper/$from"
	bio fill "$dst" 0 32m 99
}

for leg in source target; do
	device=$to disk_of=$dst error=target-write
	[ $leg = target ] || device=$from disk_of=$src error=source-read

	check "$leg, ignore: all but the bad region is copied; it is tried again, and copied when repaired"
	swap_table "$device" "$(bad "$disk_of")"
	job on_${leg}_error ignore
	wait_for 20 status_is "$disk" dirty_bytes 65536
	expect_status "$disk" state copying
	expect_status "$disk" io_status failed
	expect_status "$disk" error "$error"
	tries=$(status_value "$disk" ${leg}_errors)
	wait_for 20 status_above "$disk" ${leg}_errors "$tries"
	echo "  tried $(status_value "$disk" ${leg}_errors) times"
	if [ $leg = target ]; then
		guest_on guest "$disk" -t 2 -p 1000
		guest_off "$guest" "$disk"
	fi
	repair
	ended

	check "$leg, stop: paused, in place; resume goes on"
	swap_table "$device" "$(bad "$disk_of")"
	job on_${leg}_error stop
	wait_for 20 status_is "$disk" paused 1
	expect_status "$disk" state copying
	expect_status "$disk" io_status failed
	msg "$disk" resume
	wait_for 20 status_is "$disk" paused 1
	repair
	msg "$disk" resume
	expect_status "$disk" paused 0
	ended

	check "$leg, enospc: an error that is none of space fails"
	swap_table "$device" "$(bad "$disk_of")"
	job on_${leg}_error enospc
	wait_state "$disk" failed
	repair
	msg "$disk" resume
	ended
done

check "an error while mirroring: the guest does not see it, READY ends, and comes again"
job copy_mode write-blocking on_target_error ignore
wait_for 20 status_is "$disk" actively_synced 1
events=$(status_value "$disk" events)
swap_table "$to" "$(bad "$dst")"
bio write "$dev" 16m 4k 5
wait_for 10 status_is "$disk" state copying
expect_status "$disk" mirroring 0
expect_status "$disk" dirty_bytes 65536
[ "$(status_value "$disk" events)" -gt "$events" ] || fail "no event"
repair
wait_ready "$disk"
wait_for 20 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"

check "an error while completing: rolled back, the guest is on the source"
swap_table "$to" "$(bad "$dst")"
msg "$disk" set on_target_error stop
msg "$disk" set copy_mode background
bio write "$dev" 16m 4k 6
wait_for 10 status_is "$disk" paused 1
refused msg "$disk" complete 1000
repair
msg "$disk" resume
wait_ready "$disk"
stop_job "$disk" "/dev/mapper/$from"

check "a thin destination that is full pauses, and goes on when there is room"
if modprobe -q dm-thin-pool 2> /dev/null; then
	null_disk meta 8
	null_disk pool_disk 40
	dd if=/dev/zero of="$meta" bs=4k count=1 oflag=direct status=none
	dm_new pool "0 $((16 * 2048)) thin-pool $meta $pool_disk 128 0 1 error_if_no_space"
	dmsetup message "$pool" 0 create_thin 0
	dm_new thin "0 $len thin /dev/mapper/$pool 0"
	start_job "$disk" "/dev/mapper/$from" "/dev/mapper/$thin" on_target_error enospc
	wait_for 20 status_is "$disk" paused 1
	expect_status "$disk" io_status nospace
	expect_status "$disk" state copying
	guest_on guest "$disk"
	guest_off "$guest" "$disk"
	msg "$disk" resume
	wait_for 20 status_is "$disk" paused 1
	expect_status "$disk" io_status nospace
	dmsetup load "$pool" --table "0 $((40 * 2048)) thin-pool $meta $pool_disk 128 0 1 error_if_no_space"
	dmsetup resume "$pool"
	msg "$disk" resume
	wait_ready "$disk"
	wait_for 20 status_is "$disk" dirty_bytes 0
	compare_legs "$src" "/dev/mapper/$thin"
	stop_job "$disk" "/dev/mapper/$from"
	dmsetup remove "$thin"
fi

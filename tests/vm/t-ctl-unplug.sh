#!/bin/bash
# description: a SCSI disk that is unplugged while it is copied to, mirrored to, and in the last flush of a pivot; another destination after that
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

# Commands take so many jiffies, and a flush that has anything to do 50 ms for each of them.
delay=10
modprobe -q sd_mod || skip "this kernel has no SCSI disks"
modprobe -q scsi_debug dev_size_mb=16 max_luns=5 delay=$delay || skip "this kernel has no scsi_debug"
host=$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*)
disks=()
all_there() {
	local dir
	disks=()
	for dir in "$host"/target*/*/block/*; do disks+=("/dev/${dir##*/}"); done
	[ ${#disks[@]} = 5 ] && [ -b "${disks[4]}" ]
}
wait_for 20 all_there
# On UML debug a module stays.
drop_scsi() {
	for disk_dir in "$host"/target*/*/delete; do echo 1 > "$disk_dir"; done
	[ "$BLOCKCOPY_KERNEL" = uml-debug ] || modprobe -r scsi_debug
}
trap 'status=$?; trap - ERR; set +e; blockcopy abort "$disk" > /dev/null 2>&1; drop_scsi > /dev/null 2>&1; (exit $status)
	teardown' EXIT

null_disk src 16
bio fill "$src" 0 16m 1
linear_on disk "$src"
table=$(dmsetup table "$disk")

# set_delay JIFFIES: refused while a command is on its way
set_delay() {
	echo "$1" 2> /dev/null > /sys/bus/pseudo/drivers/scsi_debug/delay
}
unplug() {
	echo 1 > "/sys/block/${1#/dev/}/device/delete"
}
# gone_and_told: the job failed, the guest is on the source, info says why, and abort leaves the plain device
gone_and_told() {
	wait_state "$disk" failed
	[[ $(blockcopy info "$disk") == *"destination is gone"* ]] || fail "info: $(blockcopy info "$disk")"
	expect "gone" "$(info "$disk" destination_gone) $(info "$disk" error) $(info "$disk" io_status)" \
		"true destination-gone failed"
	echo "  $(blockcopy info "$disk" | grep -m 1 gone)"
	refuses 4 "gone" blockcopy resume "$disk"
	blockcopy abort "$disk" > /dev/null
	guest_off "$guest" "$disk"
	expect "the table" "$(dmsetup table "$disk")" "$table"
	no_helper "$disk"
}

check "while copying"
guest_on guest "$disk" -t 2 -p 2000
blockcopy start "$disk" "${disks[0]}" --force --bandwidth 1M > /dev/null
wait_for 10 status_above "$disk" copied_bytes 0
unplug "${disks[0]}"
gone_and_told

check "while mirroring"
blockcopy start "$disk" "${disks[1]}" --force --synchronous-writes --write-timeout 10000 --wait > /dev/null
wait_for 20 status_is "$disk" actively_synced 1
guest_on guest "$disk" -t 2 -p 2000
wait_for 20 status_above "$disk" mirrored_bytes 65536
unplug "${disks[1]}"
gone_and_told

check "in the last flush of a pivot, which succeeds"
blockcopy start "$disk" "${disks[2]}" --force --synchronous-writes --write-timeout 10000 --wait > /dev/null
wait_for 20 status_is "$disk" actively_synced 1
# A flush of 10 s: long enough to be seen and cut, however slowly the commands start.
wait_for 20 set_delay 200
guest_on guest "$disk" -t 2 -p 2000
wait_for 20 status_above "$disk" mirrored_bytes 0
blockcopy pivot "$disk" --max-blackout 60000 > "$case_dir/pivot" 2>&1 &
pivot=$!
held() {
	! gone $pivot || fail "it ended too early: $(cat "$case_dir/pivot")"
	status_is "$disk" held 2
}
# Both writers wait: what goes on is the flush.
wait_for 20 held
unplug "${disks[2]}"
wait_for 20 set_delay $delay
status=0
wait $pivot || status=$?
echo "  pivot: $status, $(tail -n 1 "$case_dir/pivot")"
[ $status != 0 ] || fail "pivoted to a disk that was unplugged"
gone_and_told

check "another destination: copied and pivoted to"
guest_on guest "$disk" -t 2 -p 2000
blockcopy start "$disk" "${disks[3]}" --force --wait --pivot --max-blackout 60000 > /dev/null
guest_off "$guest" "$disk"
plain "$disk" "${disks[3]}"
blockcopy start "$disk" "$src" --force --wait --pivot --max-blackout 60000 > /dev/null
plain "$disk" "$src"

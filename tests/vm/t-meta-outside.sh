#!/bin/bash
# description: a disk that was written to below its layer, or a copy that was used, is not what the metadata says: found out
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 240
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

mib=64
null_disk src $mib
null_disk dst $mib
null_disk meta 1
new_name vm
dev=/dev/mapper/$vm
tab=$case_dir/tab
at=$case_dir/at
mkdir "$at"
printf '%s\n' "$vm $src $dst $meta bandwidth=100M" > "$tab"

boot() {
	blockcopy boot "$@" --tab "$tab"
}
start() {
	blockcopy start "$vm" "$dst" --metadata "$meta" --wait "$@" > /dev/null
}
is_clear() {
	[ "$(info "$vm" intent_bytes)" = 0 ]
}
# in_sync, down: the machine goes down while nothing differs.
in_sync_down() {
	wait_ready "$vm"
	wait_for 30 is_clear
	dmsetup remove "$vm"
}
# all_again: it comes back, and copies everything.
all_again() {
	boot attach
	said "everything is copied again" boot resume
	wait_ready "$vm"
	expect "copied" "$(info "$vm" copied_bytes)" $((mib << 20))
	compare_legs "$src" "$dst"
}

check "nobody did: nothing is copied"
mkfs.ext4 -q "$src"
boot attach
start --force
in_sync_down
boot attach
said "its job goes on" boot resume
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" 0
in_sync_down

check "mounted below the layer, and nothing else"
mount "$src" "$at"
umount "$at"
all_again
in_sync_down

check "the file system of a partition"
bio fill "$src" 0 1m 3
# One entry of type 0x83: 49152 sectors from 81920 on.
{
	head -c 446 /dev/zero
	printf '\0\0\0\0\x83\0\0\0\0\x40\x01\0\0\xc0\0\0'
	head -c 48 /dev/zero
	printf '\x55\xaa'
} | dd of="$src" bs=512 conv=notrunc status=none
boot attach
start --force
in_sync_down
bio write "$src" 40m 4k 9
all_again
in_sync_down

check "the copy of a job: its last sector"
printf x | dd of="$dst" bs=1 seek=$(((mib << 20) - 1)) conv=notrunc status=none
all_again

check "a finished copy that was used: refused, and the layer stays"
wait_for 30 is_clear
blockcopy finish "$vm" --keep-tracking > /dev/null
dmsetup remove "$vm"
printf x | dd of="$dst" bs=1 seek=$((40 << 20)) conv=notrunc status=none
boot attach
refuses 6 "found the legs to differ" start --sync bitmap --force
bio write "$dev" 8m 4k 8
start --force

check "a finished copy and a guest that writes: no false alarm"
blockcopy abort "$vm" > /dev/null
blockcopy detach "$vm"
delay_on slow "$src" 30 0
linear_on vm "/dev/mapper/$slow"
dev=/dev/mapper/$vm
start --force
for round in 1 2 3 4; do
	wait_for 30 is_clear
	blockcopy finish "$vm" --keep-tracking > /dev/null
	# From the end to the beginning, so that it meets who compares on the way.
	for ((m = mib - 1; m >= 0; m--)); do
		bio write "$dev" ${m}m 1m "$round" || exit 1
	done &
	start --sync bitmap --force
	wait $!
	wait_ready "$vm"
	blockcopy pause "$vm"
	compare_legs "$src" "$dst"
	blockcopy resume "$vm"
done
blockcopy abort "$vm" > /dev/null

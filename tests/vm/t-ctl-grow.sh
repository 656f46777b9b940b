#!/bin/bash
# description: grow after a pivot to a larger device, and what is refused; a source that grows while it is copied
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk a 16
null_disk b 24
null_disk c 32
noise "$a"
disk=$case_id-vm
blockcopy attach "$a" "$disk"
dev=/dev/mapper/$disk

bytes() {
	blockdev --getsize64 "$1"
}

check "no room, a job, no such device"
refuses 4 "found 16777216 bytes of $a for it, needed more than the 16777216 that it has" blockcopy grow "$disk"
blockcopy start "$disk" "$b" --wait > /dev/null
refuses 4 "found a job on it" blockcopy grow "$disk"
refuses 3 "no such dm device" blockcopy grow nosuch
refuses 6 "needed a dm device" blockcopy grow "$a"

check "after the pivot: all of it, under a guest, and the content stays"
blockcopy pivot "$disk" > /dev/null
expect "size" "$(bytes "$dev")" $((16 << 20))
GUEST_RANGE="$((4 << 20)) $((4 << 20))" guest_on guest "$disk" -p 500
said "has 25165824 bytes" blockcopy grow "$disk"
guest_off "$guest" "$disk"
plain "$disk" "$b"
expect "size" "$(bytes "$dev")" $((24 << 20))
dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
bio write "$dev" $((24 * 1048576 - 4096)) 4k 5
bio verify "$b" $((24 * 1048576 - 4096)) 4k 5
expect "before the guest's part" "$(head -c 4M "$dev" | md5sum)" "$(head -c 4M "$a" | md5sum)"
refuses 4 "needed more than" blockcopy grow "$disk"

check "a job of the larger device copies all of it"
blockcopy start "$disk" "$c" --pivot > /dev/null
expect "size" "$(bytes "$dev")" $((24 << 20))
compare_legs "$dev" "$c" $((24 << 20))

check "others on the device below, several lines, other targets, other makers, an inactive table, suspended"
linear_on other "$c" 16 $((30 * 2048))
refuses 6 "found /dev/mapper/$other on $c as well" blockcopy grow "$disk"
dmsetup remove "$other"
dm_new two "0 2048 linear $a 0
2048 2048 linear $a 4096"
refuses 6 "found a table of 2 lines, needed one linear line" blockcopy grow "$two"
dm_new hole "0 2048 error"
refuses 6 "found a table of target error, needed one linear line" blockcopy grow "$hole"
dmsetup remove "$two"
dmsetup create "$case_id-lv" --uuid "LVM-$case_id" --table "0 2048 linear $a 0"
refuses 6 "found a device of another maker (uuid LVM-$case_id)" blockcopy grow "$case_id-lv"
dmsetup remove "$case_id-lv"
dmsetup load "$disk" --table "0 2048 linear $a 0"
refuses 4 "found an inactive table" blockcopy grow "$disk"
dmsetup clear "$disk"
dmsetup suspend "$disk"
refuses 4 "found it suspended" blockcopy grow "$disk"
dmsetup resume "$disk"
said "has 33554432 bytes" blockcopy grow "$disk"

check "a source that grows while it is copied: the job goes on with what it began with, and grow is for after it"
linear_on lower "$a" $((8 * 2048))
linear_on vm "/dev/mapper/$lower"
blockcopy start "$vm" "$b" --force --wait > /dev/null
swap_table "$lower" "0 $((16 * 2048)) linear $a 0"
expect "len" "$(info "$vm" len)" $((8 << 20))
expect "state" "$(info "$vm" state)" ready
bio write "/dev/mapper/$vm" 0 4k 9
blockcopy abort "$vm"
plain "$vm" "/dev/mapper/$lower"
expect "size" "$(bytes "/dev/mapper/$vm")" $((8 << 20))
said "has 16777216 bytes" blockcopy grow "$vm"
blockcopy start "$vm" "$b" --force --wait > /dev/null
expect "len" "$(info "$vm" len)" $((16 << 20))
swap_table "$lower" "0 $((16 * 2048 - 2048)) linear $a 0
$((16 * 2048 - 2048)) 4096 linear $a $((14 * 2048))"
said "Successfully pivoted" blockcopy pivot "$vm"
expect "size" "$(bytes "/dev/mapper/$vm")" $((16 << 20))
said "has 25165824 bytes" blockcopy grow "$vm"

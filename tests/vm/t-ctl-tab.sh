#!/bin/bash
# description: blockcopytab: who pivots a device whose line would be stale is told; grown devices; tags that the copy has as well
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

loop_disk a 16M
loop_disk b 24M
null_disk c 16
null_disk meta 1
bio fill "$a" 0 16m 1
new_name vm
dev=/dev/mapper/$vm
trap 'status=$?; trap - ERR; set +e; rm -f /etc/blockcopytab; (exit $status)
	teardown' EXIT

line() {
	echo "$vm $*" > /etc/blockcopytab
}
boot() {
	blockcopy boot "$@" > /dev/null
}
down() {
	dmsetup remove "$vm"
}
bytes() {
	blockdev --getsize64 "$dev"
}
start() {
	blockcopy start "$vm" "$@" 2> "$case_dir/said" > /dev/null
}
# told TEXT: on standard error, and nothing else; without TEXT nothing
told() {
	local said
	said=$(< "$case_dir/said")
	if [ $# = 0 ]; then
		expect "standard error" "$said" ""
	else
		[[ $said == "blockcopy: "*"$1" && $said != *$'\n'* ]] || fail "no \"$1\" in: $said"
		echo "  $said"
	fi
}

check "a line without metadata: who pivots is told, alone, in a group and with start"
line "$a"
boot attach
start "$c" --wait
told
blockcopy pivot "$vm" 2> "$case_dir/said" > /dev/null
told "attaches it at $a, where the data is no more: change that line"
start "$b" --pivot
told "attaches it at $a, where the data is no more: change that line"
linear_on other "$c"
start "$a" --force --wait
# It is right again: back at the old one.
blockcopy pivot "$vm" 2> "$case_dir/said" > /dev/null
told
start "$c" --force --wait && fail "it is in use"
dmsetup remove "$other"
linear_on other "$b"
null_disk d 24
blockcopy start "$other" "$d" --wait > /dev/null
start "$c" --force --wait
blockcopy pivot --group "$vm" "$other" 2> "$case_dir/said" > "$case_dir/out"
told "attaches it at $a, where the data is no more: change that line"
expect "lines of standard output" "$(wc -l < "$case_dir/out")" 2
dmsetup remove "$other"

check "a line with metadata: nobody is told, as the boot knows; without metadata there is no copy"
down
line "$a" "$b" "$meta"
truncate -s 17M "$a_file"
losetup -c "$a"
boot attach
dmsetup load "$vm" --table "0 32768 linear $a 0"
dmsetup resume "$vm"
# Blank metadata is no reason against it.
said "has 17825792 bytes" blockcopy grow "$vm"
down
truncate -s 16M "$a_file"
losetup -c "$a"
boot attach
refuses 6 "needed the copy to have it, too" blockcopy start "$vm" "$b" --force
start "$b" --metadata "$meta" --force --pivot
told
down
boot attach
plain "$vm" "$b"
expect "size" "$(bytes)" $((16 << 20))

check "grown after the pivot, it is as long after a boot; also where its disk was made larger"
said "has 25165824 bytes" blockcopy grow "$vm"
bio write "$dev" $((24 * 1048576 - 4096)) 4k 5
down
boot attach
expect "size" "$(bytes)" $((24 << 20))
bio verify "$dev" $((24 * 1048576 - 4096)) 4k 5
down
truncate -s 32M "$b_file"
losetup -c "$b"
boot attach
expect "size" "$(bytes)" $((24 << 20))
said "has 33554432 bytes" blockcopy grow "$vm"
down
boot attach
expect "size" "$(bytes)" $((32 << 20))
down
truncate -s 20M "$b_file"
losetup -c "$b"
refuses 6 "needed at least 33554432" blockcopy boot attach

check "a tag that a copy has as well: without metadata nobody knows, with it the right one is attached"
dd if=/dev/zero of="$meta" bs=64k count=1 oflag=direct status=none
wipefs -aq "$b"
loop_disk x 16M
loop_disk y 16M
with_udev
mkfs.ext4 -q "$x"
tag=UUID=$(blkid -o value -s UUID "$x")
udevadm settle
line "$tag"
boot attach
plain "$vm" "$x"
udevadm settle
boot attach
start "$y" --force --finish
told
down
udevadm trigger --settle "$y"
refuses 6 "needed one device" blockcopy boot attach
wipefs -aq "$y"
udevadm trigger --settle "$y"
line "$tag" "$y" "$meta"
boot attach
plain "$vm" "$x"
start "$y" --metadata "$meta" --force --wait
down
udevadm trigger --settle "$x" "$y"
boot attach
plain "$vm" "$x"
# Once more, as after the initramfs: the layer has the tag, too.
udevadm settle
boot attach
boot resume
wait_ready "$vm"
blockcopy pivot "$vm" > /dev/null
down
udevadm trigger --settle "$x" "$y"
boot attach
plain "$vm" "$y"
down

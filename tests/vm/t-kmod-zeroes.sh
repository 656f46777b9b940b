#!/bin/bash
# description: zeroes are sent as zeroes, a sparse destination stays sparse, and the copy is exact
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

loop_disk src 32M
bio fill "$src" 0 4m 1
bio fill "$src" 20m 2m 1
# Zeroes with one word of data at the very end of a piece, and of a region
bio write "$src" $(((9 << 20) - 512)) 512 2
bio write "$src" $(((24 << 20) + 65536 - 512)) 512 2
linear_on disk "$src"

# copy DETECT [DIRECTORY]: to a new destination full of rubbish, which only what is written to can make exact
copy() {
	local case_dir=${2:-$case_dir}
	loop_disk dst 32M
	bio fill "$dst" 0 32m 99
	start_job "$disk" "$src" "$dst" detect_zeroes "$1"
	wait_ready "$disk"
	zeroed=$(status_value "$disk" zeroed_bytes)
	expect_status "$disk" target_errors 0
	stop_job "$disk" "$src"
	compare_legs "$src" "$dst"
	sync "$dst_file"
	allocated=$(($(stat -c %b "$dst_file") * 512))
	echo "  detect_zeroes $1: $((zeroed >> 10)) KiB of zeroes, $((allocated >> 10)) KiB allocated"
	losetup -d "$dst"
}

check "unmap: holes become holes"
copy unmap
[ "$zeroed" -ge $((22 << 20)) ] || fail "zeroes were not found"
[ "$allocated" -le $((12 << 20)) ] || fail "not sparse"

check "on: zeroes that stay allocated"
# A file in memory cannot: the loop device promises it, refuses it when it comes, and the zeroes go as data.
copy on
[ "$zeroed" -le $((1 << 20)) ] || fail "zeroes that a file in memory cannot do"
[ "$allocated" -ge $((30 << 20)) ] || fail "sparse, which was not asked for"
null_disk disk2 64
mkfs.ext4 -q "$disk2"
mkdir "$case_dir/mnt"
mount "$disk2" "$case_dir/mnt"
case_mounts+=("$case_dir/mnt")
copy on "$case_dir/mnt"
[ "$zeroed" -ge $((22 << 20)) ] || fail "zeroes were not found"
[ "$allocated" -ge $((30 << 20)) ] || fail "sparse, which was not asked for"
umount "$case_dir/mnt"

check "off: data"
copy off
expect "zeroed" "$zeroed" 0
[ "$allocated" -ge $((30 << 20)) ] || fail "sparse, though written as data"

check "a destination that cannot: data, and exact"
null_disk plain 32
bio fill "$plain" 0 32m 98
start_job "$disk" "$src" "$plain" detect_zeroes unmap
wait_ready "$disk"
expect_status "$disk" zeroed_bytes 0
compare_legs "$src" "$plain"
stop_job "$disk" "$src"

check "discarded and zeroed while it is copied"
loop_disk dst 32M
bio fill "$dst" 0 32m 97
start_job "$disk" "$src" "$dst" bandwidth 33554432
bio zero "/dev/mapper/$disk" 1m 1m
bio discard "/dev/mapper/$disk" 21m 1m
bio write "/dev/mapper/$disk" 22m 64k 5
msg "$disk" set bandwidth 0
wait_ready "$disk"
wait_for 20 status_is "$disk" dirty_bytes 0
complete "$disk" 20000 || fail "not pivoted"
compare_legs "$src" "$dst"
bio is-zero "$dst" 1m 1m
bio verify "$dst" 22m 64k 5
stop_job "$disk" "$dst"

check "a destination that cannot any more: it promised when the job began"
linear_on turncoat "$dst"
linear_on disk3 "$src"
start_job "$disk3" "$src" "/dev/mapper/$turncoat" paused
swap_table "$turncoat" "0 $(sectors "$plain") linear $plain 0"
msg "$disk3" resume
wait_ready "$disk3"
expect_status "$disk3" target_errors 0
compare_legs "$src" "$plain"

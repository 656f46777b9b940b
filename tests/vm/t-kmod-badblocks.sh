#!/bin/bash
# description: disks with bad blocks, policy ignore: a destination that refuses them, a source that cannot read them until the guest writes there
# kernels: 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
bio fill "$src" 0 32m 1
len=$(sectors "$src")
bad=$(null_dir "$dst")/badblocks
linear_on disk "$src"
dev=/dev/mapper/$disk

# left BYTES: so much cannot be copied, and is tried again and again
left() {
	local tries
	wait_for 20 status_is "$disk" dirty_bytes "$1"
	expect_status "$disk" state copying
	expect_status "$disk" ready 0
	expect_status "$disk" io_status failed
	tries=$(status_value "$disk" "$2")
	wait_for 30 status_above "$disk" "$2" "$tries"
}

check "destination: bad blocks in three places, a guest that writes on them too"
# Sectors, the last one included: a block, the border of two regions, the end of the disk.
for range in 16384-16391 32760-32775 $((len - 8))-$((len - 1)); do
	echo "+$range" > "$bad"
done
guest_on guest "$disk" -t 2 -p 5000
start_job "$disk" "$src" "$dst" on_target_error ignore copy_mode write-blocking
wait_for 20 status_above "$disk" target_errors 3
guest_off "$guest" "$disk"
left $((4 * 65536)) target_errors
refused msg "$disk" complete 1000
echo "  $(status_value "$disk" target_errors) errors"
expect_status "$disk" source_errors 0
for range in 16384-16391 32760-32775 $((len - 8))-$((len - 1)); do
	echo "-$range" > "$bad"
done
wait_ready "$disk"
wait_for 20 status_is "$disk" dirty_bytes 0
expect_status "$disk" io_status ok
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

if ! modprobe -q dm-dust; then
	echo "this kernel has no device-mapper target dust: no source with bad blocks"
	exit 0
fi
check "source: what cannot be read stays dirty; the guest writes there, which heals it, and it is copied"
bio fill "$dst" 0 32m 99
dm_new dust "0 $len dust $src 0 4096"
swap_table "$disk" "0 $len linear /dev/mapper/$dust 0"
for block in 100 2000 5555; do
	dmsetup message "$dust" 0 addbadblock $block
done
dmsetup message "$dust" 0 enable
start_job "$disk" "/dev/mapper/$dust" "$dst" on_source_error ignore
left $((3 * 65536)) source_errors
expect_status "$disk" target_errors 0
refused bio read "$dev" $((2000 * 4096)) 4k
for block in 100 2000 5555; do
	bio write "$dev" $((block * 4096)) 4k $block
done
wait_ready "$disk"
wait_for 20 status_is "$disk" dirty_bytes 0
for block in 100 2000 5555; do
	bio verify "$dst" $((block * 4096)) 4k $block
done
complete "$disk" 10000 || fail "not pivoted: $(status_value "$disk" error)"
stop_job "$disk" "$dst"
dmsetup message "$dust" 0 disable
compare_legs "$src" "$dst"

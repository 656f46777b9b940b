#!/bin/bash
# description: metadata of 16 TiB: format, start, what was cleared, resume; and how much memory it takes
# kernels: 6.12 uml
# check: uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

size=$((16 << 40))
# What is written is forgotten, and both read the same: a null_blk without memory reads as what the buffer held.
dm_new a "0 $((size / 512)) zero"
dm_new b "0 $((size / 512)) zero"
src=/dev/mapper/$a dst=/dev/mapper/$b
null_disk meta 40
linear_on vm "$src"
dev=/dev/mapper/$vm

timed() { # COMMAND...
	local begin
	begin=$(now_ms)
	"$@" > "$case_dir/out"
	echo "  $1 $2: $(($(now_ms) - begin)) ms"
}
vmalloc_kib() {
	sed -n 's/^VmallocUsed: *\([0-9]*\) kB/\1/p' /proc/meminfo
}
is_clear() {
	[ "$(info "$vm" intent_bytes)" = 0 ]
}

check "formatted, and started with equal legs"
timed blockcopy metadata format "$meta" "$vm" "$dst"
before=$(vmalloc_kib)
timed blockcopy start "$vm" "$dst" --metadata "$meta" --sync none
used=$((($(vmalloc_kib) - before) >> 10))
echo "  memory for its bitmaps: $used MiB"
[ $used -le 140 ] || fail "more than 140 MiB: four bits for each region of 64 KiB, and some"
wait_ready "$vm"
begin=$(now_ms)
wait_for 60 is_clear
echo "  all bits cleared on disk after $(($(now_ms) - begin)) ms"

check "some writes at both ends, lost, and gone on"
blockcopy pause "$vm"
bio write "$dev" 0 4k 1
bio write "$dev" $((size - 4096)) 4k 2
bio write "$dev" $((size / 2 - 4096)) 8k 3
expect "bytes to copy" "$(info "$vm" intent_bytes)" $((4 * 65536))
dmsetup remove "$vm"
dmsetup create "$vm" --table "0 $((size / 512)) linear $src 0"
timed blockcopy metadata dump "$meta"
timed blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap
timed blockcopy info "$vm"
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" $((4 * 65536))
timed blockcopy abort "$vm"

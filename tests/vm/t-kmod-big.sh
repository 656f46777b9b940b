#!/bin/bash
# description: 16 TiB in regions of 64 KiB: memory, the ends, and the time for status
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

needs_target zero
tib=$((1 << 31))
dm_new src "0 $((16 * tib)) zero"
null_disk dst 16777216 memory_backed=0
linear_on disk "/dev/mapper/$src"
dev=/dev/mapper/$disk

vmalloc() {
	sed -n 's/^VmallocUsed: *\([0-9]*\) kB/\1/p' /proc/meminfo
}
free_kib() {
	sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

check "loading takes memory for a bit per region, 32 MiB"
before=$(vmalloc) free=$(free_kib) begin=$(now_ms)
dmsetup load "$disk" --table "$(job_table "/dev/mapper/$src" "$dst" $((16 * tib)) sync none)"
echo "  $(($(now_ms) - begin)) ms, vmalloc $((($(vmalloc) - before) >> 10)) MiB, memory $(((free - $(free_kib)) >> 10)) MiB"
used=$(($(vmalloc) - before))
if [ "$used" -lt 32768 ] || [ "$used" -gt 40960 ]; then
	fail "vmalloc took $used KiB"
fi
dmsetup resume "$disk"
wait_ready "$disk"
msg "$disk" pause

check "marks at both ends and in the middle are found"
bytes=$((16 * tib * 512))
trace_on blockcopy:blockcopy_copy_begin
bio write "$dev" 0 4k 1
bio write "$dev" $((bytes / 2)) 4k 1
bio write "$dev" $((bytes - 4096)) 4k 1
expect_status "$disk" dirty_bytes $((3 * 65536))
msg "$disk" resume
wait_for 20 status_is "$disk" dirty_bytes 0
trace_off
expect "copies" "$(sed -n 's/.*copy_begin: [0-9,]* \([0-9]*\) + 128 .*/\1/p' "$trace" | sort -n | tr '\n' ' ')" \
	"0 $((8 * tib)) $((16 * tib - 128)) "

check "status takes no longer than of a small device: it counts nothing"
# A walk over the bitmap would touch 32 MiB, and shows even on emulated processors; the best of some is what noise cannot add to.
# best NAME: milliseconds
best() {
	local i begin took best=999999
	for ((i = 0; i < 30; i++)); do
		begin=$(now_ms)
		dmsetup status "$1" > /dev/null
		took=$(($(now_ms) - begin))
		best=$((took < best ? took : best))
	done
	echo "$best"
}
null_disk small 1
null_disk small2 1
linear_on sdisk "$small"
start_job "$sdisk" "$small" "$small2" sync none
big=$(best "$disk") little=$(best "$sdisk")
echo "  $big ms, of a small one $little ms"
[ "$big" -le $((little + 20)) ] || fail "status is slow"

check "aborted, it gives the memory back"
stop_job "$disk" "/dev/mapper/$src"
after=$(vmalloc)
[ "$after" -le $((before + 4096)) ] || fail "memory is not given back: $before KiB, then $after KiB"

check "sync full: everything is dirty at once, and copying starts"
start_job "$disk" "/dev/mapper/$src" "$dst" bandwidth 1048576
status_above "$disk" dirty_bytes $((bytes - (64 << 20))) || fail "not all dirty"
expect_status "$disk" total $((16 * tib))
wait_for 10 status_above "$disk" copied_bytes 0

#!/bin/bash
# description: verify finds each bit that was flipped under a guest that writes, repairs it, and takes no write for a difference
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
#
# BLOCKCOPY_VERIFY_SECONDS	how long it is to find no false difference, in either mode
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
command -v fio > /dev/null || skip "fio is not installed"

seconds=${BLOCKCOPY_VERIFY_SECONDS:-3}
mib=16

# Two traps. A read of the source comes later than that of the destination: what is mirrored in between is a difference, and nothing is
# in flight any more. And, in background mode, a write is there at once, and acknowledged a while later, when the other leg of a
# dm-mirror has it as well: it is a difference, and nothing is dirty yet.
needs_target mirror delay
null_disk fast $mib
null_disk other $mib
null_disk below $mib
delay_on slow "$other" 0 0
dm_new both "0 $(sectors "$fast") mirror core 2 1024 nosync 2 $fast 0 /dev/mapper/$slow 0"
delay_on src "/dev/mapper/$both" 10 0
src=/dev/mapper/$src
linear_on dst "$below"
dst=/dev/mapper/$dst
linear_on disk "$src"
dev=/dev/mapper/$disk
bio fill "$fast" 0 ${mib}m 1

# load_on [FIO-OPTION...]: writes of different lengths to the begin of regions, all over the device, that overlap. The last 8 KiB of
# each region are left alone.
load_on() {
	local before
	before=$(writes_ended)
	fio --name=load --filename="$dev" --rw=randwrite --bsrange=4k-56k --blockalign=64k --norandommap --ioengine=libaio \
		--iodepth=8 --direct=1 --size=${mib}m --time_based --runtime=$((2 * seconds + 3600)) "$@" > "$case_dir/fio" 2>&1 &
	load=$!
	wait_for 20 writes_since "$before"
}
writes_ended() {
	local counters
	read -ra counters < "/sys/dev/block/$(devno "$dev")/stat"
	echo "${counters[4]}"
}
writes_since() {
	[ "$(writes_ended)" -gt "$1" ]
}

# load_off: nobody has disturbed it.
load_off() {
	gone $load && fail "fio: $(cat "$case_dir/fio")"
	kill -INT $load
	wait $load || true
	! grep -E 'err=[ 0-9]*[1-9]|io_u error' "$case_dir/fio" || fail "the guest had errors"
}

# flip COUNT FIRST-REGION REGIONS: a bit in a sector at the end of so many regions of the destination, behind its back. The sectors are
# in $case_dir/flipped, as "verify ranges" has them.
flip() {
	python3 - "$below" "$@" > "$case_dir/flipped" << 'END'
import mmap, os, random, sys
device, count, first, regions = sys.argv[1], *map(int, sys.argv[2:])
fd = os.open(device, os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
sector = memoryview(page)[:512]
for region in sorted(random.sample(range(first, first + regions), count)):
    at = region * 128 + random.randrange(112, 128)
    os.preadv(fd, [sector], at * 512)
    sector[random.randrange(512)] ^= 1 << random.randrange(8)
    assert os.pwritev(fd, [sector], at * 512) == 512
    print(at, 1)
END
}

# verify WORD...: to its end; what it found is in $case_dir/found, in the order of the device.
verify() {
	verify_to_end "$disk" "$@"
	msg "$disk" verify ranges | sort -n > "$case_dir/found"
}

found_all() {
	diff "$case_dir/flipped" "$case_dir/found" > "$case_dir/diff" || fail "not what was flipped: $(head -n 20 "$case_dir/diff")"
	expect_status "$disk" verify_ranges "$(wc -l < "$case_dir/flipped")"
	expect_status "$disk" verify_differing_bytes $((512 * $(wc -l < "$case_dir/flipped")))
}

found_nothing() {
	expect_status "$disk" verify_differing_bytes 0
	expect "ranges" "$(< "$case_dir/found")" ""
}

compared_all() {
	expect_status "$disk" verify_total_bytes $((mib << 20))
	expect_status "$disk" verify_bytes $((mib << 20))
}

start_job "$disk" "$src" "$dst" copy_mode write-blocking write_timeout 10000
expect_status "$disk" verify none
wait_for 60 status_is "$disk" actively_synced 1

check "a hundred bits, in regions that are written to all the time"
verify
found_nothing
compared_all
load_on
flip 100 0 $((mib * 16))
verify
found_all
expect_status "$disk" actively_synced 1

check "repaired under the same load"
verify repair
found_all
wait_for 60 status_is "$disk" dirty_bytes 0
verify
found_nothing
compared_all

# no_false SECONDS: under writes that clash in few regions, and the load
no_false() {
	local end=$(($(now_ms) + $1 * 1000)) rounds=0 pids pid
	clash -t 6 -b 16 -n 100000000 "$dev" $((1 << 20)) $((1 << 20)) &
	pids=($!)
	clash -t 6 -b 16 -n 100000000 "$dev" $((5 << 20)) $((1 << 18)) &
	pids+=($!)
	while [ "$(now_ms)" -lt $end ]; do
		verify 0 16384
		found_nothing
		rounds=$((rounds + 1))
	done
	for pid in "${pids[@]}"; do
		gone "$pid" && fail "the guest ended by itself"
		kill "$pid"
		wait "$pid" || true
	done
	echo "  $rounds rounds, of 8388608 bytes the last compared $(status_value "$disk" verify_bytes)"
}

check "no false difference, write-blocking"
no_false "$seconds"
wait_for 60 status_is "$disk" actively_synced 1

check "no false difference, background"
swap_table "$slow" "$(delay_table "$other" 0 30)"
msg "$disk" set copy_mode background
no_false "$seconds"
load_off

swap_table "$slow" "$(delay_table "$other" 0 0)"

check "background, with a guest in the other half: twenty bits"
wait_for 60 status_is "$disk" dirty_bytes 0
load_on --size=$((mib / 2))m
flip 20 $((mib * 8)) $((mib * 8))
verify
found_all

check "paused"
msg "$disk" pause
verify $((mib << 10)) $((mib << 10))
found_all
load_off
msg "$disk" resume
wait_for 60 status_is "$disk" dirty_bytes 0

check "a part of it"
read -r sector _ < "$case_dir/flipped"
verify "$sector" 1
expect "ranges" "$(< "$case_dir/found")" "$sector 1"
expect_status "$disk" verify_bytes 512
verify repair 0 "$sector"
found_nothing
verify repair
wait_for 60 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$below"

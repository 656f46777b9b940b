#!/bin/bash
# description: what a write marks, region by region; what arrives at the source is one request
# kernels: 6.1 6.12 uml-debug
# check: 6.12 uml-debug
# tier: core
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32 discard=1
null_disk dst 32
bio fill "$src" 0 32m 1
region=4096
REGION=8
# Not a multiple of the region, and the device does not end with it.
len=$((60000 + 1))
linear_on disk "$src" $len
dev=/dev/mapper/$disk
start_job "$disk" "$src" "$dst"
wait_ready "$disk"
msg "$disk" pause
bytes=$((len * 512))

# marks REGIONS WHAT COMMAND...: with the job paused, so that nothing is copied meanwhile
dirty=0
marks() {
	local want=$1 what=$2 now
	shift 2
	"$@"
	now=$(status_value "$disk" dirty_bytes)
	expect "$what: regions" $(((now - dirty + region - 1) / region)) "$want"
	dirty=$now
}

check "regions of 4 KiB"
marks 1 "one sector" bio write "$dev" 0 512 2
marks 0 "another of the same" bio write "$dev" 512 512 2
marks 1 "a whole region" bio write "$dev" 4k 4k 2
marks 2 "over a border" bio write "$dev" $((16384 - 512)) 1k 2
marks 3 "in the middle of one to the middle of another" bio write "$dev" $((32768 + 512)) 8k 2
marks 256 "1 MiB" bio write "$dev" 1m 1m 2
marks 1 "FUA" bio -d write "$dev" 3m 4k 2
marks 0 "a flush" bio flush "$dev"
marks 0 "a read" bio read "$dev" 5m 64k
marks 1 "the last whole sector" bio write "$dev" $((bytes - 512)) 512 2
marks 0 "the last one again" bio write "$dev" $((bytes - 512)) 512 3
marks 4 "discard" bio discard "$dev" 6m 16k
marks 16 "zeroes" bio zero "$dev" 7m 64k

check "1 MiB is one request to the source, though it spans 256 regions"
source=$(trace_dev "$src")
trace_on block:block_bio_remap blockcopy:blockcopy_write
bio write "$dev" 8m 1m 4
bio write "$dev" 8m 4k 4
trace_off
expect "remapped requests of 2048 sectors" "$(grep -c "block_bio_remap: $source W.* + 2048 <-" "$trace")" 1
expect "remapped requests in all" "$(grep -c "block_bio_remap: $source W" "$trace")" 2
expect "tracked once" "$(grep -c "blockcopy_write: .* 16384 + 2048 result=256" "$trace")" 1
expect "marked already" "$(grep -c "blockcopy_write: .* 16384 + 8 result=0" "$trace")" 1

check "a discard of all of it marks every region, the short last one too"
expect_status "$disk" dirtied_bytes $((dirty + 256 * region))
bio discard "$dev" 0 $bytes
expect_status "$disk" dirty_bytes $bytes
expect_status "$disk" synced 0

check "and the legs become equal again"
bio fill "$dev" 2m 1m 5
bio write "$dev" $((bytes - 512)) 512 6
msg "$disk" resume
wait_for 30 status_is "$disk" dirty_bytes 0
wait_for 30 status_is "$disk" inflight_bytes 0
expect_status "$disk" synced $len
compare_legs "$src" "$dst" $bytes

check "beyond the end of the target nothing was written"
bio is-zero "$dst" $(((bytes + 4095) / 4096 * 4096)) 1m

check "regions of 64 KiB: the last one is short, and marked by its last sector"
stop_job "$disk" "$src"
REGION=128
region=65536
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
msg "$disk" pause
dirty=0
marks 1 "the last sector" bio write "$dev" $((bytes - 512)) 512 7
marks 1 "the one before the last region" bio write "$dev" $((bytes / 65536 * 65536 - 512)) 512 7
marks 2 "in the first two" bio write "$dev" $((65536 - 512)) 1k 7
msg "$disk" resume
wait_for 30 status_is "$disk" dirty_bytes 0
wait_for 30 status_is "$disk" inflight_bytes 0
compare_legs "$src" "$dst" $bytes

#!/bin/bash
# description: each kind of request reaches the source as what it is, before and after insertion and pivot
# kernels: 6.1 6.12 uml-debug
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16 discard=1 cache_size=8
null_disk dst 16 discard=1 cache_size=8
bio fill "$src" 0 16m 1
linear_on disk "$src"
dev=/dev/mapper/$disk

# arrives DEVICE WHAT PATTERN COMMAND...: a request whose operation matches reaches the device; sets $arrived to all that do
arrives() {
	local lower what=$2 pattern=$3 status=0
	lower=$(trace_dev "$1")
	shift 3
	trace_on block:block_bio_remap block:block_bio_queue
	"$@" 2> "$case_dir/said" || status=$?
	trace_off
	arrived=$(sed -n "s/.*block_bio_remap: $lower \([A-Z]*\) \([0-9]* + [0-9]*\) <-.*/\1 \2/p" "$trace")
	[ $status = 0 ] || { echo "  $what: $(< "$case_dir/said")" && return 1; }
	grep -E "^($pattern)$" <<< "$arrived" > /dev/null || fail "$what: wanted '$pattern', at the device arrived '$arrived'"
	echo "  $what: ${arrived//$'\n'/, }"
}

# kinds DEVICE: each at a place of its own. Same operations, same lengths: what the plain device did.
kinds() {
	arrives "$1" read "R[A-Z]* 0 [+] 2048" bio read "$dev" 0 1m
	arrives "$1" write "W[A-Z]* 2048 [+] 2048" bio write "$dev" 1m 1m 2
	arrives "$1" flush "FN?[A-Z]* 0 [+] 0" bio flush "$dev"
	arrives "$1" "durable write" "W[A-Z]*F[A-Z]* 4096 [+] 8" bio -d write "$dev" 2m 4k 2
	arrives "$1" discard "D[A-Z]* 6144 [+] 2048" bio discard "$dev" 3m 1m
}

# Tracepoints have no letter for WRITE_ZEROES but N.
zeroes() {
	arrives "$1" "zeroes, that may deallocate" "N[A-Z]* 10240 [+] 128" bio punch "$dev" 5m 64k
	arrives "$1" "discard of a loop device" "D[A-Z]* 12288 [+] 128" bio discard "$dev" 6m 64k
}

check "on the plain device"
kinds "$src" > "$case_dir/linear"
cat "$case_dir/linear"

check "with a job: the same"
start_job "$disk" "$src" "$dst"
wait_ready "$disk"
msg "$disk" pause
kinds "$src" > "$case_dir/job"
diff "$case_dir/linear" "$case_dir/job" || fail "not the same requests"
# 16 + 1 + 16: what changed data was tracked, and only that
expect_status "$disk" dirty_bytes $(((16 + 1 + 16) * 65536))

check "nothing of them went to the destination"
trace_on block:block_bio_queue
bio write "$dev" 8m 4k 3
bio discard "$dev" 9m 4k
bio flush "$dev"
trace_off
expect "requests to the destination" "$(grep -c "$(trace_dev "$dst") " "$trace" || true)" 0

check "pivoted: the same, at the destination"
msg "$disk" resume
complete "$disk" 20000 || fail "not pivoted"
kinds "$dst" > "$case_dir/pivoted"
diff "$case_dir/linear" "$case_dir/pivoted" || fail "not the same requests"
trace_on block:block_bio_queue
bio write "$dev" 8m 4k 4
bio discard "$dev" 9m 4k
trace_off
expect "requests to the source" "$(grep -c "$(trace_dev "$src") " "$trace" || true)" 0
bio verify "$dst" 8m 4k 4

check "write-zeroes: on a plain loop device, with a job, pivoted"
stop_job "$disk" "$dst"
dmsetup remove "$disk"
loop_disk lsrc 16M
loop_disk ldst 16M
linear_on disk "$lsrc"
dev=/dev/mapper/$disk
bio fill "$dev" 0 16m 1
zeroes "$lsrc" > "$case_dir/linear"
cat "$case_dir/linear"
start_job "$disk" "$lsrc" "$ldst"
wait_ready "$disk"
msg "$disk" pause
zeroes "$lsrc" > "$case_dir/job"
diff "$case_dir/linear" "$case_dir/job" || fail "not the same requests"
expect_status "$disk" dirty_bytes $((2 * 65536))
msg "$disk" resume
complete "$disk" 20000 || fail "not pivoted"
compare_legs "$lsrc" "$ldst"
zeroes "$ldst" > "$case_dir/pivoted"
diff "$case_dir/linear" "$case_dir/pivoted" || fail "not the same requests"

check "what the source cannot do is refused as it was"
stop_job "$disk" "$ldst"
null_disk plain 16
linear_on pdisk "$plain"
refused bio discard "/dev/mapper/$pdisk" 0 4k
refused bio secure-erase "/dev/mapper/$pdisk" 0 4k
before=$refusal
start_job "$pdisk" "$plain" "$src"
wait_ready "$pdisk"
refused bio discard "/dev/mapper/$pdisk" 0 4k
refused bio secure-erase "/dev/mapper/$pdisk" 0 4k
expect "secure erase" "$refusal" "$before"

#!/bin/bash
# description: verify meets a suspend, the end of a job, limits, unreadable and hung destinations, regions of each size, metadata
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# Not whole regions.
len=$((16 * 2048 + 8))
null_disk src 17
null_disk below 17
linear_on dst "$below"
dst=/dev/mapper/$dst
linear_on disk "$src" $len
bio fill "$src" 0 16m 1

start() {
	start_job "$disk" "$src" "$dst" "$@"
	wait_ready "$disk"
}

# verify WORD...
verify() {
	verify_to_end "$disk" "$@"
}

# spoil SECTOR: at the destination, behind its back
spoil() {
	bio write "$below" $(($1 * 512)) 512 99
}

# differs SECTOR...: these and no others
differs() {
	expect "ranges" "$(msg "$disk" verify ranges | sort -n | tr '\n' ' ')" "$(printf '%s 1 ' "$@")"
	expect_status "$disk" verify_bytes $((len * 512))
}

source_reads() {
	local reads rest
	read -r reads rest < "/sys/dev/block/$(devno "$src")/stat"
	echo "$reads"
}

more_source_reads() {
	[ "$(source_reads)" -gt "$reads" ]
}

for REGION in 8 128 8192; do
	check "regions of $REGION sectors: the first and the last sector, two that meet, both sides of a border"
	start
	verify
	expect_status "$disk" verify_ranges 0
	sectors=(0 2047 8191 20000 $((len - 1)))
	for sector in "${sectors[@]}"; do
		spoil "$sector"
	done
	verify
	differs "${sectors[@]}"
	spoil 20001
	verify repair 20000 8
	expect "ranges" "$(msg "$disk" verify ranges)" "20000 2"
	wait_for 20 status_is "$disk" dirty_bytes 0
	verify repair
	wait_for 20 status_is "$disk" dirty_bytes 0
	verify
	expect_status "$disk" verify_differing_bytes 0
	stop_job "$disk" "$src"
done
REGION=128

check "words that make no sense, and moments"
start
for words in "repair 0" "0" "0 0" "$len 1" "1 $len" "bandwidth" "bandwidth x" "0 8 8" "-1 8" "repair repair"; do
	# shellcheck disable=SC2086
	refused msg "$disk" verify $words
done
expect_status "$disk" verify none
refused msg "$disk" verify stop
expect "ranges" "$(msg "$disk" verify ranges)" ""

check "its limit, and that of the job; the device suspended in the middle"
begin() {
	began=$(now_ms)
}
took_at_least() {
	[ $(($(now_ms) - began)) -ge "$1" ] || fail "took $(($(now_ms) - began)) ms, not $1"
}
begin
msg "$disk" verify bandwidth 2097152 0 8192
refused msg "$disk" verify
wait_for 10 status_above "$disk" verify_bytes 0
dmsetup suspend "$disk"
refused msg "$disk" verify
dmsetup resume "$disk"
wait_for 20 verify_over "$disk"
expect_status "$disk" verify_bytes 4194304
took_at_least 1300
msg "$disk" set bandwidth 2097152
begin
verify 0 8192
took_at_least 1300
msg "$disk" set bandwidth 0

check "stopped"
events=$(status_value "$disk" events)
msg "$disk" verify bandwidth 1
expect_status "$disk" verify running
msg "$disk" verify stop
wait_for 5 verify_over "$disk"
expect_status "$disk" verify stopped
expect_status "$disk" event verified
expect_status "$disk" events $((events + 1))

check "a read error of the destination is no difference, and costs no other region"
blocked_at=$((6 * 2048))
swap_table "${dst#/dev/mapper/}" "0 $blocked_at linear $below 0
$blocked_at 8 error
$((blocked_at + 8)) $(($(sectors "$below") - blocked_at - 8)) linear $below $((blocked_at + 8))"
spoil $((blocked_at - 128))
spoil $((blocked_at + 128))
verify repair
expect_status "$disk" verify_unread_bytes 65536
expect_status "$disk" verify_ranges 2
expect_status "$disk" verify_bytes $((len * 512 - 65536))
expect_status "$disk" state ready
swap_table "${dst#/dev/mapper/}" "0 $(sectors "$below") linear $below 0"
wait_for 20 status_is "$disk" dirty_bytes 0

check "a job that finishes, and one that is given up, end it"
msg "$disk" verify bandwidth 1
complete "$disk" 5000 finish || fail "not finished"
wait_for 5 verify_over "$disk"
expect_status "$disk" verify stopped
expect_status "$disk" event finished
refused msg "$disk" verify
stop_job "$disk" "$src"
start
msg "$disk" verify bandwidth 1
msg "$disk" fail
wait_for 5 verify_over "$disk"
expect_status "$disk" verify stopped
refused msg "$disk" verify
stop_job "$disk" "$src"

check "a pivot under a verify that has much to look at again"
start copy_mode background
guest_on guest "$disk" -t 8
msg "$disk" verify repair bandwidth 65536
wait_for 20 status_above "$disk" verify_bytes 0
complete "$disk" 5000 || fail "not pivoted: $(status_value "$disk" error)"
wait_for 20 verify_over "$disk"
expect_status "$disk" verify stopped
swap_table "$disk" "0 $len linear $dst 0"
guest_off "$guest" "$disk"
linear_on spare "$src" $len
dmsetup remove "$disk"
linear_on disk "$src" $len

check "a destination that hangs: the device is taken away from it at once, and it cleans up when it answers"
start
dmsetup suspend "${dst#/dev/mapper/}"
reads=$(source_reads)
msg "$disk" verify
wait_for 5 more_source_reads
stop_job "$disk" "$src"
bio write "/dev/mapper/$disk" 0 64k 3
dmsetup resume "${dst#/dev/mapper/}"
wait_for 20 module_idle

check "with metadata: what is to be repaired is noted there before it is copied"
null_disk meta 1
dmsetup remove "$disk"
linear_on disk "$src" $len
blockcopy metadata format "$meta" "$disk" "$dst"
start metadata "$meta"
wait_for 30 status_is "$disk" intent_bytes 0
spoil 4096
msg "$disk" pause
verify repair
expect_status "$disk" dirty_bytes 65536
expect_status "$disk" intent_bytes 65536
blockcopy metadata dump --json "$meta" > "$case_dir/dump"
expect "noted" "$(jq .intent_bytes "$case_dir/dump")" 65536
msg "$disk" resume
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 30 status_is "$disk" intent_bytes 0
verify
expect_status "$disk" verify_ranges 0
stop_job "$disk" "$src"

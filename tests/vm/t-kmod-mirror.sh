#!/bin/bash
# description: write-blocking mode: both legs get every write, at READY they are equal, READY stays
# kernels: 6.1 6.12 uml-debug uml
# check: 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 64
null_disk dst 64
linear_on disk "$src"
dev=/dev/mapper/$disk

# write_behind OFFSET LENGTH SEED: by $writer, which waits for it when this returns, or is done with it.
write_behind() {
	trace_on block:block_bio_queue
	bio write "$dev" "$@" &
	writer=$!
	wait_for 10 grep -qs "block_bio_queue: $(trace_dev "$dev") W" $tracing/trace
	wait_for 10 waits_or_gone "$writer"
	trace_off
}
waits_or_gone() {
	blocked "$1" || gone "$1"
}

check "one write, no copy: it is on both legs, and nothing is dirty"
start_job "$disk" "$src" "$dst" sync none copy_mode write-blocking
wait_ready "$disk"
expect_status "$disk" mirroring 1
expect_status "$disk" actively_synced 1
bio write "$dev" 64k 4k 7
bio write "$dev" 1020k 200k 8
expect_status "$disk" dirty_bytes 0
expect_status "$disk" dirtied_bytes 0
expect_status "$disk" mirrored_bytes $((204 << 10))
bio verify "$dst" 64k 4k 7
bio verify "$dst" 1020k 200k 8
compare_legs "$src" "$dst"

check "larger than a mirrored write may be"
bio write "$dev" 8m 4m 9
expect_status "$disk" dirtied_bytes 0
compare_legs "$src" "$dst"

check "under random writes nothing gets dirty, and the legs are equal"
guest_on pid "$disk"
wait_for 10 status_above "$disk" mirrored_bytes $((16 << 20))
expect_status "$disk" dirtied_bytes 0
guest_off "$pid" "$disk"
expect_status "$disk" dirtied_bytes 0
expect_status "$disk" state ready
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "a full copy under random writes becomes READY; what was dirty only becomes less"
bio fill "$dst" 0 64m 99
guest_on pid "$disk"
start_job "$disk" "$src" "$dst" copy_mode write-blocking bandwidth 16777216
wait_ready "$disk"
wait_for 10 status_is "$disk" actively_synced 1
guest_off "$pid" "$disk"
expect_status "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "what a mirrored write covers from end to end needs no copy (I2); what it does not is still dirty"
bio fill "$dst" 0 64m 98
# The limit lets a first piece go, and then nothing for long.
start_job "$disk" "$src" "$dst" copy_mode write-blocking bandwidth 4096
wait_for 10 status_above "$disk" copied_bytes 0
wait_for 10 status_is "$disk" inflight_bytes 0
dirty=$(status_value "$disk" dirty_bytes)
copied=$(status_value "$disk" copied_bytes)
region=$((REGION * 512))
bio write "$dev" 32m 1m 21
expect_status "$disk" dirty_bytes $((dirty -= 1 << 20))
bio verify "$dst" 32m 1m 21
# One whole region, and parts of both beside it.
bio write "$dev" $(((40 << 20) + 4096)) $((2 * region)) 22
expect_status "$disk" dirty_bytes $((dirty -= region))
bio verify "$dst" $(((40 << 20) + 4096)) $((2 * region)) 22
bio write "$dev" 48m $((region - 512)) 23
bio write "$dev" $(((50 << 20) + 512)) $((region - 512)) 24
expect_status "$disk" dirty_bytes $dirty
bio verify "$dst" 48m 4k 98
bio write "$dev" $(((64 << 20) - region)) $region 26
expect_status "$disk" dirty_bytes $((dirty - region))
expect_status "$disk" copied_bytes "$copied"
msg "$disk" set bandwidth 0
wait_for 20 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "READY, and actively synced, wait for such a write (I5)"
# Of 2 MiB in two regions the limit lets one go. The destination takes its time for data, and none for flushes.
linear_on two "$src" 4096
dm_new slow "0 4096 delay $dst 0 0 $dst 0 $((500 * case_slow + 1500)) $dst 0 0"
REGION=2048 start_job "$two" "$src" "/dev/mapper/$slow" copy_mode write-blocking bandwidth 4096 write_timeout 60000
wait_for 20 status_is "$two" copied_bytes $((1 << 20))
bio write "/dev/mapper/$two" 1m 1m 27 &
writer=$!
wait_for 10 status_is "$two" dirty_bytes 0
looks=0
while :; do
	early=$(status_value "$two" ready)$(status_value "$two" actively_synced)
	kill -0 "$writer" 2> /dev/null || break
	[ "$early" = 00 ] || bio verify "$dst" 1m 1m 27 2> /dev/null || fail "ready, actively synced: $early while the data is on its way"
	looks=$((looks + 1))
done
[ $looks -gt 0 ] || fail "the write was over before anybody looked"
wait "$writer"
wait_ready "$two"
expect_status "$two" actively_synced 1
bio verify "$dst" 1m 1m 27
stop_job "$two" "$src"

check "one that fails there is dirty again"
len=$(sectors "$src")
linear_on leg "$dst"
start_job "$disk" "$src" "/dev/mapper/$leg" copy_mode write-blocking bandwidth 4096 on_target_error ignore
wait_for 10 status_above "$disk" copied_bytes 0
wait_for 10 status_is "$disk" inflight_bytes 0
dirty=$(status_value "$disk" dirty_bytes)
swap_table "$leg" "0 65536 linear $dst 0
65536 128 error
65664 $((len - 65664)) linear $dst 65664"
bio write "$dev" 32m 64k 25
wait_for 10 status_above "$disk" target_errors 0
expect_status "$disk" dirty_bytes "$dirty"
swap_table "$leg" "0 $len linear $dst 0"
msg "$disk" set bandwidth 0
wait_for 60 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "with the smallest regions under random writes, which all replace copies"
bio fill "$dst" 0 64m 97
REGION=8 start_job "$disk" "$src" "$dst" copy_mode write-blocking bandwidth 8388608
guest_on pid "$disk"
wait_ready "$disk"
guest_off "$pid" "$disk"
wait_for 20 status_is "$disk" actively_synced 1
status_above "$disk" mirrored_bytes $((1 << 20)) || fail "not mirrored"
compare_legs "$src" "$dst"

check "switched to background and back, under writes"
guest_on pid "$disk"
for mode in background write-blocking background auto write-blocking; do
	msg "$disk" set copy_mode $mode
	expect_status "$disk" copy_mode $mode
	before=$(status_value "$disk" copied_bytes)
	wait_for 10 status_above "$disk" copied_bytes $((before - 1))
done
wait_for 20 status_is "$disk" actively_synced 1
guest_off "$pid" "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "complete"
guest_on pid "$disk"
complete "$disk" 10000 || fail "not pivoted: $(status_value "$disk" error)"
bio fill "$src" 0 64m 100
guest_off "$pid" "$disk"
stop_job "$disk" "$dst"

check "a write to a region that is being copied waits for the copy (I3)"
# The first half of a piece is read at once, the second when the gate opens.
len=$(sectors "$src")
linear_on gate "$src" 1024 1024
dm_new half "0 1024 linear $src 0
1024 1024 linear /dev/mapper/$gate 0
2048 $((len - 2048)) linear $src 2048"
swap_table "$disk" "0 $len linear /dev/mapper/$half 0"
dmsetup suspend --noflush --nolockfs "$gate"
start_job "$disk" "/dev/mapper/$half" "$dst" copy_mode write-blocking write_timeout 60000
expect_status "$disk" mirroring 1
wait_for 10 status_is "$disk" inflight_bytes $((1 << 20))
write_behind 0 4k 11
dmsetup resume "$gate"
wait "$writer"
wait_for 30 status_is "$disk" actively_synced 1
expect_status "$disk" dirtied_bytes 0
bio verify "$dst" 0 4k 11
compare_legs "$src" "$dst"
stop_job "$disk" "/dev/mapper/$half"

check "a copy waits for the writes in its regions (I3)"
# Writes take their time at the source, reads do not. Two pieces are dirty, but one is copied: then the limit keeps the
# copier, until it is lifted while a write to the last of them, and to the clean one after it, is on its way.
delay_on late_source "$src" 0 1000
late_source=/dev/mapper/$late_source
swap_table "$disk" "0 $len linear $late_source 0"
start_job "$disk" "$late_source" "$dst" sync none copy_mode write-blocking write_timeout 60000 bandwidth 4096
wait_ready "$disk"
msg "$disk" pause
bio write "$dev" 0 1m 12
bio write "$dev" 1m 1m 12
msg "$disk" resume
wait_for 30 status_is "$disk" dirty_bytes $((1 << 20))
wait_for 30 status_is "$disk" inflight_bytes 0
expect_status "$disk" mirroring 1
write_behind $(((2 << 20) - 4096)) 8k 13
msg "$disk" set bandwidth 0
wait "$writer"
wait_for 30 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"

#!/bin/bash
# description: a destination that hangs: the guest waits no longer than write_timeout, abort is at once, nothing is lost when it comes back
# kernels: 6.1 6.12 uml-debug uml
# check: 6.12 uml-debug
# tier: core
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

timeout_ms=500
null_disk src 64
null_disk dst 64
linear_on disk "$src"
linear_on slow "$dst"
dev=/dev/mapper/$disk
hang() { dmsetup suspend --noflush --nolockfs "$slow"; }
unhang() { dmsetup resume "$slow"; }

job() {
	start_job "$disk" "$src" "/dev/mapper/$slow" write_timeout $timeout_ms "$@"
}

# longest_below MS: the guest's longest write, from what it said at its end
longest_below() {
	local longest
	longest=$(sed -n 's/.*longest_ms \([0-9]*\).*/\1/p' "$case_dir/hammer-$disk")
	[ "$longest" -lt "$1" ] || fail "the guest waited $longest ms, wanted below $1"
}
# A machine that is busy adds to it; without a bound it would be for as long as the destination hangs. How much more it really is
# t-kmod-hang-latency tells.
bound=$((timeout_ms + 2000 * case_slow))

check "while copying: the guest does not notice"
job copy_mode background bandwidth 8388608
wait_for 10 status_above "$disk" copied_bytes 0
hang
guest_on guest "$disk"
wait_for 10 status_above "$disk" dirtied_bytes $((1 << 20))

check "abort is at once, the clean-up waits in the background"
swap_table "$disk" "0 $(sectors "$dev") linear $src 0" &
swap=$!
wait_for 20 gone $swap
wait $swap
[[ $(dmsetup table "$disk") == *" linear "* ]] || fail "no plain table"
guest_off "$guest" "$disk"
longest_below $((bound + 2000))
refused modprobe -r dm-blockcopy

check "nobody else gets the destination meanwhile, another one can be copied to"
null_disk dst2 64
linear_on other "$dst2"
wait_for 5 cannot_be_claimed "/dev/mapper/$slow"
start_job "$disk" "$src" "$dst2"
wait_ready "$disk"
compare_legs "$src" "$dst2"
stop_job "$disk" "$src"

check "the destination comes back: everything is given back"
unhang
wait_for 10 can_be_claimed "/dev/mapper/$slow"
wait_for 10 module_idle
[ "$BLOCKCOPY_KERNEL" = uml-debug ] || { modprobe -r dm-blockcopy && modprobe dm-blockcopy; } # see cases.sh

check "while mirroring: writes wait for write_timeout once, then not at all; reads never"
job copy_mode write-blocking
wait_for 20 status_is "$disk" actively_synced 1
guest_on guest "$disk" -t 8
wait_for 10 status_above "$disk" mirrored_bytes $((1 << 20))
hang
begin=$(now_ms)
for ((i = 0; i < 20; i++)); do
	bio read "$dev" $((i * 65536)) 4k
done
took=$(($(now_ms) - begin))
wait_for 10 status_is "$disk" mirroring 0
wait_for 10 status_above "$disk" late_writes 0
wait_for 10 status_above "$disk" dirtied_bytes $((1 << 20))
echo "  20 reads took $took ms, $(status_value "$disk" timeouts) writes were late"
[[ $(status_value "$disk" event) == @(mode-changed|falling-behind) ]] || fail "no event"
guest_off "$guest" "$disk"
longest_below $bound

check "a pivot rolls back within its budget"
if [ "$(job_state "$disk")" = ready ]; then
	complete "$disk" 300 && fail "pivoted to a destination that hangs"
	expect_status "$disk" state ready
	expect_status "$disk" error blackout-budget-spent
fi

check "what is late and what was written since: both legs are equal when it comes back"
guest_on guest "$disk" -t 8
wait_for 10 status_above "$disk" late_writes 0
unhang
wait_for 10 status_is "$disk" late_writes 0
guest_off "$guest" "$disk"
wait_for 20 status_is "$disk" actively_synced 1
compare_legs "$src" "$dst"

check "given up by hand: at once, and the guest goes on"
guest_on guest "$disk"
hang
msg "$disk" fail
expect_status "$disk" state failed
expect_status "$disk" error destination-given-up
expect_status "$disk" mirroring 0
guest_off "$guest" "$disk"
unhang
msg "$disk" resume
wait_ready "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "abort while mirrored writes are late"
msg "$disk" set write_timeout 100
wait_for 20 status_is "$disk" actively_synced 1
hang
bio write "$dev" 1m 4k 1
expect_status "$disk" late_writes 1
expect_status "$disk" dirty_bytes 65536
guest_on guest "$disk"
swap_table "$disk" "0 $(sectors "$dev") linear $src 0" &
swap=$!
wait_for 20 gone $swap
guest_off "$guest" "$disk"
unhang
wait_for 10 module_idle

#!/bin/bash
# description: complete and finish: writes are held shortly, go on at the right leg, and nothing is lost
# kernels: 6.1 6.12 uml-debug
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
exec 7<> "$dev"

# plausible MS: how long writes were held, by the kernel's own clock
plausible() {
	local us
	us=$(status_value "$disk" blackout_us)
	echo "  held for $us us"
	[ "$us" -gt 0 ] || fail "no blackout at all"
	[ "$us" -le $((($1 + 200 * case_slow) * 1000)) ] || fail "longer than the budget of $1 ms"
}

check "complete, with nobody writing"
start_job "$disk" "$src" "$dst"
wait_ready "$disk"
expect_status "$disk" blackout_us 0
complete "$disk" 500 || fail "not pivoted"
plausible 500
expect_status "$disk" ready 1
expect_status "$disk" event pivoted
expect_status "$disk" error -
compare_legs "$src" "$dst"
bio write "$dev" 0 4k 2
bio verify "$dst" 0 4k 2
bio verify "$src" 0 4k 1
bio verify "$dev" 0 4k 2
expect_status "$disk" dirty_bytes 0

check "and a plain table over the destination"
stop_job "$disk" "$dst"
bio verify "$dev" 0 4k 2
bio size 7 > /dev/null

check "back and forth under I/O, each leg overwritten once it is the old one"
for round in 1 2 3 4; do
	guest_on guest "$disk" -p 1000
	start_job "$disk" "$dst" "$src"
	wait_ready "$disk"
	until complete "$disk" $((300 * case_slow)); do
		expect_status "$disk" error blackout-budget-spent
	done
	plausible $((300 * case_slow))
	stop_job "$disk" "$src"
	bio fill "$dst" 0 16m "$((90 + round))"
	guest_off "$guest" "$disk"
	swap=$src src=$dst dst=$swap
done

check "finish under I/O: the destination stays as it was, the guest goes on at the source"
guest_on guest "$disk" -p 1000
start_job "$disk" "$dst" "$src"
wait_ready "$disk"
until complete "$disk" $((300 * case_slow)) finish; do
	expect_status "$disk" error blackout-budget-spent
done
plausible $((300 * case_slow))
expect_status "$disk" state finished
expect_status "$disk" event finished
cksum "$src" > "$case_dir/first"
guest_off "$guest" "$disk"
bio write "$dev" 0 4k 9
bio verify "$dst" 0 4k 9
drop_caches "$src"
cksum "$src" > "$case_dir/second"
cmp "$case_dir/first" "$case_dir/second" || fail "the finished copy changed"
stop_job "$disk" "$dst"

check "finish with nobody writing: equal"
start_job "$disk" "$dst" "$src"
wait_ready "$disk"
complete "$disk" 5000 finish || fail "not finished"
compare_legs "$src" "$dst"
bio size 7 > /dev/null

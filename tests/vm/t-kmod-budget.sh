#!/bin/bash
# description: a completion that cannot be done in its time: writes go on, the job is ready again
# kernels: 6.1 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
bio fill "$dst" 0 16m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
# Long enough to get a write in between on a busy machine.
budget=800

given_up() { # BUDGET_MS
	local us
	wait_state "$disk" ready
	expect_status "$disk" error blackout-budget-spent
	expect_status "$disk" event not-completed
	expect_status "$disk" held 0
	us=$(status_value "$disk" blackout_us)
	echo "  held for $us us of $1 ms"
	[ "$us" -le $((($1 + 50 * case_slow) * 1000)) ] || fail "longer than the budget"
	[ "$us" -ge $(($1 * 700)) ] || fail "given up too early"
}

check "a slow destination: the last dirty region cannot be copied in time"
delay_on slow "$dst" 0 3000
start_job "$disk" "$src" "/dev/mapper/$slow" sync none
wait_ready "$disk"
bio write "$dev" 0 64k 2
msg "$disk" complete $budget
hold_a_write writer "$disk" 1m 3
wait "$writer"
given_up $budget
bio verify "$src" 1m 4k 3

check "a guest under I/O sees no error, and the next one with more time comes about"
guest_on guest "$disk" -t 1 -p 20000
msg "$disk" complete $budget
wait_for 20 not_completing "$disk"
guest_off "$guest" "$disk"
wait_for 20 status_is "$disk" dirty_bytes 0
complete "$disk" 30000 || fail "not pivoted"
stop_job "$disk" "$src"
compare_legs "$src" "$dst"

check "a hung destination: back within the budget, the writes answered"
linear_on hung "$dst"
start_job "$disk" "$src" "/dev/mapper/$hung" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$hung"
bio write "$dev" 2m 4k 4
msg "$disk" complete $budget
hold_a_write writer "$disk" 3m 5
wait "$writer"
given_up $budget

check "the same with finish; then the destination comes back"
msg "$disk" finish $budget
hold_a_write writer "$disk" 3m 6
wait "$writer"
given_up $budget
dmsetup resume "$hung"
wait_for 20 status_is "$disk" dirty_bytes 0
complete "$disk" 20000 finish || fail "not finished"
expect_status "$disk" error -
compare_legs "$src" "$dst"

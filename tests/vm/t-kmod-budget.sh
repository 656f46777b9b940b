#!/bin/bash
# description: a completion that cannot be done in its time: writes go on, the job is ready again
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
bio fill "$dst" 0 16m 1
linear_on disk "$src"
budget=500

# gives_up complete|finish: under I/O, so that there are writes to hold; they go on at the source
gives_up() {
	local us
	complete "$disk" $budget "$1" && fail "it came about: $(job_state "$disk")"
	expect_status "$disk" state ready
	expect_status "$disk" error blackout-budget-spent
	# Those of the mode may follow, as the destination is slow.
	[[ $(status_value "$disk" event) == @(not-completed|mode-changed|falling-behind) ]] || fail "event: $(status_value "$disk" event)"
	expect_status "$disk" held 0
	us=$(status_value "$disk" blackout_us)
	echo "  $1: held for $us us of $budget ms"
	[ "$us" -le $(((budget + 200 * case_slow) * 1000)) ] || fail "longer than the budget"
	[ "$us" -ge $((budget * 700)) ] || fail "given up too early"
}

check "a slow destination: the last dirty regions cannot be copied in time"
delay_on slow "$dst" 0 $((budget * 4))
start_job "$disk" "$src" "/dev/mapper/$slow" sync none
wait_ready "$disk"
guest_on guest "$disk" -t 2 -p 2000
gives_up complete
gives_up finish
guest_off "$guest" "$disk"

check "with more time it comes about"
wait_for 30 status_is "$disk" dirty_bytes 0
complete "$disk" 30000 || fail "not pivoted"
expect_status "$disk" error -
stop_job "$disk" "$src"
compare_legs "$src" "$dst"

check "a hung destination: back within the budget, again and again; then the destination comes back"
linear_on hung "$dst"
start_job "$disk" "$src" "/dev/mapper/$hung" sync none
wait_ready "$disk"
guest_on guest "$disk" -t 2 -p 2000
dmsetup suspend --noflush "$hung"
for how in complete finish complete; do
	gives_up $how
done
dmsetup resume "$hung"
guest_off "$guest" "$disk"
wait_for 30 status_is "$disk" dirty_bytes 0
complete "$disk" 20000 finish || fail "not finished"
expect_status "$disk" error -
compare_legs "$src" "$dst"

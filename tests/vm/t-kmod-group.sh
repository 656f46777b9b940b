#!/bin/bash
# description: one of a group that cannot complete: none does, and all are ready again
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=group.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/group.sh"

slow=10000
three_devices

# The third has a destination of its own, which can be made to fail or to take long.
linear_on third "${dsts[2]}"
third_lies="0 $(sectors "${dsts[2]}") linear ${dsts[2]} 0"
dsts[2]=/dev/mapper/$third

check "one that is not ready: the message is refused, the others are ready again at once"
counter_on
group_jobs_on
msg "${names[2]}" pause
group complete $slow 0 1
expect_status "${names[0]}" state completing
refused msg "${names[2]}" complete $slow group $nr_groups 3
all_over
states_are ready
errors_are group-member-failed group-member-failed -
msg "${names[2]}" resume

check "one that never comes: nothing is held for it, and the others do not wait for ever"
group finish $slow 0 1
at_work
all_over
states_are ready
errors_are group-member-failed group-member-failed -
for i in 0 1 2; do
	expect_status "${names[i]}" blackout_us 0
done

check "of another size, one twice, nonsense: refused"
group finish $slow 0
refused msg "${names[0]}" finish $slow group $nr_groups 3
all_over
group finish $slow 0
refused msg "${names[1]}" finish $slow group $nr_groups 2
all_over
states_are ready
for words in "group" "group 1" "group 1 0" "group x 3" "group 1 1025" "unrecorded group 1" "group 1 3 unrecorded"; do
	# shellcheck disable=SC2086
	refused msg "${names[0]}" finish $slow $words
done
states_are ready

# hold_all complete|finish: all of them hold, for as long as the third's destination hangs.
hold_all() {
	dmsetup suspend --noflush "$third"
	group "$1" 60000 0 1 2
	wait_for 20 held_anywhere
}

held_anywhere() {
	local sum=0
	for i in 0 1 2; do
		sum=$((sum + $(status_value "${names[i]}" held)))
	done
	[ $sum -gt 0 ]
}

check "one that cannot do it within its time: none does"
for how in complete finish; do
	dmsetup suspend --noflush "$third"
	group $how 60000 0 1
	msg "${names[2]}" $how 300 group $nr_groups 3
	all_over
	states_are ready
	errors_are group-member-failed group-member-failed blackout-budget-spent
	status_above "${names[0]}" blackout_us 200000 || fail "it did not wait for the third"
	[ "$(status_value "${names[0]}" blackout_us)" -le $(((300 + 200 * case_slow) * 1000)) ] || fail "held for too long"
	dmsetup resume "$third"
	at_work
	wait_for 20 status_is "${names[2]}" dirty_bytes 0
done

check "the time of another is over first: it as well"
dmsetup suspend --noflush "$third"
nr_groups=$((nr_groups + 1))
msg "${names[0]}" complete 300 group $nr_groups 3
msg "${names[1]}" complete 60000 group $nr_groups 3
msg "${names[2]}" complete 60000 group $nr_groups 3
all_over
states_are ready
errors_are blackout-budget-spent group-member-failed group-member-failed
dmsetup resume "$third"
at_work

check "one that is suspended, or whose table is taken away"
hold_all complete
dmsetup suspend --noflush "${names[2]}"
all_over
states_are ready
errors_are group-member-failed group-member-failed suspended-while-completing
dmsetup resume "${names[2]}"
dmsetup resume "$third"
at_work
hold_all finish
stop_job "${names[2]}" "${srcs[2]}" &
wait_for 5 not_completing "${names[0]}"
wait_for 5 not_completing "${names[1]}"
expect_status "${names[0]}" state ready
expect_status "${names[1]}" state ready
dmsetup resume "$third"
wait $!
at_work
start_job "${names[2]}" "${srcs[2]}" "${dsts[2]}"
wait_ready "${names[2]}"

check "one whose destination is given up, or fails"
hold_all complete
msg "${names[2]}" fail
all_over
states_are ready ready failed
errors_are group-member-failed group-member-failed destination-given-up
dmsetup resume "$third"
msg "${names[2]}" resume
wait_ready "${names[2]}"
hold_all complete
dmsetup load "$third" --table "0 $(sectors "${dsts[2]}") error"
dmsetup resume "$third"
all_over
expect_status "${names[2]}" state failed
expect_status "${names[0]}" state ready
expect_status "${names[1]}" error group-member-failed
swap_table "$third" "$third_lies"
msg "${names[2]}" resume
wait_ready "${names[2]}"

check "then it comes about"
at_work
group complete $slow 0 1 2
all_over
states_are pivoted
at_work
for i in 0 1 2; do
	stop_job "${names[i]}" "${dsts[i]}"
done
counter_off "${dsts[@]}"
change_places

# outcomes: what the metadata says of each
outcomes() {
	local i
	for i in "$@"; do
		blockcopy metadata dump --json "${metas[i]}" | jq -r .outcome
	done | tr '\n' ' '
}

outcomes_are() {
	[ "$(outcomes 0 1 2)" = "$1 $1 $1 " ]
}

two_say() {
	[ "$(outcomes 0 1)" = "$1 $1 " ]
}

metadata_jobs() {
	for i in 0 1 2; do
		blockcopy metadata format "${metas[i]}" "${names[i]}" "${dsts[i]}" > /dev/null
		start_job "${names[i]}" "${srcs[i]}" "${dsts[i]}" metadata "${metas[i]}"
	done
	for i in 0 1 2; do
		wait_ready "${names[i]}"
		expect_status "${names[i]}" metadata ok
	done
}

check "with metadata: what was recorded for it is taken back when one fails"
metas=()
for i in 0 1 2; do
	null_disk meta 4
	metas+=("$meta")
done
linear_on third "${metas[2]}"
metas[2]=/dev/mapper/$third
counter_on
metadata_jobs
for how in complete finish; do
	word=pivoted
	[ $how = complete ] || word=finished
	dmsetup suspend --noflush "$third"
	group $how 60000 0 1 2
	wait_for 20 held_anywhere
	wait_for 20 two_say $word
	msg "${names[2]}" fail
	wait_for 5 not_completing "${names[0]}"
	wait_for 5 not_completing "${names[1]}"
	dmsetup resume "$third"
	all_over
	states_are ready ready failed
	at_work
	wait_for 10 outcomes_are copying
	msg "${names[2]}" resume
	wait_ready "${names[2]}"
done

check "and is there when it comes about"
group complete $slow 0 1 2
all_over
states_are pivoted
at_work
outcomes_are pivoted || fail "outcomes: $(outcomes 0 1 2)"
for i in 0 1 2; do
	stop_job "${names[i]}" "${dsts[i]}"
done
counter_off "${dsts[@]}"

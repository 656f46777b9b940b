#!/bin/bash
# description: a group of jobs completes at one instant, or none of them does
# kernels: 6.1 6.12 uml uml-debug
# check: uml 6.12
# tier: full
# timeout: 300
#
# A counter is written round-robin to three devices, each value when the one before is acknowledged: at each instant the devices
# have all values up to one.
#
# BLOCKCOPY_GROUP_ROUNDS	finishes, and pivots
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

rounds=${BLOCKCOPY_GROUP_ROUNDS:-3}
nr_groups=0
names=() srcs=() dsts=() devs=()
for i in 0 1 2; do
	null_disk src 4
	null_disk dst 4
	linear_on vm "$src"
	srcs+=("$src") dsts+=("$dst") names+=("$vm") devs+=("/dev/mapper/$vm")
done
slow=10000

# at_work: that the counter has got further shows that it does not wait.
counter_on() {
	rm -f "$case_dir/counter"
	counter write "${devs[@]}" > "$case_dir/counter" 2>&1 &
	writer=$!
	wait_for 20 grep -qs running "$case_dir/counter"
}

counter_off() {
	kill -TERM "$writer"
	wait "$writer" || fail "the counter saw: $(< "$case_dir/counter")"
	last=$(sed -n 's/^last //p' "$case_dir/counter")
	counter check -l "$last" "$@" > "$case_dir/check" || fail "the last values: $(< "$case_dir/check")"
}

has_counted() {
	[ "$(counted)" -gt "$1" ] || ! kill -0 "$writer" 2> /dev/null
}

counted() {
	awk '{ print $7 }' "/sys/dev/block/$(devno "${devs[0]}")/stat"
}

at_work() {
	wait_for 20 has_counted $(($(counted) + 20))
	kill -0 "$writer" 2> /dev/null || fail "the counter saw: $(< "$case_dir/counter")"
}

# jobs_on [ARG...]: one on each, and READY.
jobs_on() {
	for i in 0 1 2; do
		start_job "${names[i]}" "${srcs[i]}" "${dsts[i]}" "$@"
	done
	for i in 0 1 2; do
		wait_ready "${names[i]}"
	done
}

jobs_off() {
	for i in 0 1 2; do
		stop_job "${names[i]}" "${srcs[i]}"
	done
}

# group complete|finish MS [WHICH...]: the message to each of them, of three that are to come
group() {
	local how=$1 ms=$2
	shift 2
	nr_groups=$((nr_groups + 1))
	for i in "$@"; do
		msg "${names[i]}" "$how" "$ms" group $nr_groups 3
	done
}

all_over() {
	for i in 0 1 2; do
		wait_for "${1:-70}" not_completing "${names[i]}"
	done
}

states_are() {
	for i in 0 1 2; do
		expect_status "${names[i]}" state "$1"
		expect_status "${names[i]}" held 0
		shift $(($# > 1))
	done
}

errors_are() {
	for i in 0 1 2; do
		expect_status "${names[i]}" error "$1"
		shift
	done
}

check "$rounds times finish: the copies are of one instant"
counter_on
for ((round = 1; round <= rounds; round++)); do
	case_where="finish $round"
	jobs_on
	at_work
	group finish $slow 0 1 2
	all_over
	states_are finished
	counter check "${dsts[@]}" > "$case_dir/check" || fail "$(< "$case_dir/check")"
	at_work
	jobs_off
done
counter_off "${srcs[@]}"

check "$rounds times complete: all go on at the destinations, no write is lost"
counter_on
for ((round = 1; round <= rounds; round++)); do
	case_where="complete $round"
	jobs_on
	at_work
	group complete $slow 0 1 2
	all_over
	states_are pivoted
	at_work
	counter check "${srcs[@]}" > "$case_dir/check" || fail "$(< "$case_dir/check")"
	other=("${srcs[@]}") srcs=("${dsts[@]}") dsts=("${other[@]}")
	jobs_off
done
case_where=
counter_off "${srcs[@]}"
echo "  last value $last"

# From here on the third has a destination of its own, which can be made to fail or to take long.
linear_on third "${dsts[2]}"
third_lies="0 $(sectors "${dsts[2]}") linear ${dsts[2]} 0"
dsts[2]=/dev/mapper/$third

check "one that is not ready: the message is refused, the others are ready again at once"
counter_on
jobs_on
msg "${names[2]}" pause
group complete $slow 0 1
expect_status "${names[0]}" state completing
refused msg "${names[2]}" complete $slow group $nr_groups 3
all_over 3
states_are ready
errors_are group-member-failed group-member-failed -
msg "${names[2]}" resume

check "one that never comes: nothing is held for it, and the others do not wait for ever"
group finish $slow 0 1
at_work
all_over 12
states_are ready
errors_are group-member-failed group-member-failed -
for i in 0 1 2; do
	expect_status "${names[i]}" blackout_us 0
done

check "of another size, one twice, nonsense: refused"
group finish $slow 0
refused msg "${names[0]}" finish $slow group $nr_groups 3
all_over 3
group finish $slow 0
refused msg "${names[1]}" finish $slow group $nr_groups 2
all_over 3
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
	all_over 10
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
all_over 10
states_are ready
errors_are blackout-budget-spent group-member-failed group-member-failed
dmsetup resume "$third"
at_work

check "one that is suspended, or whose table is taken away"
hold_all complete
dmsetup suspend --noflush "${names[2]}"
all_over 5
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
all_over 5
states_are ready ready failed
errors_are group-member-failed group-member-failed destination-given-up
dmsetup resume "$third"
msg "${names[2]}" resume
wait_ready "${names[2]}"
hold_all complete
dmsetup load "$third" --table "0 $(sectors "${dsts[2]}") error"
dmsetup resume "$third"
all_over 5
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
other=("${srcs[@]}") srcs=("${dsts[@]}") dsts=("${other[@]}")

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
	all_over 10
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

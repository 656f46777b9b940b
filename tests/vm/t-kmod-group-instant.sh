#!/bin/bash
# description: a group of jobs completes at one instant: what spans the devices is whole on the copies
# kernels: 6.1 6.12 uml uml-debug
# check: uml 6.12
# tier: full
# timeout: 300
#
# BLOCKCOPY_GROUP_ROUNDS	finishes, and pivots
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=group.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/group.sh"

case $BLOCKCOPY_KERNEL in
uml) rounds=3 ;;
*) rounds=1 ;;
esac
rounds=${BLOCKCOPY_GROUP_ROUNDS:-$rounds} budget=10000
three_devices

# How long the writes were held, the longest time of all.
longest=0
look_at_hold() {
	local name us
	for name in "${names[@]}"; do
		us=$(status_value "$name" blackout_us)
		[ "$us" -le "$longest" ] || longest=$us
	done
}

check "$rounds times finish: the copies are of one instant"
counter_on
for ((round = 1; round <= rounds; round++)); do
	case_where="finish $round"
	group_jobs_on
	at_work
	group finish $budget 0 1 2
	all_over
	states_are finished
	look_at_hold
	one_instant "${dsts[@]}"
	at_work
	group_jobs_off
done
counter_off "${srcs[@]}"

check "$rounds times complete: all go on at the destinations, no write is lost"
counter_on
for ((round = 1; round <= rounds; round++)); do
	case_where="complete $round"
	group_jobs_on
	at_work
	group complete $budget 0 1 2
	all_over
	states_are pivoted
	look_at_hold
	at_work
	one_instant "${srcs[@]}"
	change_places
	group_jobs_off
done
case_where=
counter_off "${srcs[@]}"
echo "  held for $longest us at most"

#!/bin/bash
# description: an event for each change: event numbers, dmsetup wait, tracepoints
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
bio fill "$src" 0 8m 1
linear_on lower "$dst"
linear_on disk "$src"
dev=/dev/mapper/$disk

nr() {
	dmsetup info -c --noheadings -o events "$disk"
}

# event NAME COMMAND...: it wakes a waiter, who finds the name and numbers that fit
last=$(nr)
count=0
event() {
	local name=$1 waiter
	shift
	timeout $((20 * case_slow)) dmsetup wait "$disk" "$last" > /dev/null &
	waiter=$!
	"$@"
	wait "$waiter" || fail "$name: nobody was woken"
	wait_for 10 status_is "$disk" event "$name"
	count=$((count + 1))
	expect "$name: events" "$(status_value "$disk" events)" $count
	last=$(nr)
}

check "copying: paused, resumed, ready"
trace_on blockcopy
start_job "$disk" "$src" "/dev/mapper/$lower" paused
expect_status "$disk" event -
expect_status "$disk" events 0
last=$(nr)
msg "$disk" set bandwidth 131072
event resumed msg "$disk" resume
event paused msg "$disk" pause
event resumed msg "$disk" resume
event ready msg "$disk" set bandwidth 0

check "messages that change nothing are no events"
msg "$disk" set bandwidth 1000000000
refused msg "$disk" resume
expect_status "$disk" events $count

check "completing, not completed, error, resumed, ready"
dmsetup suspend --noflush "$lower"
bio write "$dev" 0 4k 2
event completing msg "$disk" complete 60000
event not-completed dmsetup suspend "$disk"
dmsetup resume "$disk"
dmsetup load "$lower" --table "0 $(sectors "$dst") error"
event error dmsetup resume "$lower"
swap_table "$lower" "0 $(sectors "$dst") linear $dst 0"
bio fill "$dev" 0 4m 3
msg "$disk" set bandwidth 65536
event resumed msg "$disk" resume
event ready msg "$disk" set bandwidth 0

check "pivoted"
msg "$disk" complete 20000
wait_state "$disk" pivoted
expect_status "$disk" event pivoted
expect_status "$disk" events $((count + 2))
trace_off

check "tracepoints"
d=$(trace_dev "$dev")
states=$(sed -n "s/.*blockcopy_state: $d \(.*\)/\1/p" "$trace")
expect "states" "$states" "copying -> ready error=-
ready -> completing error=-
completing -> ready error=suspended-while-completing
ready -> failed error=target-write
failed -> copying error=-
copying -> ready error=-
ready -> completing error=-
completing -> pivoted error=-"
for event in copy_begin copy_end write hold; do
	grep "blockcopy_$event: $d " "$trace" > /dev/null || fail "no $event"
done
expect "holds begun" "$(grep -c "blockcopy_hold: $d hold" "$trace")" 2
expect "holds ended" "$(grep -c "blockcopy_hold: $d release" "$trace")" 2
# Each copy that begins ends.
expect "copies" "$(grep -c "blockcopy_copy_begin: $d" "$trace")" "$(grep -c "blockcopy_copy_end: $d" "$trace")"
grep "blockcopy_write: $d 0 + 8 result=1" "$trace" > /dev/null || fail "the write is not there"

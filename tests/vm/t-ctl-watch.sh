#!/bin/bash
# description: JSON, monitor, progress, wait, time-outs and interrupts of the tool
# kernels: 6.1 6.12 uml uml-debug
# check: 6.12 uml-debug
# tier: core
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

is_plain() {
	[[ $(dmsetup table "$1") == *" linear "* ]]
}

is_job() {
	[[ $(dmsetup table "$1") == *" blockcopy "* ]]
}

null_disk a 32
null_disk b 32
noise "$a"
linear_on disk "$a"

check "info --json: every key, with its type"
blockcopy start "$disk" "$b" --bandwidth 1 > /dev/null
blockcopy info --json "$disk" > "$case_dir/info"
expect "lines" "$(wc -l < "$case_dir/info")" 1
while read -r key type; do
	expect "type of $key" "$(jq -r ".$key | type" "$case_dir/info")" "$type"
done << END
name string
uuid string
state string
ready boolean
paused boolean
suspended boolean
copy_mode string
actively_synced boolean
len number
offset number
dirty_bytes number
inflight_bytes number
copied_bytes number
region_size number
speed number
rate number
io_status string
error null
source string
destination string
blackout_us number
events number
END
jq -e 'has("eta_s")' "$case_dir/info" > /dev/null || fail "no eta_s"
expect speed "$(jq .speed "$case_dir/info")" $((1 << 20))
expect len "$(jq .len "$case_dir/info")" $((32 << 20))
[ "$(jq '.offset < .len' "$case_dir/info")" = true ] || fail "offset equals len before ready"
wait_for 30 status_above "$disk" rate 0
[ "$(info "$disk" eta_s)" -gt 0 ] || fail "eta_s: $(info "$disk" eta_s)"
blockcopy pause "$disk"
expect eta_s "$(info "$disk" eta_s)" null
blockcopy resume "$disk"
blockcopy list | grep -q "^$disk .*copying" || fail "list: $(blockcopy list)"
expect "list --json" "$(blockcopy list --json | jq -r '.[0].state')" copying

check "wait --timeout leaves the job alone"
refuses_while_copying() {
	local status=0
	refusal=$("$@" 2>&1 > /dev/null) || status=$?
	expect "exit status" $status 5
	[[ $refusal == *"not ready after 1 s"* ]] || fail "said: $refusal"
}
refuses_while_copying blockcopy wait "$disk" --timeout 1
expect state "$(info "$disk" state)" copying
refuses 4 "needed it ready to pivot" blockcopy pivot "$disk"
blockcopy abort "$disk" > /dev/null

check "start --timeout cancels"
refuses_while_copying blockcopy start "$disk" "$b" --force --bandwidth 1 --timeout 1
plain "$disk" "$a"
refuses_while_copying blockcopy start "$disk" "$b" --force --bandwidth 1 --timeout 1 --async
wait_for 20 is_plain "$disk"

check "an interrupt cancels"
for signal in INT TERM HUP; do
	status=0
	# A background process of a shell ignores INT otherwise.
	env --default-signal=INT blockcopy start "$disk" "$b" --force --bandwidth 1 --wait > "$case_dir/out" 2> "$case_dir/err" &
	pid=$!
	wait_for 20 is_job "$disk"
	kill -$signal $pid
	wait $pid || status=$?
	expect "exit status" $status 1
	expect "output" "$(cat "$case_dir/out")" "Copy aborted"
	grep -q interrupted "$case_dir/err" || fail "said: $(cat "$case_dir/err")"
	plain "$disk" "$a"
done

check "an interrupt of wait leaves the job alone"
blockcopy start "$disk" "$b" --force --bandwidth 1 > /dev/null
env --default-signal=INT blockcopy wait "$disk" &
pid=$!
# Before that it has not begun, and would die of the signal whatever it does about one later.
asks_dm() {
	[[ $(readlink "/proc/$pid/fd/"* 2> /dev/null) == */mapper/control* ]]
}
wait_for 20 asks_dm
kill -INT $pid
status=0
wait $pid || status=$?
expect "exit status" $status 130
expect state "$(info "$disk" state)" copying
blockcopy abort "$disk" > /dev/null

check "progress: lines at intervals, never 100 % before ready"
blockcopy start "$disk" "$b" --force --bandwidth 6 --wait --verbose > "$case_dir/out" 2> "$case_dir/err"
grep -v ' ready' "$case_dir/err" | grep -q '100 %' && fail "100 % too early: $(cat "$case_dir/err")"
grep -Eq '^Block Copy: \[ *[0-9]+ %\]  [0-9.]+ [KM]?i?B/s, [0-9:-]+ left, .* dirty, copying' "$case_dir/err" ||
	fail "no progress: $(cat "$case_dir/err")"
tail -n 1 "$case_dir/err" | grep -q '^Block Copy: \[100 %\].*ready' || fail "no end: $(cat "$case_dir/err")"
[ "$(grep -c 'Block Copy' "$case_dir/err")" -lt 10 ] || fail "too many lines: $(cat "$case_dir/err")"
expect "output" "$(cat "$case_dir/out")" "Now in mirroring phase"
blockcopy abort "$disk" > /dev/null

check "progress: one line on a terminal"
script -qefc "blockcopy start $disk $b --force --bandwidth 12 --wait --verbose" /dev/null > "$case_dir/tty"
[ "$(tr -cd '\r' < "$case_dir/tty" | wc -c)" -gt 3 ] || fail "not redrawn: $(cat "$case_dir/tty")"
expect "lines" "$(grep -c 'Block Copy' "$case_dir/tty")" 1
blockcopy abort "$disk" > /dev/null

check "monitor: what is there, then each change, then the end"
blockcopy start "$disk" "$b" --force --bandwidth 1 > /dev/null
blockcopy monitor --json "$disk" > "$case_dir/one" &
one=$!
blockcopy monitor --json > "$case_dir/all" 2> "$case_dir/all.err" &
all=$!
seen() { # FILE FILTER
	# The last line may be half written.
	[ -n "$(jq "select($2)" "$1" 2> /dev/null)" ]
}
wait_for 20 seen "$case_dir/one" '.change == "found" and .state == "copying"'
wait_for 20 seen "$case_dir/all" '.change == "found"'
blockcopy pause "$disk"
wait_for 20 seen "$case_dir/one" '.event == "paused" and .paused'
blockcopy resume "$disk"
wait_for 20 seen "$case_dir/one" '.event == "resumed"'
blockcopy set "$disk" bandwidth=0
wait_for 20 seen "$case_dir/one" '.state == "ready"'
blockcopy finish "$disk" > /dev/null
wait "$one" || fail "monitor of one job: exit status $?"
expect "last line" "$(tail -n 1 "$case_dir/one" | jq -r .change)" ended
wait_for 20 seen "$case_dir/all" '.change == "ended"'
blockcopy start "$disk" "$b" --force > /dev/null
wait_for 20 seen "$case_dir/all" '.change == "started"'
blockcopy abort "$disk" > /dev/null
kill $all
expect "errors" "$(cat "$case_dir/all.err")" ""
# Every line is one object by itself.
jq -es 'length > 5' "$case_dir/all" > /dev/null || fail "not JSON: $(cat "$case_dir/all")"

check "monitor --timeout, as text, and with a command to run"
export exec_out=$case_dir/exec
blockcopy start "$disk" "$b" --force --wait > /dev/null
status=0
# shellcheck disable=SC2016
blockcopy monitor "$disk" --timeout 1 --exec 'echo "$BLOCKCOPY_NAME $BLOCKCOPY_CHANGE $BLOCKCOPY_STATE" >> "$exec_out"' \
	> "$case_dir/text" 2> /dev/null || status=$?
expect "exit status" $status 5
grep -q "$disk: found: ready, 100 %" "$case_dir/text" || fail "said: $(cat "$case_dir/text")"
expect "--exec" "$(cat "$exec_out")" "$disk found ready"

check "wait returns at once when ready, and fails when the job goes"
blockcopy wait "$disk"
blockcopy abort "$disk" > /dev/null
blockcopy start "$disk" "$b" --force --bandwidth 1 > /dev/null
blockcopy wait "$disk" 2> "$case_dir/err" &
pid=$!
wait_for 10 test -e "/proc/$pid"
blockcopy abort "$disk" > /dev/null
status=0
wait $pid || status=$?
expect "exit status" $status 3

check "a failed copy: wait says why"
needs_target error
dm_new bad "0 32768 linear $b 0
32768 32768 error"
status=0
blockcopy start "$disk" "/dev/mapper/$bad" --force --wait > /dev/null 2> "$case_dir/err" || status=$?
expect "exit status" $status 1
grep -q "the copy failed: the destination could not be written" "$case_dir/err" || fail "said: $(cat "$case_dir/err")"
expect error "$(info "$disk" error)" target-write
expect io_status "$(info "$disk" io_status)" failed
swap_table "$bad" "0 65536 linear $b 0"
blockcopy resume "$disk"
blockcopy wait "$disk" --timeout 100
compare_legs "$a" "$b"
blockcopy abort "$disk" > /dev/null

check "a pivot that does not fit into its budget goes on copying"
needs_target delay
delay_on slow "$b" 0 0
blockcopy start "$disk" "/dev/mapper/$slow" --force --wait > /dev/null
swap_table "$slow" "$(delay_table "$b" 0 400)"
guest_on guest "$disk"
status=0
blockcopy pivot "$disk" --max-blackout 100 > /dev/null 2> "$case_dir/err" || status=$?
expect "exit status ($(cat "$case_dir/err"))" $status 4
grep -q "did not fit" "$case_dir/err" || fail "said: $(cat "$case_dir/err")"
expect state "$(info "$disk" state)" ready
swap_table "$slow" "$(delay_table "$b" 0 0)"
guest_off "$guest" "$disk"
blockcopy pivot "$disk" --max-blackout 10000 > /dev/null

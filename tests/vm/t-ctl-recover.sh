#!/bin/bash
# description: the tool killed before each of its ioctls: the device serves I/O, recover or the same command goes on
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 1500
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk a 16
null_disk b 16
null_disk c 16
noise "$a"
linear_on disk "$a"
len=$(sectors "/dev/mapper/$disk")

check "nothing to do"
said "Nothing to recover" blockcopy recover
said "Nothing to recover" blockcopy recover "$disk"
blockcopy start "$disk" "$b" --wait > /dev/null
said "Nothing to recover" blockcopy recover
expect state "$(info "$disk" state)" ready

check "a pivot without its swap"
complete "$disk" 500 complete || fail "not pivoted: $(job_state "$disk")"
refuses 4 "found it pivoted already" blockcopy abort "$disk"
refuses 4 "found the job pivoted already" blockcopy finish "$disk"
said "completed the pivot" blockcopy recover
plain "$disk" "$b"

check "the same, finished by pivot itself"
blockcopy start "$disk" "$a" --force --wait > /dev/null
complete "$disk" 500 complete
said "Successfully pivoted" blockcopy pivot "$disk"
plain "$disk" "$a"

check "a finish without its swap"
blockcopy start "$disk" "$b" --force --wait > /dev/null
complete "$disk" 500 finish
refuses 4 "found the job finished already" blockcopy pivot "$disk"
said "completed the finish" blockcopy recover "$disk"
plain "$disk" "$a"

check "a table that was loaded and never resumed"
dmsetup load "$disk" --table "$(job_table "$a" "$b" "$len")"
said "dropped the table" blockcopy recover
expect "inactive" "$(dmsetup table --inactive "$disk")" ""
dmsetup load "$disk" --table "$(job_table "$a" "$c" "$len")"
blockcopy start "$disk" "$b" --force --wait > /dev/null
dmsetup load "$disk" --table "$(job_table "$a" "$b" "$len")"
said "Successfully pivoted" blockcopy pivot "$disk"
plain "$disk" "$b"

check "a device left suspended"
dmsetup load "$disk" --table "$(job_table "$b" "$a" "$len")"
dmsetup suspend "$disk"
said "resumed" blockcopy recover
expect "suspended" "$(dmsetup info -c --noheadings -o suspended "$disk")" Active
plain "$disk" "$b"
dmsetup suspend "$disk"
said "Nothing to recover" blockcopy recover
refuses 6 "nothing of blockcopy's" blockcopy recover "$disk"
dmsetup resume "$disk"
blockcopy start "$disk" "$a" --force --wait > /dev/null
dmsetup suspend "$disk"
said "resumed" blockcopy recover "$disk"
expect state "$(info "$disk" state)" ready
blockcopy abort "$disk" > /dev/null

check "helpers that nobody uses"
null_disk d 16
two="0 16384 linear $d 0
16384 16384 linear $d 16384"
dm_new pair "$two"
two=$(dmsetup table "$pair")
dmsetup create "$pair-blockcopy" --uuid "BLOCKCOPY-$pair" --table "$two"
said "removed" blockcopy recover
no_helper "$pair"
dmsetup create "$pair-blockcopy" --uuid "BLOCKCOPY-$pair" --table "$two"
blockcopy start "$pair" "$c" --wait > /dev/null
said "Nothing to recover" blockcopy recover
blockcopy abort "$pair" > /dev/null
no_helper "$pair"
dmsetup create "$case_id-gone-blockcopy" --uuid "BLOCKCOPY-$case_id-gone" --table "0 8 zero"
said "removed" blockcopy recover
no_helper "$case_id-gone"

check "start over a table that was loaded with its helper and never resumed"
dmsetup create "$pair-blockcopy" --uuid "BLOCKCOPY-$pair" --table "$two"
dmsetup load "$pair" --table "$(job_table "/dev/mapper/$pair-blockcopy" "$c" "$(blockdev --getsz "/dev/mapper/$pair")")"
blockcopy start "$pair" "$c" --wait > /dev/null
blockcopy abort "$pair" > /dev/null
no_helper "$pair"

command -v strace > /dev/null || skip "no strace to kill the tool at a given call"

back_to_source() {
	expect "table" "$(dmsetup table "$pair")" "$two"
	no_helper "$pair"
	expect "inactive" "$(dmsetup table --inactive "$pair")" ""
}

# Emulated processors make do with every third call.
step=1
[ "$case_slow" -lt 10 ] || step=3
guest_on guest "$pair" -p 2000

# The guest's data goes with it: to the two lines, as they were.
swap_back() {
	blockcopy start "$pair" "$d" --force --pivot --max-blackout 10000 > /dev/null
	swap_table "$pair" "$two"
}

# failed_at N COMMAND...: its Nth ioctl is not made and gives an error. 0 when the command had fewer.
failed_at() {
	local n=$1 status=0
	shift
	strace -qq -o "$case_dir/strace" -e trace=ioctl -e "inject=ioctl:error=ENOMEM:when=$n" "$@" > /dev/null 2> "$case_dir/err" || status=$?
	[ $status -lt 124 ] || fail "$* with ioctl $n failing: exit status $status"
	! grep -q INJECTED "$case_dir/strace"
}

check "start, each ioctl failing: nothing is left, or the job runs"
for ((n = 1; ; n += step)); do
	ended=
	! failed_at $n blockcopy start "$pair" "$c" --force || ended=yes
	serves "$pair"
	is_job "$pair" || back_to_source
	blockcopy abort "$pair" > /dev/null
	back_to_source
	[ -z "$ended" ] || break
done
echo "  $n calls"

check "pivot, each ioctl failing"
for ((n = 1; ; n += step)); do
	blockcopy start "$pair" "$c" --force --wait > /dev/null
	ended=
	! failed_at $n blockcopy pivot "$pair" --max-blackout 10000 || ended=yes
	serves "$pair"
	wait_for 20 not_completing_if_job "$pair"
	! is_job "$pair" || blockcopy pivot "$pair" --max-blackout 10000 > /dev/null
	plain "$pair" "$c"
	blockcopy recover > /dev/null
	no_helper "$pair"
	[ -z "$ended" ] || break
	# Back to two lines.
	swap_back
done
echo "  $n calls"
swap_back

check "start, killed before each ioctl"
for ((n = 1; ; n += step)); do
	ended=
	! killed_at ioctl $n blockcopy start "$pair" "$c" --force || ended=yes
	serves "$pair"
	if is_job "$pair"; then
		said "Nothing to recover" blockcopy recover
		blockcopy abort "$pair" > /dev/null
	else
		blockcopy recover > /dev/null
	fi
	back_to_source
	[ -z "$ended" ] || break
done
echo "  $n calls"
[ $n -gt 10 ] || fail "that was too short"

check "start again after a start that was killed"
for ((n = 1; n < 60; n += 7)); do
	killed_at ioctl $n blockcopy start "$pair" "$c" --force || true
	is_job "$pair" || blockcopy start "$pair" "$c" --force > /dev/null
	serves "$pair"
	blockcopy abort "$pair" > /dev/null
	back_to_source
done

check "abort, killed before each ioctl"
for ((n = 1; ; n += step)); do
	blockcopy start "$pair" "$c" --force > /dev/null
	ended=
	! killed_at ioctl $n blockcopy abort "$pair" || ended=yes
	serves "$pair"
	blockcopy abort "$pair" > /dev/null
	back_to_source
	[ -z "$ended" ] || break
done
echo "  $n calls"

check "finish, killed before each ioctl"
for ((n = 1; ; n += step)); do
	blockcopy start "$pair" "$c" --force --wait > /dev/null
	ended=
	! killed_at ioctl $n blockcopy finish "$pair" --max-blackout 10000 || ended=yes
	serves "$pair"
	wait_for 20 not_completing_if_job "$pair"
	blockcopy recover > /dev/null
	! is_job "$pair" || blockcopy finish "$pair" --max-blackout 10000 > /dev/null
	back_to_source
	[ -z "$ended" ] || break
done
echo "  $n calls"

check "pivot, killed before each ioctl: to and fro"
from=$d to=$c
for ((n = 1; ; n += step)); do
	blockcopy start "$pair" "$to" --force --wait > /dev/null
	ended=
	! killed_at ioctl $n blockcopy pivot "$pair" --max-blackout 10000 || ended=yes
	serves "$pair"
	wait_for 20 not_completing_if_job "$pair"
	blockcopy recover > /dev/null
	! is_job "$pair" || blockcopy pivot "$pair" --max-blackout 10000 > /dev/null
	plain "$pair" "$to"
	no_helper "$pair"
	noise "$from"
	[ -z "$ended" ] || break
	tmp=$from from=$to to=$tmp
done
echo "  $n calls"
guest_off "$guest" "$pair"

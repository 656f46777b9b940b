#!/bin/bash
# description: requests to one leg that fail at random, with each policy: the guest sees none of the destination's, all are counted, legs are equal afterwards
# kernels: uml-debug
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

inject=/sys/kernel/debug/fail_make_request
[ -d $inject ] || skip "this kernel has no fail_make_request"
null_disk src 32
null_disk dst 32 cache_size=1
bio fill "$src" 0 32m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
budget=1000000

# faults_on DISK PERCENT [TIMES]: of the requests to it, at most so many
faults_on() {
	given=${3:-$budget}
	echo 0 > $inject/verbose
	echo 1 > $inject/interval
	echo "$given" > $inject/times
	echo 1 > "/sys/block/${1#/dev/}/make-it-fail"
	echo "$2" > $inject/probability
}
faults_off() {
	echo 0 > $inject/probability
	echo 0 > "/sys/block/${src#/dev/}/make-it-fail"
	echo 0 > "/sys/block/${dst#/dev/}/make-it-fail"
}
trap 'status=$?; trap - ERR; set +e; faults_off; (exit $status); teardown' EXIT
# "times" counts down.
injected() {
	echo $((given - $(< $inject/times)))
}
some_injected() {
	[ "$(injected)" -ge "$1" ]
}
job() { start_job "$disk" "$src" "$dst" "$@"; }

# ended: the faults are over; all is copied, and the guest saw nothing.
ended() {
	faults_off
	[ "$(job_state "$disk")" != failed ] || msg "$disk" resume
	wait_ready "$disk"
	[ -z "${guest:-}" ] || guest_off "$guest" "$disk"
	guest=
	wait_ready "$disk"
	wait_for 30 status_is "$disk" dirty_bytes 0
	expect_status "$disk" io_status ok
	echo "  $(injected) requests failed; errors: source $(status_value "$disk" source_errors), target $(status_value "$disk" target_errors)"
	[ "$(injected)" -gt 0 ] || fail "nothing failed"
	compare_legs "$src" "$dst"
	stop_job "$disk" "$src"
	bio fill "$dst" 0 32m 99
}

for mode in background write-blocking auto; do
	check "destination, ignore, $mode: it becomes ready all the same"
	guest_on guest "$disk" -t 2 -p 2000
	faults_on "$dst" 20 30
	job copy_mode $mode on_target_error ignore
	wait_for 60 status_above "$disk" target_errors 0
	expect_status "$disk" source_errors 0
	ended
done

check "destination, ignore: mirrored writes that fail end the epoch of READY, and another one comes"
job copy_mode write-blocking on_target_error ignore
wait_for 60 status_is "$disk" actively_synced 1
faults_on "$dst" 100 3
guest_on guest "$disk" -t 2 -p 2000
wait_for 20 some_injected 1
wait_for 20 status_above "$disk" target_errors 0
ended

check "destination, report: failed, in each mode, and goes on when told so"
for mode in background write-blocking; do
	guest_on guest "$disk" -t 2 -p 2000
	faults_on "$dst" 10
	job copy_mode $mode on_target_error report
	wait_state "$disk" failed
	expect_status "$disk" io_status failed
	expect_status "$disk" mirroring 0
	ended
done

check "destination that only fails: a completion does not come about"
job copy_mode write-blocking on_target_error ignore
wait_for 60 status_is "$disk" actively_synced 1
guest_on guest "$disk" -t 2 -p 2000
faults_on "$dst" 100
wait_for 20 status_above "$disk" target_errors 0
if [ "$(job_state "$disk")" = ready ]; then
	complete "$disk" 500 && fail "pivoted to a destination that fails"
fi
wait_state "$disk" copying
ended

check "source, ignore: what cannot be read stays dirty and is tried again"
faults_on "$src" 20 30
job on_source_error ignore
wait_for 60 status_above "$disk" source_errors 0
expect_status "$disk" target_errors 0
ended

check "source, report: failed, and goes on when told so"
faults_on "$src" 10
job on_source_error report
wait_state "$disk" failed
expect_status "$disk" error source-read
expect_status "$disk" target_errors 0
ended

check "source: writes that fail there alone, while they are mirrored, leave no difference"
job copy_mode write-blocking
wait_for 60 status_is "$disk" actively_synced 1
faults_on "$src" 50
failed=0
for ((i = 0; i < 60; i++)); do
	bio write "$dev" $((i * 65536)) 4k $((i + 1000)) 2> /dev/null || failed=$((failed + 1))
	[ "$(job_state "$disk")" != failed ] || msg "$disk" resume
done
echo "  $failed of 60 writes failed"
[ $failed -gt 0 ] || fail "the guest is not told of its own disk's errors"
ended

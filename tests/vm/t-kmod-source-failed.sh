#!/bin/bash
# description: complete source-failed: a reversed job whose source is gone goes on at its destination, if that has every acknowledged write
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: core
# timeout: 600
#
# BLOCKCOPY_PULLS		how many times the source goes under the writer
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

case $BLOCKCOPY_KERNEL in
uml) n=10 ;;
*) n=3 ;;
esac
n=${BLOCKCOPY_PULLS:-$n}

null_disk old 16
null_disk disk 16
new=
linear_on new "$disk"
linear_on vm "$old"
dev=/dev/mapper/$vm
len=$(sectors "$old")

reversed() {
	not_completing "$vm" && status_is "$vm" reversals 1
}

# way_back: a job from the new disk to the old one
way_back() {
	[ "$(dmsetup table "$new" | cut -d ' ' -f 3)" = linear ] || swap_table "$new" "0 $len linear $disk 0"
	stop_job "$vm" "$old"
	bio fill "$dev" 0 16m 1
	start_job "$vm" "$old" "/dev/mapper/$new"
	wait_ready "$vm"
	msg "$vm" complete 2000 reverse
	wait_for 20 reversed
	expect_status "$vm" source_only_bytes 0
}

pull() {
	swap_table "$new" "0 $len error"
}

# on_old: it is over, and the guest has its data
on_old() {
	wait_for 20 not_completing "$vm"
	expect_status "$vm" state pivoted
	stop_job "$vm" "$old"
}

check "writes that failed at the source are in nobody's way"
way_back
bio write "$dev" 1m 64k 2
bio write "$dev" 5m 4k 2
pull
refused bio write "$dev" 2m 64k 3
refused bio write "$dev" 5m 8k 3
refused bio read "$dev" 1m 4k
wait_for 10 status_is "$vm" state copying
status_above "$vm" dirty_bytes 0 || fail "nothing is dirty"
expect_status "$vm" source_only_bytes 0
refused msg "$vm" complete 500
msg "$vm" complete 2000 source-failed
on_old
bio verify "$dev" 1m 64k 2
bio verify "$dev" 3m 1m 1
bio write "$dev" 2m 64k 4

check "so it is when the job has failed, and when it was paused"
way_back
msg "$vm" set on_source_error report
bio write "$dev" 1m 64k 2
pull
refused bio write "$dev" 2m 64k 3
wait_for 10 status_is "$vm" state failed
msg "$vm" complete 2000 source-failed
on_old
bio verify "$dev" 1m 64k 2
way_back
bio write "$dev" 1m 64k 2
msg "$vm" pause
pull
msg "$vm" complete 2000 source-failed
on_old
bio verify "$dev" 1m 64k 2

check "what is only at the source is not given up, but when it is said"
way_back
bio write "$dev" 1m 64k 2
msg "$vm" pause
expect_status "$vm" mirroring 0
bio write "$dev" 2m 64k 3
bio write "$dev" 4m 4k 3
expect_status "$vm" source_only_bytes 131072
pull
refused msg "$vm" complete 500 source-failed
# The copier tries in vain: it is as dirty as before, and no less needed.
msg "$vm" resume
wait_for 20 status_above "$vm" source_errors 0
wait_for 20 status_is "$vm" source_only_bytes 131072
refused msg "$vm" complete 500 source-failed
msg "$vm" pause
expect_status "$vm" source_only_bytes 131072
msg "$vm" complete 2000 source-failed lossy
on_old
bio verify "$dev" 1m 64k 2
bio verify "$dev" 2m 64k 1

check "what was copied is no more only at the source"
way_back
msg "$vm" pause
bio write "$dev" 2m 64k 3
msg "$vm" resume
wait_for 20 status_is "$vm" actively_synced 1
expect_status "$vm" source_only_bytes 0
pull
msg "$vm" complete 2000 source-failed
on_old
bio verify "$dev" 2m 64k 3

check "nor is a write in flight, which is acknowledged after the message"
way_back
msg "$vm" pause
# A frozen table holds the write until it is thawed.
dmsetup suspend --noflush "$new"
bio write "$dev" 2m 64k 3 &
writer=$!
wait_for 5 in_flight "$vm" 1
msg "$vm" complete 60000 source-failed
dmsetup resume "$new"
wait $writer
wait_for 20 not_completing "$vm"
expect_status "$vm" state ready
expect_status "$vm" error source-only-writes
expect_status "$vm" source_only_bytes 65536
bio verify "$dev" 2m 64k 3
bio write "$dev" 3m 64k 4
msg "$vm" resume
wait_for 20 status_is "$vm" dirty_bytes 0
complete "$vm" 2000 || fail "not pivoted"
stop_job "$vm" "$old"
bio verify "$dev" 2m 64k 3
bio verify "$dev" 3m 64k 4

check "nor what a slow destination has not answered for"
way_back
msg "$vm" set write_timeout 100
slow=
delay_on slow "$old" 0 0
swap_table "$slow" "$(delay_table "$old" 0 0)"
stop_job "$vm" "/dev/mapper/$new"
start_job "$vm" "/dev/mapper/$slow" "/dev/mapper/$new" write_timeout 100
wait_ready "$vm"
msg "$vm" complete 2000 reverse
wait_for 20 reversed
swap_table "$slow" "$(delay_table "$old" 0 $((1000 * case_slow)))"
bio write "$dev" 1m 4k 5
wait_for 5 status_above "$vm" timeouts 0
status_above "$vm" source_only_bytes 0 || fail "a write that is not there counts as if it were"
refused msg "$vm" complete 500 source-failed
swap_table "$slow" "$(delay_table "$old" 0 0)"
wait_for 20 status_is "$vm" source_only_bytes 0
bio verify "$old" 1m 4k 5
stop_job "$vm" "/dev/mapper/$new"

check "pulled under a writer, at any moment: $n times"
for ((i = 0; i < n; i++)); do
	way_back
	soak_writer "$dev" --rate 8000000 --zeroes 20
	nap $((40 * i + 20))
	pull
	wait_for 20 status_is "$vm" ready 0
	msg "$vm" complete 5000 source-failed
	on_old
	soak_writer_over "$dev"
done

#!/bin/bash
# description: the guest's longest write and its reads while the destination hangs: when copying, mirroring, and in a completion
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 600
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# All that hangs is to be seen apart from a machine that is slow.
timeout_ms=1000
[ "$case_slow" = 1 ] || timeout_ms=2000
flush_ms=$((timeout_ms / 2))
budget_ms=$((timeout_ms * 4 / 5))
slack_ms=$((300 * case_slow))

# The destination's flush is slow, so that it can begin to hang in the middle of one; below that it hangs.
needs_target delay
null_disk src 64
null_disk dst 64 cache_size=1
linear_on disk "$src"
linear_on slow "$dst"
slow_dev=/dev/mapper/$slow
dm_new to "0 $(sectors "$dst") delay $slow_dev 0 0 $slow_dev 0 0 $slow_dev 0 $flush_ms"
hang() {
	dmsetup suspend --noflush --nolockfs "$slow"
	hung_at=$(now_ms)
}
job() {
	start_job "$disk" "$src" "/dev/mapper/$to" write_timeout $timeout_ms "$@"
}
guest_of_hang() {
	guest_on guest "$disk" -t 4 -r 2
}
# It hung for longer than any write may wait.
hung_for_long() {
	[ $(($(now_ms) - hung_at)) -gt $((bound_ms + slack_ms)) ]
}

# said WORD: the number that the guest said after it, at its end
said() {
	sed -n "s/.*\\<$1 \\([0-9]*\\).*/\\1/p" "$case_dir/hammer-$disk"
}
table=$case_dir/table
printf '%s\t%s\t%s\t%s\t%s\t%s\n' situation writes longest_ms reads longest_read_ms mean_read_us > "$table"
# measured SITUATION: the guest ends, and its figures go into the table. It must end, too.
measured() {
	local status=0
	kill -TERM "$guest"
	wait_for 20 gone "$guest"
	wait "$guest" || status=$?
	[ $status = 0 ] || fail "$1: the guest saw errors or lost data: $(cat "$case_dir/hammer-$disk")"
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$(said writes)" "$(said longest_ms)" "$(said reads)" "$(said longest_read_ms)" \
		"$(said mean_read_us)" >> "$table"
	tail -n 1 "$table"
}

check "no job"
bound_ms=$timeout_ms
hung_at=$(now_ms)
guest_of_hang
wait_for 30 hung_for_long
measured "no job"
alone_ms=$(said longest_ms)
alone_read_ms=$(said longest_read_ms)
alone_read_us=$(said mean_read_us)
bound_ms=$((timeout_ms + alone_ms + slack_ms))

# within SITUATION: the destination hung in it, and does no more.
within() {
	wait_for 30 hung_for_long
	measured "$1"
	[ "$(said longest_ms)" -lt $bound_ms ] || fail "$1: the guest waited $(said longest_ms) ms, wanted below $bound_ms"
	# What waits for the destination waits for write_timeout, or for ever; of others a busy machine makes some wait.
	[ "$(said longest_read_ms)" -lt $((alone_read_ms + timeout_ms * 3 / 4 + slack_ms - 300)) ] ||
		fail "$1: a read took $(said longest_read_ms) ms, without a job at most $alone_read_ms"
	[ "$(said mean_read_us)" -lt $((4 * alone_read_us + 1000 * case_slow)) ] ||
		fail "$1: reads took $(said mean_read_us) us, without a job $alone_read_us"
	dmsetup resume "$slow"
	wait_for 20 status_is "$disk" late_writes 0
	msg "$disk" set bandwidth 0
	wait_ready "$disk"
	wait_for 20 status_is "$disk" dirty_bytes 0
	expect_status "$disk" target_errors 0
	compare_legs "$src" "$dst"
	stop_job "$disk" "$src"
	wait_for 10 module_idle
}

for mode in background auto write-blocking; do
	check "copying, $mode"
	job copy_mode $mode bandwidth 8388608
	wait_for 10 status_above "$disk" copied_bytes 0
	guest_of_hang
	hang
	expect_status "$disk" state copying
	within "copying, $mode"
done

for mode in auto write-blocking; do
	check "ready, $mode"
	job copy_mode $mode
	wait_ready "$disk"
	[ $mode = auto ] || wait_for 20 status_is "$disk" actively_synced 1
	guest_of_hang
	hang
	within "ready, $mode"
done

for mode in background write-blocking; do
	check "in a completion, $mode: it begins to hang when writes are held already"
	job copy_mode $mode
	wait_ready "$disk"
	guest_of_hang
	[ $mode != write-blocking ] || wait_for 20 status_above "$disk" mirrored_bytes 0
	msg "$disk" complete $budget_ms
	hang
	[[ $(job_state "$disk") != pivoted ]] || fail "it hung too late"
	wait_for 10 not_completing "$disk"
	expect_status "$disk" error blackout-budget-spent
	within "in a completion, $mode"

	check "before a completion, $mode"
	job copy_mode $mode
	wait_ready "$disk"
	guest_of_hang
	[ $mode != write-blocking ] || wait_for 20 status_above "$disk" mirrored_bytes 0
	hang
	msg "$disk" complete $budget_ms
	wait_for 10 not_completing "$disk"
	expect_status "$disk" error blackout-budget-spent
	within "before a completion, $mode"
done

echo "write_timeout $timeout_ms ms, a write at most $bound_ms ms; the guest saw no error:"
awk -F '\t' '{ printf "%-40s", $1; for (i = 2; i <= NF; i++) printf " %14s", $i; print "" }' "$table"

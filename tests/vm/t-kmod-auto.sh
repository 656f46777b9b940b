#!/bin/bash
# description: auto converges where background cannot: a hot area written as fast as it goes, a destination that is slower
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# The destination takes a third of what the guest writes.
rate=$((24 / case_slow + 1))
null_disk src 256 mbps=$((rate * 3))
null_disk dst 256 mbps=$rate
linear_on disk "$src"
dev=/dev/mapper/$disk
seconds=${BLOCKCOPY_AUTO_SECONDS:-15}
curve=${BLOCKCOPY_SHARED:-$case_dir}/dirty.tsv
hot_guest() {
	hammer -t 8 -b 1 "$dev" 0 $((64 << 20)) > "$case_dir/hammer-$disk" 2>&1 &
	guest=$!
	wait_for 10 grep -qs '^running' "$case_dir/hammer-$disk"
}
# sample MODE: a line for the plot
sample() {
	echo "$1	$(($(now_ms) - begin))	$(status_value "$disk" dirty_bytes)	$(status_value "$disk" mirroring)	$(job_state "$disk")" >> "$curve"
}

check "background is not ready after $seconds s"
hot_guest
begin=$(now_ms)
start_job "$disk" "$src" "$dst" copy_mode background write_timeout 10000
while [ $(($(now_ms) - begin)) -lt $((seconds * 1000)) ]; do
	sample background
	sleep 0.25
done
dirty=$(status_value "$disk" dirty_bytes)
echo "  dirty after $seconds s: $((dirty >> 20)) MiB"
[ "$dirty" -gt $((1 << 20)) ] || skip "this machine's guest is slower than the destination"
expect_status "$disk" ready 0

check "auto goes to mirroring, from where dirty only becomes less, and becomes actively synced"
msg "$disk" set copy_mode auto
begin=$(now_ms)
wait_for 20 status_is "$disk" mirroring 1
# Writes that began before may still end.
last=$(status_value "$disk" dirty_bytes)
last=$((last + 8 * 65536))
while [ "$(status_value "$disk" actively_synced)" = 0 ]; do
	sample auto
	dirty=$(($(status_value "$disk" dirty_bytes)))
	[ "$dirty" -le "$last" ] || fail "dirty rose from $last to $dirty"
	last=$dirty
	[ $(($(now_ms) - begin)) -lt $((120000 * case_slow)) ] || fail "not converged"
	sleep 0.25
done
sample auto
echo "  actively synced after $(($(now_ms) - begin)) ms"
expect_status "$disk" state ready
expect_status "$disk" timeouts 0
complete "$disk" 2000 || fail "not pivoted"
bio fill "$src" 0 64m 100
guest_off "$guest" "$disk"
echo "  $(wc -l < "$curve") samples of mode, milliseconds, dirty bytes, mirroring, state: $curve"

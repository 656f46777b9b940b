#!/bin/bash
# description: the destination is flushed before ready and before the flip: a power cut loses nothing
# kernels: 6.1 6.12 uml-debug uml
# check: 6.12 uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# null_blk forgets what is in its cache when it is switched off.
null_disk src 8
null_disk dst 8 cache_size=8
bio fill "$src" 0 8m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
d=$(trace_dev "$dst")

# The order of events of the destination and of the job: w(rite), f(lush), and the states
order() {
	sed -n "s/.*block_bio_queue: $d F[A-Z]* .*/f/p;s/.*block_bio_queue: $d W[A-Z]* .*/w/p
		s/.*blockcopy_state: .* -> \([a-z]*\) .*/[\1]/p" "$trace" | tr -d '\n'
}

power_cut() {
	stop_job "$disk" "$1"
	echo 0 > "$(null_dir "$dst")/power"
	echo 1 > "$(null_dir "$dst")/power"
	wait_for 5 test -b "$dst"
}

check "control: without a flush it forgets"
bio write "$dst" 0 4k 9
echo 0 > "$(null_dir "$dst")/power"
echo 1 > "$(null_dir "$dst")/power"
wait_for 5 test -b "$dst"
bio verify "$dst" 0 4k 9 2> /dev/null && skip "null_blk of this kernel does not forget"
bio is-zero "$dst" 0 4k
d=$(trace_dev "$dst")

check "ready: a flush after the last write"
trace_on block:block_bio_queue blockcopy:blockcopy_state
start_job "$disk" "$src" "$dst"
wait_ready "$disk"
trace_off
[[ $(order) =~ ^w+f\[ready\]$ ]] || fail "order: $(order)"
power_cut "$src"
compare_legs "$src" "$dst"

check "flip: a flush after the last write"
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
trace_on block:block_bio_queue blockcopy:blockcopy_state
bio fill "$dev" 0 2m 2
bio write "$dev" 4m 4k 3
complete "$disk" 20000 || fail "not pivoted"
trace_off
[[ $(order) =~ w(\[completing\])?f\[pivoted\]$ ]] || fail "order: $(order)"
# Nobody may hold the disk when it is switched off; the guest's data is on the destination only from here on.
power_cut "$src"
compare_legs "$src" "$dst"

check "finish: the same"
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
trace_on block:block_bio_queue blockcopy:blockcopy_state
bio write "$dev" 5m 64k 4
complete "$disk" 20000 finish || fail "not finished"
trace_off
[[ $(order) =~ w(\[completing\])?f\[finished\]$ ]] || fail "order: $(order)"
power_cut "$src"
compare_legs "$src" "$dst"

check "a guest's flush after the flip reaches the destination, though its device had no cache before the job"
stop_job "$disk" "$src"
# A new one that holds nothing yet: what null_blk has on the disk already it writes there at once.
null_disk dst 8 cache_size=8
[ "$(< "$(queue_dir "$dev")/write_cache")" = "write through" ] || fail "the source has a cache: nothing is shown"
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
complete "$disk" 20000 || fail "not pivoted"
bio write "$dev" 6m 64k 5
bio flush "$dev"
bio -d write "$dev" 7m 4k 6
power_cut "$src"
bio verify "$dst" 6m 64k 5
bio verify "$dst" 7m 4k 6

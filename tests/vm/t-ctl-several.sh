#!/bin/bash
# description: two destinations: a layer on a layer, a job on each; each leg fails, finishes and pivots alone; list as a tree; the cost
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk src 32
null_disk one 32
null_disk two 32
bio fill "$src" 0 32m 1
disk=$case_id-vm below=$case_id-vm-below

# The first one can be made to fail.
linear_on to "$one"
bad() {
	swap_table "$to" "0 32768 linear $one 0
32768 32768 error"
}
good() {
	swap_table "$to" "0 65536 linear $one 0"
}

# sectors_of DEVICE read|written
sectors_of() {
	local -a stat
	read -ra stat < "/sys/dev/block/$(devno "$1")/stat"
	[ "$2" = read ] && echo "${stat[2]}" || echo "${stat[6]}"
}

check "a layer on a layer, and on no other dm device"
blockcopy attach "$src" "$below"
blockcopy attach "/dev/mapper/$below" "$disk"
plain "$disk" "/dev/mapper/$below"
refuses 6 "found a dm device already" blockcopy attach "/dev/mapper/$to" "$case_id-no"
refuses 6 "found it in use" blockcopy attach "/dev/mapper/$below" "$case_id-no"

check "two jobs, under a guest: both are ready, and both copies equal"
guest_on guest "$disk" -p 1000
blockcopy start "$disk" "/dev/mapper/$to" --blockdev > /dev/null
blockcopy start "$below" "$two" --blockdev > /dev/null
expect "below" "$(blockcopy list --json | jq -r '.[] | "\(.name) \(.below)"')" "$disk $below
$below null"
expect "info" "$(info "$disk" below)" "$below"
blockcopy list > "$case_dir/list"
sed 's/^/  | /' "$case_dir/list"
expect "tree" "$(awk 'NR > 1 { match($0, /^ */); print RLENGTH, $1 }' "$case_dir/list")" "0 $disk
2 $below"
blockcopy wait "$disk" --timeout $((30 * case_slow))
blockcopy wait "$below" --timeout $((30 * case_slow))

check "one fails: the guest, and the other one, go on"
bad
wait_for 30 info_is "$disk" state failed
expect "the other" "$(info "$below" state)" ready
nap 300
guest_off "$guest" "$disk"
wait_for 30 info_is "$below" dirty_bytes 0
compare_legs "$src" "$two"
good
blockcopy resume "$disk"
blockcopy wait "$disk" --timeout $((30 * case_slow))
wait_for 30 info_is "$disk" dirty_bytes 0
compare_legs "$src" "$one"

check "the lower one fails: the upper one goes on"
msg "$below" fail
bio write "/dev/mapper/$disk" 1m 4k 5
wait_for 30 info_is "$disk" dirty_bytes 0
bio verify "$one" 1m 4k 5
expect "states" "$(info "$disk" state) $(info "$below" state)" "ready failed"
blockcopy resume "$below"
blockcopy wait "$below" --timeout $((30 * case_slow))

check "finish of both: two copies, each of its instant, and the device where it was"
before=$(sum "/dev/mapper/$disk")
blockcopy finish "$disk" --max-blackout 5000 > /dev/null
bio write "/dev/mapper/$disk" 0 4k 6
after=$(sum "/dev/mapper/$disk")
blockcopy finish "$below" --max-blackout 5000 > /dev/null
bio write "/dev/mapper/$disk" 0 4k 7
expect "the first copy" "$(sum "$one")" "$before"
expect "the second copy" "$(sum "$two")" "$after"
plain "$disk" "/dev/mapper/$below"
plain "$below" "$src"

check "what it costs: the source is read twice, each destination written once"
reads=$(sectors_of "$src" read) writes=$(sectors_of "$two" written)
blockcopy start "$disk" "/dev/mapper/$to" --blockdev --force --detect-zeroes off --wait > /dev/null
once=$(($(sectors_of "$src" read) - reads))
blockcopy start "$below" "$two" --blockdev --force --detect-zeroes off --wait > /dev/null
twice=$(($(sectors_of "$src" read) - reads))
echo "  $((once / 2)) KiB read for one, $((twice / 2)) KiB for two, of $((65536 / 2))"
((once >= 65536 && once < 65536 + 8192)) || fail "read for one: $once sectors"
((twice >= 2 * 65536 && twice < 2 * 65536 + 16384)) || fail "read for two: $twice sectors"
expect "written to the second" $(($(sectors_of "$two" written) - writes)) 65536

check "pivot of the upper one, and of the lower one, which nobody writes to any more"
guest_on guest "$disk" -p 1000
blockcopy pivot "$disk" --max-blackout 5000 > /dev/null
plain "$disk" "/dev/mapper/$to"
blockcopy pivot "$below" --max-blackout 5000 > /dev/null
plain "$below" "$two"
guest_off "$guest" "$disk"
blockcopy detach "$below"
blockcopy detach "$disk"

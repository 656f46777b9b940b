#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: pivot --keep-source: there and back without loss, and back when the new disk is pulled
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 3600
#
# BLOCKCOPY_ROLLBACKS		how many times there and back under fio, which verifies
# BLOCKCOPY_PULLS		how many times the new disk is pulled
# BLOCKCOPY_SOAK_MIB		a third of the device
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

rollbacks=${BLOCKCOPY_ROLLBACKS:-2} pulls=${BLOCKCOPY_PULLS:-2}
mib=${BLOCKCOPY_SOAK_MIB:-2} iops=400 rate=2000000
null_disk old $((3 * mib)) discard=1
null_disk disk $((3 * mib)) discard=1
len=$(sectors "$old")
# What can be pulled.
linear_on pulled "$disk"
new=/dev/mapper/$pulled
linear_on vm "$old"
dev=/dev/mapper/$vm
who=$(identity "$vm")

start() {
	blockcopy start "$vm" "${1:-$new}" --force --wait > /dev/null
}

keep() {
	blockcopy pivot "$vm" --keep-source --max-blackout 10000 > "$case_dir/out" || fail "not pivoted"
}

# there FROM TO: the device is at TO, and all of it goes to FROM as well; what was discarded is copied a moment later
there() {
	wait_for 20 is_there "ready true true 0 $2 $1"
	expect "identity" "$(identity "$vm")" "$who"
}

is_there() {
	told=$(blockcopy info --json "$vm" |
		jq -r '"\(.state) \(.way_back) \(.mirroring) \(.source_only_bytes) \(.source) \(.destination)"')
	[ "$told" = "$1" ]
}

check "refused: not ready, not the way back, words that exclude each other, metadata"
null_disk meta 1
blockcopy start "$vm" "$new" --force --bandwidth 1M > /dev/null
refuses 4 "ready" blockcopy pivot "$vm" --keep-source
refuses 4 "--keep-source has left" blockcopy pivot "$vm" --source-failed
refuses 2 "excludes" blockcopy pivot "$vm" --source-failed --keep-source
blockcopy abort "$vm" > /dev/null
refuses 2 "--pivot" blockcopy start "$vm" "$new" --force --keep-source
blockcopy start "$vm" "$new" --force --wait --metadata "$meta" > /dev/null
refuses 6 "metadata" blockcopy pivot "$vm" --keep-source
blockcopy abort "$vm" > /dev/null

check "there, again, and back"
soak_writer "$dev" --rate $rate --zeroes 50 --discards 50
start
keep
there "$old" "$new"
[[ $(blockcopy list) == *"(way back)"* && $(blockcopy info "$vm") == *"Way back:"* ]] || fail "$(blockcopy info "$vm")"
keep
there "$old" "$new"
said "Nothing to recover" blockcopy recover
blockcopy pivot "$vm" --max-blackout 10000 > /dev/null
plain "$vm" "$old"

check "there, and to stay there; back again as another job"
blockcopy start "$vm" "$new" --force --pivot --keep-source --max-blackout 10000 > /dev/null
there "$old" "$new"
blockcopy abort "$vm" > /dev/null
plain "$vm" "$new"
start "$old"
keep
there "$new" "$old"
blockcopy abort "$vm" > /dev/null
plain "$vm" "$old"
soak_writer_off "$old" "$dev"

check "a device of two lines: the helper is the way back"
two="0 $((len / 2)) linear $(devno "$old") 0
$((len / 2)) $((len / 2)) linear $(devno "$old") $((len / 2))"
swap_table "$vm" "$two"
soak_writer "$dev" --rate $rate --zeroes 50
for end in pivot abort; do
	start
	keep
	there "/dev/mapper/$vm-blockcopy" "$new"
	said "Nothing to recover" blockcopy recover
	blockcopy $end "$vm" > /dev/null
	no_helper "$vm"
	[ $end = abort ] || expect "table" "$(dmsetup table "$vm")" "$two"
done
plain "$vm" "$new"
soak_writer_off "$new" "$dev"
stop_job "$vm" "$old"

# The other kernels have it; a loop device is let go by whoever closes it last.
if modprobe -q loop && [ -e /dev/loop-control ]; then
	check "a file: it is there for as long as it is needed"
	soak_writer "$dev" --rate $rate
	file=$case_dir/copy.img
	for end in pivot abort; do
		rm -f "$file"
		blockcopy start "$vm" "$file" --wait > /dev/null
		keep
		expect "destination" "$(info "$vm" destination)" "$old"
		blockcopy $end "$vm" > /dev/null
		losetup -j "$file" > "$case_dir/loops"
		[ $end = abort ] || [ ! -s "$case_dir/loops" ] || fail "left: $(cat "$case_dir/loops")"
	done
	[ -s "$case_dir/loops" ] || fail "the device's own disk is gone"
	soak_writer_off "$dev"
	stop_job "$vm" "$old"
fi

check "$rollbacks times there and back under fio"
soak_writer "$dev" --start $((2 * mib * 2048)) --rate $rate --zeroes 20 --discards 50 --records 16000000
fio_on
for ((i = 1; i <= rollbacks; i++)); do
	start
	keep
	there "$old" "$new"
	fio_alive
	soak_alive
	blockcopy pivot "$vm" --max-blackout 10000 > /dev/null
	plain "$vm" "$old"
	[ $((i % 10)) != 0 ] || { bc-journal noise "$new" && echo "  $i"; }
done
fio_off
soak_writer_off "$old" "$dev"

check "what only the new disk has is not given up, but when it is said"
start
keep
bio write "$dev" 0 64k 1
blockcopy pause "$vm"
bio write "$dev" 1m 64k 2
swap_table "$pulled" "0 $len error"
refuses 6 "65536 bytes" blockcopy pivot "$vm" --source-failed
blockcopy pivot "$vm" --source-failed --force > /dev/null
plain "$vm" "$old"
bio verify "$dev" 0 64k 1
refused bio verify "$dev" 1m 64k 2

check "the new disk is pulled right after the pivot, $pulls times"
for ((i = 0; i < pulls; i++)); do
	swap_table "$pulled" "0 $len linear $disk 0"
	soak_writer "$dev" --rate $rate --zeroes 20
	# The one or the other, with a helper.
	if [ $((i % 2)) = 0 ]; then stop_job "$vm" "$old"; else swap_table "$vm" "$two"; fi
	start
	keep
	swap_table "$pulled" "0 $len error"
	# The guest meets it, and the copier.
	[ $((i % 3)) = 0 ] || wait_for 20 status_is "$vm" ready 0
	blockcopy pivot "$vm" --source-failed --max-blackout 10000 > "$case_dir/out"
	if [ $((i % 2)) = 0 ]; then plain "$vm" "$old"; else expect "table" "$(dmsetup table "$vm")" "$two"; fi
	no_helper "$vm"
	soak_writer_over "$dev"
done
no_cookies

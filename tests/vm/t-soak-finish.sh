#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: finishes in a row under load: each copy is the disk as it was at one instant of the hold
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: core
# timeout: 900
# mem: 1G
#
# BLOCKCOPY_SOAK_FINISHES	how many
# BLOCKCOPY_SOAK_MIB		size of the disk
# BLOCKCOPY_SOAK_RATE		bytes a second that the writer writes
# BLOCKCOPY_SOAK_LEGS		SOURCE:DESTINATION, kinds of soak_leg, more than one shares the finishes
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

case $BLOCKCOPY_KERNEL in
uml) n=24 mib=64 rate=100000000 ;;
uml-debug) n=12 mib=32 rate=8000000 ;;
*) n=8 mib=32 rate=8000000 ;;
esac
n=${BLOCKCOPY_SOAK_FINISHES:-$n} mib=${BLOCKCOPY_SOAK_MIB:-$mib} rate=${BLOCKCOPY_SOAK_RATE:-$rate}
read -ra kinds <<< "${BLOCKCOPY_SOAK_LEGS:-plain:plain timer:plain delay:timer plain:delay}"
regions=(8 128 16 2048 32)

# In the way, in each way there is.
disturb() {
	case $1 in
	1)
		msg "$vm" pause
		msg "$vm" set buf_size 1048576
		msg "$vm" resume
		sleep 0.1
		msg "$vm" set buf_size 16777216
		;;
	2)
		dmsetup suspend "$vm"
		dmsetup resume "$vm"
		;;
	3)
		msg "$vm" set bandwidth 4000000
		sleep 0.1
		msg "$vm" set bandwidth 0
		;;
	4)
		dmsetup suspend --noflush "$vm"
		dmsetup resume "$vm"
		;;
	esac
}

finish_once() {
	local i=$1 tiny=
	REGION=${regions[i % ${#regions[@]}]}
	bc-journal noise "$dst"
	start_job "$vm" "$src" "$dst"
	disturb $((i / 2 % 5))
	soak_ready "$vm" "$rate"
	# Attempts that may well be given up, one right after the other.
	[ $((i % 2)) = 0 ] || tiny=$((i % 5 + 1))
	soak_complete "$vm" finish "$rate" "$tiny"
	hold_times
	# The guest goes on for a while before its table is a plain one again.
	[ $((i % 3)) != 0 ] || sleep 0.1
	stop_job "$vm" "$src"
	bc-journal snapshot --hold "$hold_begin" "$hold_end" "$journal" "$dst" > "$case_dir/snapshot" ||
		fail "finish $i (regions of $REGION) is no snapshot: $(cat "$case_dir/snapshot")"
	soak_alive
}

# The last write before the instant taken away, the first after it put in: each must be found.
forgeries() {
	local how sector
	dd if="$dst" of="$case_dir/good" bs=1M iflag=direct status=none
	for how in older later foreign misplaced torn; do
		sector=$(bc-journal forge "$how" "$journal" "$dst")
		if bc-journal snapshot "$journal" "$dst" > "$case_dir/forged"; then
			fail "a forgery ($how, sector $sector) was not found: $(cat "$case_dir/forged")"
		fi
		dd if="$case_dir/good" of="$dst" bs=512 skip="$sector" seek="$sector" count=1 oflag=direct conv=notrunc \
			status=none
		bc-journal snapshot "$journal" "$dst" > /dev/null || fail "the snapshot was not repaired"
	done
	rm "$case_dir/good"
}

done_before=0
for ((k = 0; k < ${#kinds[@]}; k++)); do
	soak_leg src "${kinds[k]%:*}" "$mib"
	soak_leg dst "${kinds[k]#*:}" "$mib"
	linear_on vm "$src"
	soak_writer "/dev/mapper/$vm" --rate "$rate" --zeroes 20 --discards 50 --records 16000000
	hold_trace_on
	: > "$case_dir/blackouts"
	until_here=$((n * (k + 1) / ${#kinds[@]}))
	for ((i = done_before; i < until_here; i++)); do
		finish_once "$i"
	done
	check "${kinds[k]}: $((until_here - done_before)) finishes, $not_completed not completed at first; $(blackouts)"
	if [ $k = 0 ]; then
		check "forgeries of the last snapshot are found"
		forgeries
	fi
	soak_writer_off "$src" "/dev/mapper/$vm"
	dmsetup remove "$vm"
	done_before=$until_here not_completed=0
done
check "$n finishes in all, each of one instant"

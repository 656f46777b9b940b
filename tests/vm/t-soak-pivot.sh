#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: pivots in a row under writers that verify, to and fro between two disks, the old one overwritten each time
# kernels: 6.1 6.12 uml uml-debug
# check: uml-debug
# tier: core
# timeout: 900
# mem: 1G
#
# Three writers share the device: two of fio at queue depth 32, which verify as they go and once more when they have
# written everything, then begin anew with other data; and bc-journal, which knows what each sector must hold at any time.
# (fio sees a block of an earlier round by its number only when all blocks have the same size.)
#
# BLOCKCOPY_SOAK_PIVOTS		how many
# BLOCKCOPY_SOAK_MIB		size of each of the three parts
# BLOCKCOPY_SOAK_RATE		bytes a second that bc-journal writes
# BLOCKCOPY_SOAK_IOPS		requests a second of each fio
# BLOCKCOPY_SOAK_LEGS		A:B, kinds of soak_leg, more than one shares the pivots
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

case $BLOCKCOPY_KERNEL in
uml) n=40 mib=32 rate=20000000 iops=2000 ;;
uml-debug) n=12 mib=16 rate=4000000 iops=200 ;;
*) n=8 mib=16 rate=4000000 iops=200 ;;
esac
n=${BLOCKCOPY_SOAK_PIVOTS:-$n} mib=${BLOCKCOPY_SOAK_MIB:-$mib}
rate=${BLOCKCOPY_SOAK_RATE:-$rate} iops=${BLOCKCOPY_SOAK_IOPS:-$iops}
read -ra kinds <<< "${BLOCKCOPY_SOAK_LEGS:-plain:plain timer:plain delay:timer}"
regions=(128 8 2048 32)
command -v fio > /dev/null || skip "fio is not installed"

pivot_once() {
	local i=$1 from=$2 to=$3 tiny=
	REGION=${regions[i % ${#regions[@]}]}
	start_job "$vm" "$from" "$to"
	soak_ready "$vm" "$rate"
	[ $((i % 4)) != 3 ] || tiny=$((i % 5 + 1))
	soak_complete "$vm" complete "$rate" "$tiny"
	# What the controller does, or its next run, or the one after a suspend: the truth does not move any more.
	[ $((i % 5)) != 1 ] || sleep 0.1
	if [ $((i % 5)) = 2 ]; then
		dmsetup suspend "$vm"
		dmsetup resume "$vm"
	fi
	stop_job "$vm" "$to"
	bc-journal noise "$from"
	fio_alive
	soak_alive
}

done_before=0
for ((k = 0; k < ${#kinds[@]}; k++)); do
	soak_leg leg0 "${kinds[k]%:*}" $((3 * mib))
	soak_leg leg1 "${kinds[k]#*:}" $((3 * mib))
	linear_on vm "$leg0"
	legs=("$leg0" "$leg1")
	soak_writer "/dev/mapper/$vm" --start $((2 * mib * 2048)) --rate "$rate" --zeroes 20 --discards 50 --records 16000000
	fio_on
	: > "$case_dir/blackouts"
	until_here=$((n * (k + 1) / ${#kinds[@]}))
	for ((i = 0; i < until_here - done_before; i++)); do
		pivot_once $((i + done_before)) "${legs[i % 2]}" "${legs[(i + 1) % 2]}"
	done
	check "${kinds[k]}: $i pivots, $not_completed not completed at first; $(blackouts)"
	fio_off
	soak_writer_off "${legs[i % 2]}" "/dev/mapper/$vm"
	dmsetup remove "$vm"
	done_before=$until_here not_completed=0
done
check "$n pivots in all, no verification error, no I/O error"

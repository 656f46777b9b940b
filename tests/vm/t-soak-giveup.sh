#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: holds that are given up, one right after the other, with many large writes in flight; then a pivot; nothing is lost
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 600
# mem: 1500M
#
# The writes that one hold parked are still on their way to the source when the next hold begins.
#
# BLOCKCOPY_SOAK_ROUNDS		jobs for each kind of leg, with up to 100 attempts each
# BLOCKCOPY_SOAK_LEGS		A:B, kinds of soak_leg
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

case $BLOCKCOPY_KERNEL in
uml) n=12 mib=64 ;;
*) n=5 mib=32 ;;
esac
n=${BLOCKCOPY_SOAK_ROUNDS:-$n}
read -ra kinds <<< "${BLOCKCOPY_SOAK_LEGS:-plain:plain timer:plain}"

for kind in "${kinds[@]}"; do
	soak_leg leg0 "${kind%:*}" $mib
	soak_leg leg1 "${kind#*:}" $mib
	legs=("$leg0" "$leg1")
	linear_on vm "$leg0"
	soak_writer "/dev/mapper/$vm" --threads 4 --depth 8 --max 1048576 --hot 0 --reads 5 --zeroes 30 --records 8000000
	: > "$case_dir/blackouts"
	given_up=0
	for ((i = 0; i < n; i++)); do
		how=complete
		[ $((i % 3)) != 2 ] || how=finish
		start_job "$vm" "$leg0" "$leg1"
		bc-journal rate 4000000 "$journal"
		soak_ready "$vm" 4000000
		# As fast as it goes: too much is dirty now for budgets like these.
		bc-journal rate 0 "$journal"
		# As one of those that run first: on emulated processors the writer takes all of the time.
		read -r state nr < <(chrt -f 50 bc-attempts "$vm" $how $((1 + i % 4)) 100 $((2 * case_slow)))
		given_up=$((given_up + nr))
		if [ "$state" = ready ]; then
			bc-journal rate 4000000 "$journal"
			soak_complete "$vm" $how 4000000 2000
		fi
		if [ $how = complete ]; then
			stop_job "$vm" "$leg1"
			bc-journal noise "$leg0"
			leg0=${legs[1]} leg1=${legs[0]}
			legs=("$leg0" "$leg1")
		else
			stop_job "$vm" "$leg0"
			bc-journal snapshot "$journal" "$leg1" > "$case_dir/snapshot" ||
				fail "finish after $nr attempts is no snapshot: $(cat "$case_dir/snapshot")"
		fi
		soak_alive
	done
	check "$kind: $given_up given up, $n came about"
	soak_writer_off "$leg0" "/dev/mapper/$vm"
	dmsetup remove "$vm"
done

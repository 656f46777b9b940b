#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: seeded random scenarios: modes, limits, errors, hangs, unplugs, suspends, reloads, pivots, finishes, aborts; nothing is lost
# kernels: 6.1 6.12 uml uml-debug
# check: uml-debug
# tier: full
# timeout: 900
# mem: 1500M
#
# BLOCKCOPY_SCENARIOS		how many
# BLOCKCOPY_SCENARIO_SEED	of the first, 1; the next ones count up. A seed alone does the same steps again.
# BLOCKCOPY_SCENARIO_VERBOSE	if set, the steps of each scenario are printed, with the time
# BLOCKCOPY_SCENARIO_TRACE	if set, our trace events of a scenario that fails are printed
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=scenario.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/scenario.sh"

case $BLOCKCOPY_KERNEL in
uml) count=10 ;;
uml-debug) count=5 ;;
*) count=4 ;;
esac
count=${BLOCKCOPY_SCENARIOS:-$count}
first=${BLOCKCOPY_SCENARIO_SEED:-1}
needs_target delay flakey

# What a reader of a failed case wants to know, and how to see it again.
case_state() {
	local step
	echo "seed $seed: BLOCKCOPY_SCENARIOS=1 BLOCKCOPY_SCENARIO_SEED=$seed"
	echo "regions of $REGION, ${job_args[*]}, job $job_first, hammer ${hammer_args[*]}"
	for step in "${steps[@]}" "$ending"; do
		echo "	$step"
	done
	echo "what was done:"
	printf '	%s\n' "${steps_log[@]}"
	echo "legs: ${leg_names[*]}; source $src, destination $dst; ${leg_kinds[*]}; hung ${leg_hung[*]}"
	dmsetup info -c --noheadings -o name,attr,open,events
	dmsetup table
	dmsetup status --noflush --target blockcopy
	cat "$case_dir/guest"
	dmesg | tail -n 40
	[ -z "${BLOCKCOPY_SCENARIO_TRACE:-}" ] || { echo 0 > $tracing/tracing_on && tail -n 4000 $tracing/trace; }
} 2>&1

#
# The plan: everything that is drawn, before anything happens
#

draw() { # VAR NUMBER: 0 up to NUMBER
	printf -v "$1" %d $(((RANDOM << 15 | RANDOM) % $2))
}

pick() { # VAR WORD...
	local _n
	draw _n $(($# - 1))
	printf -v "$1" %s "${@:_n + 2:1}"
}

modes=(background write-blocking write-blocking auto)
policies=(report ignore enospc stop)
timeouts=(50 100 200 500 1000 2000)
rates=(0 0 2000000 16000000 64000000)
naps=(5 20 50 100)
budgets=(1 5 20 100 500 2000)
kinds=(set set set set pause errors errors unplug heal hang hang hang delay source suspend suspend reload reload load_clear
	ready ready end end end end fail abort abort request request request request)

draw_step() {
	local kind a b c d
	# What was done before is undone sooner or later.
	pick kind "${kinds[@]}" ${undo:+$undo $undo $undo $undo $undo $undo}
	step=$kind
	case $kind in
	unhang | resume | heal) undo= ;;
	hang) undo=unhang ;;
	pause | fail) undo=resume ;;
	unplug) undo=heal ;;
	set)
		pick a copy_mode copy_mode copy_mode bandwidth buf_size write_timeout on_source_error on_target_error on_target_error
		case $a in
		copy_mode) pick b "${modes[@]}" ;;
		bandwidth) pick b "${rates[@]}" ;;
		buf_size) pick b 1048576 2097152 16777216 ;;
		write_timeout) pick b "${timeouts[@]}" ;;
		*) pick b "${policies[@]}" ;;
		esac
		step="set $a $b"
		;;
	errors)
		undo=heal
		pick step "errors hot" "errors writes" "edge_errors"
		;;
	delay)
		pick a 5 20 100 400
		step="delay $a"
		;;
	source)
		pick a plain plain delay-2 delay-10 edge
		step="source $a"
		;;
	suspend)
		pick a "${naps[@]}"
		pick b "" " --noflush" " --nolockfs"
		step="suspend $a$b"
		;;
	reload)
		pick a "${naps[@]}"
		pick b calm raw
		step="reload $a $b"
		;;
	load_clear)
		pick a "${naps[@]}"
		step="load_clear $a"
		;;
	end)
		pick a complete complete finish
		pick b "${budgets[@]}"
		pick c wait go
		step="end $a $b $c"
		# It is refused before the job is ready, which needs no more than a few tests.
		pick a yes yes no
		[ "$a" = no ] || steps+=(ready)
		;;
	abort)
		pick a calm raw
		pick b same other
		pick c "${naps[@]}"
		step="abort $a $b $c"
		;;
	request)
		pick a write write zero discard
		draw b 16
		pick c 4 64 256
		draw d 1000
		step="request $a $b $c $d"
		;;
	esac
}

draw_scenario() {
	local i n step nap a undo=
	RANDOM=$seed
	draw i 7
	pick REGION 8 16 32 64 128 256 512 1024
	job_args=()
	pick a "${modes[@]}"
	job_args+=(copy_mode "$a")
	pick wait_ms "${timeouts[@]}"
	job_args+=(write_timeout "$wait_ms")
	pick a "${rates[@]}"
	[ "$a" = 0 ] || job_args+=(bandwidth "$a")
	pick a off on unmap
	job_args+=(detect_zeroes "$a")
	pick a "${policies[@]}"
	job_args+=(on_target_error "$a")
	pick a "${policies[@]}"
	job_args+=(on_source_error "$a")
	pick a 1 2 4
	pick i 1 4 16
	pick n 0 200 1000 1000 5000
	hammer_args=(-t "$a" -b "$i" -p "$n")
	pick job_first before after after "sync none"
	steps=()
	draw n 11
	for ((i = 0; i < n + 5; i++)); do
		draw_step
		steps+=("$step")
		pick nap 0 0 "${naps[@]}"
		[ "$nap" = 0 ] || steps+=("nap $nap")
	done
	pick a first last
	pick i "${budgets[@]}"
	pick n calm raw
	pick ending "ready $a" "ready $a" "complete $i" "complete $i" "finish $i" "abort $n"
}

#
# One scenario
#

# As they were before the first scenario; what is there depends on the seed alone.
fill_legs() {
	local i
	leg_claimed=(0 0 0)
	for i in 0 1 2; do
		bio fill "${leg_disks[i]}" 0 ${scenario_mib}m $((1000000 + (job_first_equal ? seed : seed + i)))
		if [ $i = 0 ] || [ $job_first_equal = 1 ]; then bio zero "${leg_disks[i]}" 10m 5m; fi
	done
	src=0 dst=1
}

run_scenario() {
	local step begin job_first_equal=0
	now scenario_begin
	stall_ms=0 delay_ms=0 budget_ms=0 hammer_pid='' slots=() steps_log=()
	[ "$job_first" != "sync none" ] || job_first_equal=1
	fill_legs
	dm_new disk "0 $scenario_len linear ${leg_paths[src]} 0"
	: > "$case_dir/guest"
	told "begin"
	case $job_first in
	before) job_start ;;
	"sync none") job_start sync none ;;
	esac
	hammer_on "${hammer_args[@]}"
	[ "$job_first" != after ] || job_start

	for step in "${steps[@]}"; do
		told "$step"
		# shellcheck disable=SC2086
		step_$step
		! gone "$hammer_pid" || fail "the guest ended"
	done

	told "$ending"
	case $ending in
	abort*) ;;
	*)
		repair_all
		look
		[ "${st[state]}" != none ] || job_start
		;;
	esac
	# shellcheck disable=SC2086
	end_$ending
	told "the end"
	end_all
	told "done"
	[ -z "${BLOCKCOPY_SCENARIO_VERBOSE:-}" ] || printf '	%s\n' "${steps_log[@]}"
}

for leg in 0 1 2; do
	null_disk leg_disk $scenario_mib discard=1
	leg_disks+=("$leg_disk")
	leg_kinds+=(plain)
	leg_hung+=(0)
	leg_table $leg
	dm_new leg_name "$table"
	leg_names+=("$leg_name")
	leg_paths+=("/dev/mapper/$leg_name")
done
[ -z "${BLOCKCOPY_SCENARIO_TRACE:-}" ] || trace_on blockcopy
servers_on
settled_busy=0
case_begin=$SECONDS
for ((seed = first; seed < first + count; seed++)); do
	draw_scenario
	[ -z "${BLOCKCOPY_SCENARIO_TRACE:-}" ] || echo > $tracing/trace
	run_scenario
	now scenario_end
	check "seed $seed: ${#steps[@]} steps, $ending, $((scenario_end - scenario_begin)) ms; $guest_said"
done
check "$count scenarios from seed $first in $((SECONDS - case_begin)) s, $settled_busy settled under a guest; no error, nothing lost"

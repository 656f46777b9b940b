#!/bin/bash
# description: pivot and finish of a group by the tool: all at one instant or none, refused, killed, done again
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
#
# BLOCKCOPY_KILL_STEP	1: killed at each call that changes something, or follows a change. Else at one in so many.
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=group.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/group.sh"

step=${BLOCKCOPY_KILL_STEP:-20}
three_devices
a=${names[0]} b=${names[1]} c=${names[2]}

jobs_on() {
	local i
	for i in 0 1 2; do
		blockcopy start "${names[i]}" "${dsts[i]}" --force > /dev/null
	done
	for i in 0 1 2; do
		blockcopy wait "${names[i]}" > /dev/null
	done
}

states() {
	blockcopy list --json | jq -r '[.[].state] | join(" ")'
}

plain_on() {
	local i=0 leg
	for leg in "$@"; do
		plain "${names[i]}" "$leg"
		i=$((i + 1))
	done
}

counter_on

check "refused: nothing is sent to any of them"
jobs_on
refuses 2 "found 2 NAMEs, needed one, or --group" blockcopy pivot "$a" "$b"
refuses 2 "found 3 NAMEs, needed one, or --group" blockcopy finish "$a" "$b" "$c"
refuses 2 "found it twice in the group" blockcopy pivot --group "$a" "$b" "/dev/mapper/$a"
refuses 3 "no such dm device" blockcopy pivot --group "$a" "$b" "$case_id-none"
blockcopy pause "$b"
refuses 4 "$b: found the job ready and paused, needed it ready to finish" blockcopy finish --group "$a" "$b" "$c"
blockcopy resume "$b"
blockcopy abort "$c" > /dev/null
refuses 3 "$c: no copy job" blockcopy pivot --group "$a" "$b" "$c"
expect "states" "$(states)" "ready ready"
blockcopy start "$c" "${dsts[2]}" --force --wait > /dev/null

check "finish: a line a device; copies of one instant"
blockcopy finish --group "$a" "$c" "$b" --max-blackout 20000 > "$case_dir/out"
expect "output" "$(sed 's/for [0-9.]* ms$/for MS/' "$case_dir/out")" \
	"$(printf '%s: Successfully copied. Writes were held for MS\n' "$a" "$c" "$b")"
plain_on "${srcs[@]}"
one_instant "${dsts[@]}"
at_work

check "pivot: an object a device, the guest goes on at the destinations"
jobs_on
blockcopy pivot --group --verify "$a" "$b" "$c" --json --max-blackout 20000 > "$case_dir/out"
expect "output" "$(jq -r '[.name, .result, .blackout_us > 0] | join(" ")' "$case_dir/out")" \
	"$(printf '%s pivoted true\n' "$a" "$b" "$c")"
plain_on "${dsts[@]}"
one_instant "${srcs[@]}"
at_work
change_places

check "one that cannot: it is named, and all are ready"
linear_on third "${dsts[2]}"
lies=${dsts[2]} dsts[2]=/dev/mapper/$third
jobs_on
dmsetup suspend --noflush "$third"
status=0
blockcopy pivot --group "$a" "$b" "$c" --max-blackout 300 > "$case_dir/out" 2>&1 || status=$?
expect "exit status" $status 4
[[ $(< "$case_dir/out") == "blockcopy: "*": no pivot: blackout-budget-spent: "*"(job is ready, "* ]] || fail "$(< "$case_dir/out")"
expect "states" "$(states)" "ready ready ready"
dmsetup resume "$third"
at_work

check "two that want the same, in another order: one of them gets it, neither hangs"
blockcopy finish --group "$a" "$b" "$c" --max-blackout 20000 > "$case_dir/out" 2>&1 &
first=$!
status=0
blockcopy finish --group "$c" "$b" "$a" --max-blackout 20000 > "$case_dir/out2" 2>&1 || status=$((status + 1))
wait $first || status=$((status + 1))
expect "failures" $status 1
plain_on "${srcs[@]}"
dsts[2]=$lies
dmsetup remove "$third"
at_work

check "tracking goes on from the same instant"
metas=()
for i in 0 1 2; do
	null_disk meta 1
	metas+=("$meta")
	blockcopy start "${names[i]}" "${dsts[i]}" --force --metadata "$meta" > /dev/null
done
for i in 0 1 2; do
	blockcopy wait "${names[i]}" > /dev/null
done
blockcopy finish --group "$a" "$b" "$c" --keep-tracking --max-blackout 20000 > /dev/null
expect "states" "$(states)" "finished finished finished"
one_instant "${dsts[@]}"
at_work
for i in 0 1 2; do
	blockcopy start "${names[i]}" "${dsts[i]}" --metadata "${metas[i]}" --sync bitmap --wait > /dev/null
done
blockcopy finish --group "$a" "$b" "$c" --max-blackout 20000 > /dev/null
one_instant "${dsts[@]}"

# over: what is left of it, all or none; then by the same command, or by recover.
over() {
	local name now=()
	at_work
	for name in "${names[@]}"; do
		wait_for 10 not_completing_if_job "$name"
		if is_job "$name"; then
			now+=("$(job_state "$name")")
		else
			now+=(plain)
		fi
	done
	case ${now[*]} in
	"ready ready ready") left=ready ;;
	*ready* | *copying* | *failed*) fail "some did: ${now[*]}" ;;
	*) left=some ;;
	esac
	# Of those that have done it, and were not all taken down.
	if [ "$left" = some ] && [[ ${now[*]} == *"$1"* ]]; then
		if [ "$odd" = 1 ]; then
			"${words[@]}" > "$case_dir/out"
			[[ $(< "$case_dir/out") == *"$a: Successfully"* ]] || fail "$(< "$case_dir/out")"
		else
			blockcopy recover > /dev/null
		fi
	elif [ "$left" = ready ]; then
		blockcopy recover > /dev/null
		"${words[@]}" > /dev/null
	fi
	said "Nothing to recover" blockcopy recover
	no_cookies
}

# killed COMMAND STATE
killed() {
	local i call n mark marks=() kills=0 offset
	words=(blockcopy "$1" --group "$a" "$b" "$c" --max-blackout 20000)
	jobs_on
	calls_of "${words[@]}"
	while read -r call n mark; do
		[ -z "$mark" ] || marks+=("$call $n")
	done < "$case_dir/calls"
	[ "$step" -le ${#marks[@]} ] || step=${#marks[@]}
	offset=$((EPOCHSECONDS / 86400 % step))
	for ((i = -1; i < ${#marks[@]}; i++)); do
		if [ $i -ge 0 ]; then
			[ $((i % step)) = "$offset" ] || continue
			case_where="$1 killed at ${marks[i]}"
			odd=$((kills % 2)) kills=$((kills + 1))
			read -r call n <<< "${marks[i]}"
			jobs_on
			killed_at "$call" "$n" "${words[@]}" || true
			over "$2"
		fi
		if [ "$1" = pivot ]; then
			plain_on "${dsts[@]}"
			one_instant "${srcs[@]}"
			change_places
		else
			plain_on "${srcs[@]}"
			one_instant "${dsts[@]}"
		fi
		at_work
	done
	case_where=
	echo "  $1: killed at $kills of ${#marks[@]} calls"
	[ $kills -gt 0 ] || fail "never killed"
}

command -v strace > /dev/null || skip "no strace to kill the tool at a given call"
check "killed: all or none, and the same command or recover does the rest"
killed pivot pivoted
killed finish finished
counter_off "${srcs[@]}"

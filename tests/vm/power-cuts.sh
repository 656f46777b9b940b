#!/bin/bash
# The guest of tests/power-cuts: comes back after a cut as an operator would, shows that nothing is lost, and puts load on the next
# job until the power goes.
#
# $BLOCKCOPY_SHARED has
#	round		which one this is; its bits choose what is done
#	turn		which of the two disks has the data, 0 or 1
#	said		the last thing that a command told us: it may be relied upon
#	log		of tools/durable.c
# shellcheck disable=SC2154
set -euo pipefail
shared=$BLOCKCOPY_SHARED
read -ra disks <<< "$BLOCKCOPY_CUT_DISKS"
meta=${disks[2]}
PATH=$BLOCKCOPY_CHECKOUT/build/tools:$PATH
round=$(< "$shared/round")
RANDOM=$((BLOCKCOPY_CUT_SEED * 1000 + round))

fail() {
	echo "FAILED: round $round: $*"
	dmsetup status vm || true
	blockcopy metadata dump "$meta" || true
	exit 1
}

# put FILE TEXT: there when it returns, even if the power goes then
put() {
	echo "$2" > "$shared/$1.new"
	sync "$shared/$1.new"
	mv "$shared/$1.new" "$shared/$1"
	sync "$shared/$1"
}

tab=$shared/tab
# The line never changes, whichever way it is copied.
echo "vm ${disks[0]} ${disks[1]} $meta" > "$tab"

take_turn() {
	turn=$(< "$shared/turn")
	src=${disks[turn]} dst=${disks[1 - turn]}
}

field() {
	blockcopy metadata dump --json "$meta" | jq -r ".$1"
}

status() {
	dmsetup status vm | grep -o " $1 [^ ]*" | cut -d ' ' -f 3
}

verify() {
	local out
	out=$(durable verify "$shared/log" "$1") || fail "$1 after \"$said\": $out"
	echo "  $1: $out"
}

legs_equal() {
	blockdev --flushbufs "$src" "$dst"
	cmp "$src" "$dst" || fail "the legs differ"
	verify "$dst"
}

# A copy that was interrupted goes on; what it has to do is told by the metadata.
goes_on() {
	local intent
	intent=$(field intent_bytes)
	blockcopy boot resume --tab "$tab" "$@" | grep "goes on" || fail "no job"
	echo "  $intent bytes to copy"
}

# What there is at this boot.
comes_back() {
	local outcome
	outcome=$(field outcome) || fail "no metadata"
	echo "  found \"$outcome\", said \"$said\""
	blockcopy boot attach --tab "$tab"
	# It may have pivoted if that was asked for, and has if that was said.
	case $said:$outcome in
	pivot:pivoted | pivoted:*)
		put turn $((1 - turn))
		take_turn
		;;
	esac
	[[ $(dmsetup table vm) == *" linear $(lsblk -ndo MAJ:MIN "$src" | tr -d ' ') 0" ]] || fail "table: $(dmsetup table vm)"
	case $outcome:$said in
	# A command that was under way may have been recorded, or not.
	copying:copying | copying:ready | copying:pivot | copying:finish | finished:finish | finished:tracking | finished:finished | copying:abort | \
		copying:starting | finished:starting)
		# Cut again while it is at it, now and then.
		if [ "$outcome" = copying ] && [ $((RANDOM % 4)) = 0 ]; then
			goes_on --bandwidth 8M
			job=yes
			return
		fi
		goes_on
		timeout 100 blockcopy wait vm || [ "$outcome" = finished ] || fail "not ready"
		if [ "$outcome" = finished ]; then
			# It tracks, and is refreshed.
			blockcopy start vm "$dst" --metadata "$meta" --sync bitmap --wait > /dev/null
		fi
		[ "$(status metadata)" = ok ] || fail "metadata: $(status metadata)"
		settled || fail "not clean"
		legs_equal
		;;
	pivoted:pivot | pivoted:pivoted)
		blockcopy boot resume --tab "$tab" | grep -q "no job" || fail "a job after a pivot"
		verify "$src"
		;;
	detached:abort | detached:aborted | detached:finish | detached:finished) verify "$src" ;;
	detached:starting | new:starting | pivoted:starting) verify "$src" ;;
	*) fail "outcome \"$outcome\" after \"$said\"" ;;
	esac
}

settled() {
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(status dirty_bytes)" != 0 ] || return 0
		sleep 0.05
	done
	return 1
}

new_job() {
	local modes=(background write-blocking auto) sizes=(4096 16384 65536)
	if [[ $(dmsetup table vm) == *" blockcopy "* ]]; then
		blockcopy abort vm > /dev/null
	fi
	blockcopy start vm "$dst" --force --metadata "$meta" --granularity "${sizes[RANDOM % 3]}" \
		--copy-mode "${modes[RANDOM % 3]}" "$@"
}

# As on a machine's own disk, which this root is not.
mkdir -p "$shared/state" /var/lib/blockcopy
mount --bind "$shared/state" /var/lib/blockcopy
modprobe dm-blockcopy
take_turn
said=$(< "$shared/said")
if [ "$said" = first ]; then
	durable fill "$shared/log" "$src"
	blockcopy boot attach --tab "$tab"
	job=''
else
	job=''
	comes_back
	put said back
fi
if [ -n "${BLOCKCOPY_CUT_LAST:-}" ]; then
	[[ $(dmsetup table vm) != *" blockcopy "* ]] || blockcopy abort vm > /dev/null
	dmsetup remove vm
	exit 0
fi

situations=(copying ready ready pivot pivot finish abort)
situation=${situations[RANDOM % ${#situations[@]}]}
[ -z "$job" ] || situation=copying
if [ -z "$job" ]; then
	if [ $((RANDOM % 5)) = 0 ]; then
		put said starting
		put begun starting
		sleep "0.0$((RANDOM % 10))"
	fi
	case $situation in
	copying) new_job --bandwidth 16M > /dev/null ;;
	*) new_job --wait > /dev/null ;;
	esac
fi
put said copying
durable write "$shared/log" /dev/mapper/vm "$round" > /dev/null &
writer=$!
[ -e "$shared/begun" ] || put begun "$situation"
sleep "0.$((RANDOM % 10))"
case $situation in
pivot)
	put said pivot
	blockcopy pivot vm --max-blackout 5000 > /dev/null && put said pivoted
	;;
finish)
	put said finish
	if [ $((RANDOM % 2)) = 0 ]; then
		blockcopy finish vm --max-blackout 5000 > /dev/null && put said finished
	else
		blockcopy finish vm --max-blackout 5000 --keep-tracking > /dev/null && put said tracking
	fi
	;;
abort)
	put said abort
	blockcopy abort vm > /dev/null && put said aborted
	;;
esac
wait $writer
fail "the writer ended"

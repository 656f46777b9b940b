#!/bin/bash
# description: at every flush and FUA write that destination and metadata saw (dm-log-writes), what was there then leads to equal legs
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 900
#
# Destination and metadata are parts of one disk whose writes are recorded: at a recorded flush or FUA write all that was flushed is
# there and nothing else. The guest writes one thing at a time, with a mark in the record before and after; so the source is known for
# each point of the record. It has a cache, too, but does not lose it: what it is asked to flush must not hide what the destination was
# not asked to.
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

needs_target log-writes
mib=8 len=$((8 * 2048))
REGION=8
null_disk all $((mib + 1))
null_disk replayed $((mib + 1))
for disk in src_disk src_copy dst_copy meta_copy; do
	null_disk $disk $mib
done
linear_on vm "$src_disk"
dev=/dev/mapper/$vm

field() { # KEY
	blockcopy metadata dump --json "$meta_copy" | jq -r ".$1"
}

mark() {
	dmsetup message "$rec" 0 mark "$*"
}

# guest OFFSET LENGTH SEED: one write, and what it wrote in the record
guest() {
	mark "begin"
	bio write "$dev" "$1" "$2" "$3"
	mark "end:$1:$2:$3"
}

# recorded ARG...: a recorded job of the device
recorded() {
	null_disk record 192
	dm_new rec "0 $(sectors "$all") log-writes $all $record"
	linear_on dst "/dev/mapper/$rec" $len 0
	linear_on meta "/dev/mapper/$rec" 2048 $len
	bio fill "$src_disk" 0 ${mib}m 1
	blockcopy metadata format "/dev/mapper/$meta" "$vm" "/dev/mapper/$dst" --force --granularity $((REGION * 512))
	copy_disk "$src_disk" "$src_copy"
	copy_disk "$all" "$replayed"
	mark base
	start_job "$vm" "$src_disk" "/dev/mapper/$dst" metadata "/dev/mapper/$meta" "$@"
	expect_status "$vm" metadata ok
}

copy_disk() { # FROM TO [SKIP-MIB]
	dd if="$1" of="$2" bs=1M skip="${3:-0}" count=$mib iflag=direct oflag=direct status=none
}

# comes_back: what one does after a crash, with what is there at this point
comes_back() {
	local intent
	copy_disk "$replayed" "$dst_copy"
	copy_disk "$replayed" "$meta_copy" $mib
	outcome=$(field outcome)
	if [ "$outcome" = pivoted ]; then
		compare_legs "$src_copy" "$dst_copy"
		return
	fi
	intent=$(field intent_bytes)
	dm_new back "$(job_table "$src_copy" "$dst_copy" $len sync bitmap metadata "$meta_copy")"
	wait_ready "$back"
	expect "bytes copied" "$(status_value "$back" copied_bytes)" "$intent"
	dmsetup remove "$back"
	compare_legs "$src_copy" "$dst_copy"
}

# replay: the job has ended; each point of its record
replay() {
	local number kinds points=0 marks=0 begun='' offset length seed to from
	local -A outcomes=()
	stop_job "$vm" "$src_disk"
	dmsetup remove "$meta"
	dmsetup remove "$dst"
	dmsetup remove "$rec"
	logreplay list "$record" > "$case_dir/record"
	coproc REPLAY { logreplay serve "$record" "$replayed"; }
	to=${REPLAY[1]} from=${REPLAY[0]}
	while read -r number kinds; do
		case " $kinds" in
		*" mark=base"*)
			# What came before is on the disk that was copied.
			begun=yes
			continue
			;;
		*" mark=end:"*)
			# From here on it must be there.
			IFS=: read -r _ offset length seed <<< "${kinds#*mark=}"
			bio write "$src_copy" "$offset" "$length" "$seed"
			marks=$((marks + 1))
			;;
		*" mark=stop"*) break ;;
		*" flush"* | *" fua"*) ;;
		*) continue ;;
		esac
		[ -n "$begun" ] || continue
		echo "$number" >&"$to"
		read -r _ <&"$from"
		case_where="entry $number ($kinds) of the record"
		comes_back
		points=$((points + 1))
		outcomes[$outcome]=$((${outcomes[$outcome]:-0} + 1))
	done < "$case_dir/record"
	case_where=
	exec {to}>&-
	wait "$REPLAY_PID"
	echo "  $points points, $marks of them after a write; outcomes: $(declare -p outcomes | sed 's/.*(//; s/ *)$//')"
	[ "$points" -ge "$1" ] || fail "only $points points, wanted $1"
}

is_clear() {
	status_is "$vm" intent_bytes 0
}

# What the guest does: places that were left alone, that are hot, that span regions, and again; bits are cleared in between.
writes() {
	local n
	for n in 1 2 3 4 5; do
		guest $((n * 1000000 / 4096 * 4096)) 4k 1$n
		guest $((n * 1000000 / 4096 * 4096)) 4k 2$n
		guest 6m $((n * 20480)) 3$n
		guest $((4096 * 4064 / 2 + n * 8192 - 4096)) 8k 4$n
		bio flush "$dev"
		[ $n = 5 ] || wait_for 30 is_clear
	done
}

check "a full copy, with writes meanwhile"
recorded bandwidth 4194304
for ((n = 0; n < 8; n++)); do
	guest $((n * 1048576 + 8192)) 12k 5$n
done
wait_ready "$vm"
wait_for 30 is_clear
mark stop
replay 20

for mode in background write-blocking; do
	check "ready, $mode"
	recorded copy_mode $mode
	wait_ready "$vm"
	wait_for 30 is_clear
	writes
	wait_for 30 is_clear
	mark stop
	replay 40
done

check "a pivot"
recorded
wait_ready "$vm"
guest 1m 64k 6
complete "$vm" 5000 || fail "not pivoted: $(status_value "$vm" error)"
mark stop
replay 8
[ "$outcome" = pivoted ] || fail "outcome at the end of the record: $outcome"

check "a finish, and writes since"
recorded
wait_ready "$vm"
guest 1m 64k 6
complete "$vm" 5000 finish || fail "not finished: $(status_value "$vm" error)"
guest 2m 64k 7
guest 3m 4k 8
mark stop
replay 8
[ "$outcome" = finished ] || fail "outcome at the end of the record: $outcome"

# shellcheck shell=bash disable=SC2154 # variables of cases.sh
# What the soaks t-soak-*.sh share, on top of cases.sh: a writer with a journal, jobs one after another, figures.

# Budgets of a hold that are to be given up now and then, and the one that the figures are about.
budget_ms=${BLOCKCOPY_SOAK_BUDGET:-500}
not_completed=0

# soak_leg VAR KIND MIB: a disk of that kind.
#	plain	requests end where they are issued
#	timer	data is there at once, the request ends a millisecond later
#	delay	data is there some milliseconds later, and then the request ends
soak_leg() {
	local leg_kind=$2 leg_disk leg_delay
	case $leg_kind in
	plain) null_disk "$1" "$3" discard=1 ;;
	timer) null_disk "$1" "$3" discard=1 irqmode=2 completion_nsec=1000000 ;;
	delay)
		null_disk leg_disk "$3" discard=1
		delay_on leg_delay "$leg_disk" 1 4
		printf -v "$1" '/dev/mapper/%s' "$leg_delay"
		;;
	*) fail "no kind of leg '$leg_kind'" ;;
	esac
}

# soak_writer DEVICE [OPTION...]: bc-journal on DEVICE until soak_writer_off; its journal is $journal.
soak_writer() {
	local dev=$1
	shift
	journal=$case_dir/journal
	rm -f "$journal"
	bc-journal write --sweep "$@" "$journal" "$dev" > "$case_dir/writer" 2>&1 &
	writer=$!
	wait_for 60 writer_runs
}

writer_runs() {
	! gone "$writer" || fail "the writer ended: $(tail -n 5 "$case_dir/writer")"
	grep -q '^running' "$case_dir/writer"
}

# soak_alive: it saw no error and no wrong sector up to now.
soak_alive() {
	! gone "$writer" || fail "the writer ended: $(tail -n 25 "$case_dir/writer")"
	bc-journal stat "$journal" > "$case_dir/stat" || fail "the writer saw: $(cat "$case_dir/writer" "$case_dir/stat")"
}

# soak_writer_off DEVICE...: each must hold everything that was acknowledged.
soak_writer_off() {
	local status=0 dev
	kill -TERM "$writer"
	wait "$writer" || status=$?
	check "writer: $(tail -n 1 "$case_dir/writer")"
	[ $status = 0 ] || fail "the writer saw errors or wrong data: $(tail -n 25 "$case_dir/writer")"
	for dev in "$@"; do
		bc-journal verify "$journal" "$dev" || fail "$dev lost data"
	done
}

# soak_writer_over DEVICE: it may have seen errors, but no wrong data, and what was acknowledged is there.
soak_writer_over() {
	kill -TERM "$writer"
	wait "$writer" || true
	! grep -q 'mismatches=[1-9]' "$case_dir/writer" || fail "wrong data: $(tail -n 5 "$case_dir/writer")"
	bc-journal verify "$journal" "$1" > "$case_dir/verify" || fail "lost: $(tail -n 20 "$case_dir/verify")"
	echo "  $(tail -n 1 "$case_dir/writer"), $(tail -n 1 "$case_dir/verify")"
}

# soak_ready NAME RATE: wait until the job is. The writer's rate goes down until copying in the background can follow, and is
# RATE again afterwards.
soak_ready() {
	local name=$1 rate=$2 waited=0
	until status_is "$name" state ready; do
		sleep 0.02
		waited=$((waited + 1))
		if [ $((waited % 100)) = 0 ]; then
			[ "$rate" -gt 100000 ] || fail "$name does not become ready"
			rate=$((rate / 4))
			bc-journal rate "$rate" "$journal"
		fi
	done
	[ "$rate" = "$2" ] || bc-journal rate "$2" "$journal"
}

# soak_complete NAME complete|finish RATE [MS]: until it comes about; each time that it does not is counted. MS is the budget of
# the first attempts, the others have $budget_ms. The writer's rate goes down when those are not enough, and is RATE afterwards.
soak_complete() {
	local name=$1 how=$2 rate=$3 ms=${4:-$budget_ms} tries=0
	until complete "$name" "$ms" "$how"; do
		[ "$(job_state "$name")" = ready ] || fail "$how ended in $(job_state "$name")"
		not_completed=$((not_completed + 1))
		tries=$((tries + 1))
		if [ $((tries % 5)) = 0 ]; then
			[ "$rate" -gt 100000 ] || fail "$how: $tries attempts, the last within $ms ms"
			rate=$((rate / 4)) ms=$budget_ms
			bc-journal rate "$rate" "$journal"
		fi
	done
	blackout=$(status_value "$name" blackout_us)
	echo "$blackout" >> "$case_dir/blackouts"
	[ "$rate" = "$3" ] || bc-journal rate "$3" "$journal"
}

# Two of fio on $vm, from fio_on to fio_off, each on a part of $mib MiB, at $iops requests a second.

# fio_rounds NR BLOCK_SIZE: until $case_dir/stop is there. Each round writes all of the part in random order, with content of
# its own, and verifies. A failed round ends it, and leaves its output.
fio_rounds() {
	local nr=$1 blocks=$2 round=0
	trap - ERR
	while [ ! -e "$case_dir/stop" ]; do
		fio --name=part --filename="/dev/mapper/$vm" --offset=$((nr * mib))m --size="${mib}m" --rw=randwrite \
			--bs="$blocks" --ioengine=libaio --iodepth=32 --direct=1 --rate_iops="$iops" \
			--verify=crc32c --verify_backlog=512 --verify_fatal=1 --do_verify=1 --verify_dump=0 \
			--randrepeat=0 --randseed=$((nr * 1000000 + round)) --allow_mounted_write=1 \
			> "$case_dir/fio$nr.out" 2>&1 || return 1
		# What fio forgives itself.
		if grep -qiE 'verify:|bad header|io_u error|err=[ 0-9]*[1-9]' "$case_dir/fio$nr.out"; then
			return 1
		fi
		round=$((round + 1))
		echo $round > "$case_dir/fio$nr.rounds"
	done
}

fio_on() {
	rm -f "$case_dir/stop"
	fio_rounds 0 4k &
	fio[0]=$!
	fio_rounds 1 16k &
	fio[1]=$!
}

fio_alive() {
	local nr
	for nr in 0 1; do
		! gone "${fio[nr]}" || fail "fio $nr: $(tail -n 30 "$case_dir/fio$nr.out")"
	done
}

fio_off() {
	local nr status
	touch "$case_dir/stop"
	for nr in 0 1; do
		status=0
		wait "${fio[nr]}" || status=$?
		[ $status = 0 ] || fail "fio $nr: $(tail -n 30 "$case_dir/fio$nr.out")"
	done
	check "fio: $(cat "$case_dir/fio0.rounds") and $(cat "$case_dir/fio1.rounds") rounds verified"
}

# blackouts: of all that came about, in microseconds.
blackouts() {
	sort -n "$case_dir/blackouts" |
		awk '{ v[NR] = $1 }
		     END { printf "blackout_us min=%d median=%d p99=%d max=%d\n", v[1], v[int((NR + 1) / 2)],
			   v[int(NR * 0.99 + 0.999)], v[NR] }'
}

# The hold of the last completion, as nanoseconds of CLOCK_MONOTONIC: $hold_begin and $hold_end.
hold_trace_on() {
	trace_on blockcopy:blockcopy_hold
	echo mono > "$tracing/trace_clock"
}

hold_times() {
	local begin end
	read -r begin end < <(awk '/blockcopy_hold:/ {
			for (i = 1; i <= NF; i++) if ($i == "blockcopy_hold:") t = $(i - 1)
			sub(":", "", t)
			if (/ hold parked/) begin = t; else end = t
		} END { print begin, end }' "$tracing/trace")
	[ -n "$end" ] || fail "no hold in the trace"
	# The trace has microseconds: widened by one.
	# shellcheck disable=SC2034
	hold_begin=$((10#${begin/./} * 1000 - 1000))
	# shellcheck disable=SC2034
	hold_end=$((10#${end/./} * 1000 + 1000))
	echo > "$tracing/trace"
}

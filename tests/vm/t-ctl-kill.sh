#!/bin/bash
# description: the tool killed at each of its system calls: the device serves, recover ends before or after, no write is lost
# kernels: uml 6.12
# check: uml
# tier: full
# timeout: 1800
#
# Killed as it is about to make its Nth call, the tool has made N - 1: that is also "after call N - 1", as between two calls it
# changes nothing that outlives it. That leaves the middle of a call: there it is killed at random times, with legs that make
# the swap wait.
#
# BLOCKCOPY_KILL_STEP	1: at every call, which takes hours. Else at those that change something and those that follow a change in
#			the kernel, and at one in so many of the others, which only look: where it is killed among these does not
#			matter.
# BLOCKCOPY_KILL_OFFSET	where to begin with these; another one each day unless given
# BLOCKCOPY_KILL_RUNS	COMMAND:KIND of those below, more than one; "all" for each command on either kind of device
# BLOCKCOPY_KILL_RANDOM	how many times at random; none unless given
# BLOCKCOPY_KILL_SEED	for that; another one each day unless given
# BLOCKCOPY_KILL_RATE	bytes a second that the guest writes
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

command -v strace > /dev/null || skip "no strace to kill the tool at a given call"

case $BLOCKCOPY_KERNEL in
uml) step=300 random=0 rate=4000000 ;;
uml-debug) step=200 random=0 rate=2000000 ;;
*) step=200 random=0 rate=1000000 ;;
esac
today=$((EPOCHSECONDS / 86400))
step=${BLOCKCOPY_KILL_STEP:-$step} random=${BLOCKCOPY_KILL_RANDOM:-$random} rate=${BLOCKCOPY_KILL_RATE:-$rate}
offset=$((${BLOCKCOPY_KILL_OFFSET:-$today} % step)) seed=${BLOCKCOPY_KILL_SEED:-$today}
commands=(start start-pivot pivot keep back finish abort abort-async)
# The other commands have most of what they do in common with these.
runs=(start:two pivot:two back:two finish:two abort:one)
[ -z "${BLOCKCOPY_KILL_RUNS:-}" ] || read -ra runs <<< "$BLOCKCOPY_KILL_RUNS"
[ "${runs[*]}" != all ] || runs=("${commands[@]/%/:two}" "${commands[@]/%/:one}")
mib=4
with_udev

# lay KIND: give the device the table that it has without a job, over its source: one linear line, or two, for which a job needs
# a helper device. The data is the same.
lay() {
	local len=$((mib * 2048))
	kind=$1
	case $kind in
	one) before="0 $len linear $src_no 0" ;;
	two)
		before="0 $((len / 2)) linear $src_no 0
$((len / 2)) $((len / 2)) linear $src_no $((len / 2))"
		;;
	esac
	after="0 $len linear $dst_no 0"
	swap_table "$vm" "$before"
}

# The tables that may be there afterwards, the last one if it was not killed.
command_is() {
	local line
	command=$1
	case $command in
	start) line="start $vm $dst --force" legal="source job" ;;
	start-pivot) line="start $vm $dst --force --wait --pivot --max-blackout 10000" legal="source job destination" ;;
	pivot) line="pivot $vm --max-blackout 10000" legal="job destination" ;;
	keep) line="pivot $vm --keep-source --max-blackout 10000" legal="job way-back" ;;
	back) line="pivot $vm --max-blackout 10000" legal="way-back source" ;;
	finish) line="finish $vm --max-blackout 10000" legal="job source" ;;
	abort) line="abort $vm" legal="job source" ;;
	abort-async) line="abort $vm --async" legal="job source" ;;
	*) fail "no command '$command'" ;;
	esac
	read -ra words <<< "blockcopy $line"
}

before_it() {
	case $command in
	pivot | keep | finish) blockcopy start "$vm" "$dst" --force --wait > /dev/null ;;
	back) blockcopy start "$vm" "$dst" --force --pivot --keep-source --max-blackout 10000 > /dev/null ;;
	# One that copies still, every second time.
	abort*) blockcopy start "$vm" "$dst" --force ${odd:+--wait} > /dev/null ;;
	esac
}

# What the guest has done; it saw no error and no wrong sector.
guest_did() {
	local stat
	stat=$(bc-journal stat "$journal") || fail "the writer saw: $(cat "$case_dir/writer"; echo "$stat")"
	[[ $stat =~ \ writes=([0-9]+).*\ reads=([0-9]+) ]]
	writes=${BASH_REMATCH[1]} reads=${BASH_REMATCH[2]}
}

has_done_more() {
	guest_did
	[ "$writes" -gt "$1" ] && [ "$reads" -gt "$2" ]
}

# The guest's requests end: more of them than can be under way now.
guest_served() {
	[ "$(< "$sysfs/dm/suspended")" = 0 ] || fail "the device is suspended"
	guest_did
	wait_for 30 has_done_more $((writes + 8)) $((reads + 8))
}

node_gone() {
	[ ! -e "/dev/mapper/$vm-blockcopy" ] && [ ! -L "/dev/mapper/$vm-blockcopy" ]
}

# in_order: nothing is left but what the table needs; that is $now: source, job, way-back (a job from the destination) or
# destination.
in_order() {
	local table name rest helper=''
	table=$(dmsetup table "$vm")
	case $table in
	"$before") now=source ;;
	"$after") now=destination ;;
	*" blockcopy "*)
		now=job
		[[ $table != *" blockcopy $dst_no "* ]] || now=way-back
		[[ $(job_state "$vm") == @(copying|ready) ]] || fail "a job that is $(job_state "$vm")"
		;;
	*) fail "table: $table" ;;
	esac
	while IFS=: read -r name rest; do
		case $name in
		"$vm") expect "$vm" "$rest" "$who" ;;
		"$vm-blockcopy") helper=$rest ;;
		esac
	done < <(look)
	if [[ "$now $kind" == @(job|way-back)" two" ]]; then
		# A destination is open once more than a source.
		[[ $helper == *:L--w:$([ "$now" = job ] && echo 1 || echo 2) ]] || fail "helper: '$helper'"
	else
		expect "helper" "$helper" ""
		wait_for 10 node_gone
	fi
	no_cookies
}

# Identities, and that there is nothing but a live table: no inactive one, not suspended.
look() {
	dmsetup info -c --noheadings --separator : -o name,uuid,major,minor,attr,open
}

# recovered ENDED: from where the tool was killed, or from the end of the command.
recovered() {
	local name=${odd:+$vm}
	guest_served
	if [ -n "$1" ]; then
		said "Nothing to recover" blockcopy recover ${name:+"$name"}
	else
		blockcopy recover ${name:+"$name"} > "$case_dir/recover" || fail "recover: $?"
	fi
	in_order
	if [ -n "$1" ]; then
		expect "table at the end of $command" "$now" "${legal##* }"
	elif [[ " $legal " != *" $now "* ]]; then
		fail "$command, killed: table of $now"
	fi
	# That it takes the locks shows that nobody has one.
	said "Nothing to recover" blockcopy recover
	ends[$now]=$((${ends[$now]:-0} + 1))
}

# To where the next one can begin: on from where it is, with the device's data at one place only.
after_it() {
	local old was=$now
	case $command:$now in
	start:job | abort*:job) blockcopy abort "$vm" > /dev/null ;;
	start-pivot:job | pivot:job)
		blockcopy wait "$vm" > /dev/null
		blockcopy pivot "$vm" --max-blackout 10000 > /dev/null
		now=destination
		;;
	keep:* | back:way-back)
		blockcopy wait "$vm" > /dev/null
		[ "$now" = way-back ] || blockcopy pivot "$vm" --keep-source --max-blackout 10000 > /dev/null
		blockcopy pivot "$vm" --max-blackout 10000 > /dev/null
		;;
	finish:job) blockcopy finish "$vm" --max-blackout 10000 > /dev/null ;;
	esac
	if [ "$now" = destination ]; then
		expect "table" "$(dmsetup table "$vm")" "$after"
		old=$src src=$dst dst=$old
		old=$src_no src_no=$dst_no dst_no=$old
		bc-journal noise "$dst"
		lay "$kind"
	else
		expect "table" "$(dmsetup table "$vm")" "$before"
	fi
	if [ "$command" = finish ]; then
		bc-journal snapshot "$journal" "$dst" > "$case_dir/snapshot" ||
			fail "the finished copy is no snapshot: $(cat "$case_dir/snapshot")"
	fi
	if [ "$was" != source ]; then
		guest_served
		in_order
	fi
}

# round_of COMMAND CALL N: from before the job to where the next round can begin; $ended if it was not killed.
round_of() {
	# The legs change places: each time anew.
	command_is "$1"
	case_where="before $1:$kind, to be killed at $2 $3"
	odd=
	[ $((kills % 2)) = 0 ] || odd=yes
	before_it
	ended=
	! killed_at "$2" "$3" "${words[@]}" || ended=yes
	case_where="$1:$kind killed at $2 $3"
	recovered "$ended"
	after_it
	[ -n "$ended" ] || kills=$((kills + 1))
}

# is_wanted INDEX MARK: of the calls of a command
is_wanted() {
	[ "$step" = 1 ] || [ -n "$2" ] || [ $(($1 % step)) = "$offset" ]
}

# at_each_call COMMAND
at_each_call() {
	local i call n mark ended='' kills=0 tries=0 started=$EPOCHSECONDS calls
	local -A ends=() most=()
	command_is "$1"
	odd=
	case_where="$1:$kind, not killed"
	before_it
	calls_of "${words[@]}"
	recovered yes
	after_it

	mapfile -t calls < "$case_dir/calls"
	for ((i = 0; i < ${#calls[@]}; i++)); do
		read -r call n mark <<< "${calls[i]}"
		most[$call]=$n
		is_wanted $i "$mark" || continue
		tries=$((tries + 1))
		round_of "$1" "$call" "$n"
	done
	# One run makes more calls than another, of those by which it waits.
	if [ "$step" = 1 ]; then
		for call in "${!most[@]}"; do
			n=${most[$call]} ended=
			until [ -n "$ended" ]; do
				n=$((n + 1))
				round_of "$1" "$call" "$n"
			done
		done
	fi
	case_where=
	check "$1:$kind: ${#calls[@]} calls; killed at $kills: $(ended_in)($((EPOCHSECONDS - started)) s)"
	# Waiting, it makes now more and now fewer.
	[ "$kills" -ge $((tries / 2)) ] || fail "only $kills of $tries runs were killed"
}

ended_in() {
	local key
	for key in "${!ends[@]}"; do
		printf '%s %s ' "$key" "${ends[$key]}"
	done
}

# device MAKER...: a device over a leg, another leg for the job, and the guest.
device() {
	"$@"
	src_no=$(devno "$src") dst_no=$(devno "$dst")
	linear_on vm "$src"
	sysfs=/sys/dev/block/$(devno "/dev/mapper/$vm")
	# Half of its requests read, each what was written there last; a few at a time, as the tool is to have the processor too.
	journal=$case_dir/journal
	rm -f "$journal"
	bc-journal write --threads 1 --depth 8 --reads 50 --rate "$rate" --records 16000000 "$journal" "/dev/mapper/$vm" \
		> "$case_dir/writer" 2>&1 &
	writer=$!
	wait_for 60 writer_runs
	who=$(look | sed -n "s/^$vm://p")
	[[ $who == *:L--w:1 ]] || fail "$vm: '$who'"
}

device_off() {
	lay one
	soak_writer_off "$src" "/dev/mapper/$vm"
	dmsetup remove "$vm"
}

plain_legs() {
	soak_leg src plain $mib
	soak_leg dst plain $mib
}

slow_legs() {
	local disk
	null_disk disk $mib
	delay_on a "$disk" 1 20
	null_disk disk $mib
	delay_on b "$disk" 1 20
	src=/dev/mapper/$a dst=/dev/mapper/$b
}

check "killed at every ${step}th call, beginning with $((offset + 1)), and where something changes"
device plain_legs
for run in "${runs[@]}"; do
	lay "${run#*:}"
	at_each_call "${run%:*}"
done
device_off

# killed_after MS COMMAND...: 0 when it came to its end before.
killed_after() {
	local ms=$1 pid status=0
	shift
	"$@" > "$case_dir/out" 2>&1 &
	pid=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	{ kill -KILL $pid && wait $pid; } 2> /dev/null || status=$?
	case $status in
	137) return 1 ;;
	0) ;;
	*) wait $pid || fail "$*, not killed: exit status $?: $(cat "$case_dir/out")" ;;
	esac
}

at_random_times() {
	local i begin kills=0
	local -A ends=() takes=()
	RANDOM=$seed
	for ((i = 0; i < random; i++)); do
		odd=
		[ $((RANDOM % 2)) = 0 ] || odd=yes
		if [ "$kind" = one ]; then
			lay two
		else
			lay one
		fi
		command_is "${commands[RANDOM % (${#commands[@]} - 1)]}"
		before_it
		case_where="round $i, $command:$kind"
		if [ -z "${takes[$command]:-}" ]; then
			begin=$(now_ms)
			"${words[@]}" > /dev/null
			takes[$command]=$(($(now_ms) - begin))
			recovered yes
		elif killed_after $((RANDOM % takes[$command])) "${words[@]}"; then
			recovered yes
		else
			kills=$((kills + 1))
			recovered ''
		fi
		after_it
	done
	case_where=
	check "killed at $kills random times (seed $seed): $(ended_in)"
}

if [ "$random" -gt 0 ]; then
	device slow_legs
	lay one
	at_random_times
	device_off
fi

# shellcheck shell=bash
# What the cases t-*.sh share: sourced first by each of them. A case runs as root in a guest of its own or one after another
# with others (tests/vm/run, tests/vm/guest/batch), so whatever it makes has names of its own and goes when it ends.
#
# A command that fails ends the case; where failing is what is checked, use `refused` or `if`.
set -eEuo pipefail

case_name=$(basename "$0" .sh)
case_id=bc$$
case_tools=$BLOCKCOPY_CHECKOUT/build/tools
case_dir=$(mktemp -d "/dev/shm/$case_id.XXXXXX")
case_nr=0
case_nulls=()
case_mounts=()
tracing=/sys/kernel/tracing
PATH=$case_tools:$PATH

# How much longer than natively things may take.
case ${BLOCKCOPY_KERNEL:-} in
uml) case_slow=1 ;;
uml-debug) case_slow=4 ;;
*) case_slow=10 ;;
esac

#
# Verdicts
#

# fail TEXT: with the calls that led here, and with what the case says in $case_where of the round that it is in.
case_where=
fail() {
	local frame=0
	trap - ERR
	{
		echo "FAILED: ${case_where:+$case_where: }$*"
		while caller $frame; do
			frame=$((frame + 1))
		done | sed 's/^/	at line /'
		case_state
	} >&2
	exit 1
}

# skip REASON: the last line of output tells why.
skip() {
	echo "skipped: $*"
	exit 77
}

check() {
	echo "- $*"
}

# What a reader of a failed case wants to know.
case_state() {
	dmsetup info -c --noheadings -o name,attr,open,events 2> /dev/null | grep "$case_id" || true
	dmsetup table 2> /dev/null | grep "$case_id" || true
	dmsetup status --target blockcopy 2> /dev/null || true
	dmesg | tail -n 12
}

# expect WHAT FOUND WANTED
expect() {
	[ "$2" = "$3" ] || fail "$1: found '$2', wanted '$3'"
}

# refused COMMAND...: it must fail, in an orderly way (no crash, no time-out); what it said is in $refusal.
refused() {
	local status=0
	# shellcheck disable=SC2034
	refusal=$("$@" 2>&1) || status=$?
	[ $status != 0 ] || fail "should have been refused: $*"
	[ $status -lt 124 ] || fail "exit status $status: $*"
}

# needs_target NAME...: device-mapper targets without which the case cannot run.
needs_target() {
	local name
	for name in "$@"; do
		case $name in linear | error | striped) continue ;; esac
		modprobe -q "dm-$name" || skip "this kernel has no device-mapper target $name"
	done
}

#
# Time
#

# nap MS. Without a process, which on the debug kernel takes longer than what is waited for: nothing ever comes there.
mkfifo "$case_dir/silence"
exec {case_silence}<> "$case_dir/silence"
nap() {
	local secs
	printf -v secs %d.%03d $(($1 / 1000)) $(($1 % 1000))
	read -rt "$secs" -u "$case_silence" || true
}

# wait_for SECONDS COMMAND...: until it succeeds. SECONDS are those of a native machine.
wait_for() {
	local secs=$(($1 * case_slow)) end
	shift
	end=$((${EPOCHREALTIME/./} + secs * 1000000))
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt $end ] || fail "not within $secs s: $*"
		nap 20
	done
}

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# process_state VAR PID: its letter, as in ps; none when it is gone.
process_state() {
	local _line
	printf -v "$1" ''
	{ read -r _line < "/proc/$2/stat"; } 2> /dev/null || return 0
	_line=${_line##*) }
	printf -v "$1" %s "${_line%% *}"
}

# gone PID...: none of the processes is there any more.
gone() {
	local pid letter
	for pid in "$@"; do
		process_state letter "$pid"
		[[ $letter == @(|Z) ]] || return 1
	done
}

# blocked PID: it waits in the kernel, uninterruptibly or in its hands.
blocked() {
	local letter
	process_state letter "$1"
	[ "$letter" = D ]
}

#
# Disks
#

# Device-mapper counts its minor numbers up, and we have names: no name is used twice.
new_name() {
	case_nr=$((case_nr + 1))
	printf -v "$1" %s "$case_id-${2:-dev}$case_nr"
}

# null_disk VAR MIB [ATTRIBUTE=VALUE...]: a null_blk disk that keeps its data in memory; VAR becomes its path.
null_disk() {
	local -n _path=$1
	local mib=$2 name dir attr
	shift 2
	[ -d /sys/kernel/config/nullb ] || modprobe null_blk nr_devices=0 || skip "this kernel has no null_blk"
	new_name name n
	dir=/sys/kernel/config/nullb/$name
	mkdir "$dir"
	case_nulls+=("$dir")
	for attr in memory_backed=1 completion_nsec=0 irqmode=0 "size=$mib" "$@"; do
		[ -e "$dir/${attr%%=*}" ] || skip "null_blk of this kernel has no ${attr%%=*}"
		echo "${attr#*=}" > "$dir/${attr%%=*}" || fail "null_blk refuses $attr"
	done
	echo 1 > "$dir/power" || fail "null_blk refuses to start with: $*"
	_path=/dev/$name
	[ -b "$_path" ] || _path=/dev/nullb$(< "$dir/index")
	[ -b "$_path" ] || wait_for 5 test -b "$_path"
}

# null_dir PATH: where a null_blk disk is configured.
null_dir() {
	local dir
	for dir in "${case_nulls[@]}"; do
		if [ "${dir##*/}" = "${1#/dev/}" ] || [ "nullb$(< "$dir/index")" = "${1#/dev/}" ]; then
			echo "$dir"
			return
		fi
	done
	fail "no null_blk disk of ours: $1"
}

# loop_disk VAR BYTES [LOSETUP-OPTION...]: over a sparse file in memory, "$case_dir/NAME.img"; its name is in VAR_file.
loop_disk() {
	local -n _path=$1 _file=$1_file
	local bytes=$2 name
	shift 2
	modprobe -q loop || skip "this kernel has no loop"
	new_name name l
	_file=$case_dir/$name.img
	truncate -s "$bytes" "$_file"
	_path=$(losetup -f --show "$@" "$_file")
}

# sectors DEVICE
sectors() {
	blockdev --getsz "$1"
}

# moved DEVICE read|written: its sectors so far
moved() {
	local counters
	read -ra counters < "/sys/dev/block/$(devno "$1")/stat"
	case $2 in
	read) echo "${counters[2]}" ;;
	written) echo "${counters[6]}" ;;
	esac
}

# devno PATH: "MAJOR:MINOR", as tables print it.
devno() {
	local major minor
	read -r major minor < <(stat -L -c '0x%t 0x%T' "$1")
	echo $((major)):$((minor))
}

# queue_dir PATH: its queue limits in sysfs.
queue_dir() {
	echo "/sys/dev/block/$(devno "$1")/queue"
}

# dm_new VAR TABLE: a dm device; VAR becomes its name, its path is /dev/mapper/$VAR.
dm_new() {
	local -n _name=$1
	new_name "$1" "${1//_/}"
	dmsetup create "$_name" --table "$2"
}

# linear_on VAR DEVICE [SECTORS [OFFSET]]: such as a guest's disk looks before a job.
linear_on() {
	dm_new "$1" "0 ${3:-$(sectors "$2")} linear $2 ${4:-0}"
}

# Personalities of a destination or source, all over DEVICE; each is a dm device whose table can be replaced by swap_table.
delay_on() { # VAR DEVICE READ_MS WRITE_MS
	needs_target delay
	dm_new "$1" "$(delay_table "$2" "$3" "$4")"
}

delay_table() { # DEVICE READ_MS WRITE_MS
	echo "0 $(sectors "$1") delay $1 0 $2 $1 0 $3"
}

# swap_table NAME TABLE: replace the live table.
swap_table() {
	dmsetup load "$1" --table "$2"
	dmsetup resume "$1"
}

#
# Jobs
#

# job_table SRC DST LEN [ARG...]: in regions of $REGION sectors.
REGION=128
job_table() {
	local src=$1 dst=$2 len=$3
	shift 3
	echo "0 $len blockcopy $src 0 $dst 0 $REGION $# $*"
}

# start_job NAME SRC DST [ARG...]: the table beside the live one, then one resume.
start_job() {
	local name=$1 src=$2 dst=$3 len
	shift 3
	len=$(sectors "/dev/mapper/$name")
	dmsetup load "$name" --table "$(job_table "$src" "$dst" "$len" "$@")"
	dmsetup resume "$name"
}

# stop_job NAME SRC: the plain device again; aborts what goes on.
stop_job() {
	swap_table "$1" "0 $(sectors "/dev/mapper/$1") linear $2 0"
}

msg() {
	local name=$1
	shift
	dmsetup message "$name" 0 "$@"
}

# The words of a status line. State, synced and total are there as keys, too.
status_value() {
	local words i
	read -ra words < <(dmsetup status --noflush "$1")
	[ "${words[2]:-}" = blockcopy ] || return 1
	case $2 in
	version) echo "${words[3]}" ;;
	state) echo "${words[4]}" ;;
	synced) echo "${words[5]%/*}" ;;
	total) echo "${words[5]#*/}" ;;
	region) echo "${words[6]}" ;;
	*)
		for ((i = 8; i + 1 < ${#words[@]}; i += 2)); do
			[ "${words[i]}" != "$2" ] || { echo "${words[i + 1]}" && return; }
		done
		return 1
		;;
	esac
}

job_state() {
	status_value "$1" state
}

# status_is NAME KEY VALUE
status_is() {
	[ "$(status_value "$1" "$2")" = "$3" ]
}

# status_above NAME KEY NUMBER
status_above() {
	[ "$(status_value "$1" "$2")" -gt "$3" ]
}

expect_status() {
	expect "$1: $2" "$(status_value "$1" "$2")" "$3"
}

wait_state() {
	wait_for "${3:-60}" status_is "$1" state "$2"
}

wait_ready() {
	wait_state "$1" ready
}

# complete NAME MS [complete|finish]: send it and wait until it is over; true if it came about.
complete() {
	msg "$1" "${3:-complete}" "$2"
	wait_for 70 not_completing "$1"
	[[ $(job_state "$1") == @(pivoted|finished) ]]
}

not_completing() {
	[ "$(job_state "$1")" != completing ]
}

# hold_a_write VAR NAME complete|finish MS OFFSET SEED: begin that, wait until writes are held, and write 4 KiB, which are held
# then; VAR becomes the writer's process.
hold_a_write() {
	local -n _writer=$1
	local name=$2 instance=$tracing/instances/$case_id
	[ -d "$instance" ] || mkdir "$instance"
	echo > "$instance/trace"
	echo blockcopy:blockcopy_hold > "$instance/set_event"
	msg "$name" "$3" "$4"
	wait_for 30 grep -qs "blockcopy_hold: $(trace_dev "/dev/mapper/$name") hold" "$instance/trace"
	bio write "/dev/mapper/$name" "$5" 4k "$6" &
	_writer=$!
	wait_for 20 held_or_gone "$name" "$_writer"
	gone "$_writer" && fail "the hold ended too early to hold a write"
	return 0
}

held_or_gone() {
	status_is "$1" held 1 || gone "$2"
}

# can_be_claimed PATH: nobody has it for himself
can_be_claimed() {
	python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)' "$1" 2> /dev/null
}

cannot_be_claimed() {
	! can_be_claimed "$1"
}

module_idle() {
	[ "$(< /sys/module/dm_blockcopy/refcnt)" = 0 ]
}

verify_over() {
	! status_is "$1" verify running
}

# verify_to_end NAME WORD...
verify_to_end() {
	msg "$1" verify "${@:2}"
	wait_for 60 verify_over "$1"
	expect_status "$1" verify "done"
}

# in_flight NAME COUNT: that many requests at least
in_flight() {
	local reads writes
	read -r reads writes < "/sys/dev/block/$(devno "/dev/mapper/$1")/inflight"
	[ $((reads + writes)) -ge "$2" ]
}

# compare_legs A B [BYTES]: equal from the first byte to the last.
compare_legs() {
	local size=${3:-$(blockdev --getsize64 "$1")}
	drop_caches "$1" "$2"
	cmp -n "$size" "$1" "$2" || fail "$1 and $2 differ"
}

drop_caches() {
	blockdev --flushbufs "$@"
}

#
# The guest
#

# guest_on VAR NAME [HAMMER-OPTION...]: writes to the dm device, or to the bytes "FIRST LENGTH" of it that $GUEST_RANGE says, until
# guest_off, see tools/hammer.c; VAR becomes the process.
GUEST_RANGE=
guest_on() {
	local -n _pid=$1
	local name=$2
	shift 2
	# That of an earlier one says "running" already.
	rm -f "$case_dir/hammer-$name"
	# shellcheck disable=SC2086
	hammer "$@" "/dev/mapper/$name" $GUEST_RANGE > "$case_dir/hammer-$name" 2>&1 &
	_pid=$!
	wait_for 10 grep -s '^running' "$case_dir/hammer-$name" > /dev/null
}

# guest_off PID NAME: every request must have succeeded, and every acknowledged write be there.
guest_off() {
	local status=0
	kill -TERM "$1"
	wait "$1" || status=$?
	echo "  guest: $(tail -n 1 "$case_dir/hammer-$2")"
	[ $status = 0 ] || fail "the guest saw errors or lost data: $(cat "$case_dir/hammer-$2")"
}

#
# The kernel's own words
#

# log_mark: what follows is after it; see log_since.
log_mark() {
	case_mark="$case_name mark $case_id $EPOCHREALTIME"
	echo "$case_mark" > /dev/kmsg
}

log_since() {
	dmesg | sed "1,/$case_mark/d"
}

in_log() {
	log_since | grep -F -- "$1" > /dev/null
}

# trace_on EVENT...: such as blockcopy or block:block_bio_remap. The buffer is emptied.
trace_on() {
	[ -e $tracing/set_event ] || skip "this kernel has no tracing"
	echo 0 > $tracing/tracing_on
	echo > $tracing/set_event
	echo > $tracing/trace
	local event
	for event in "$@"; do
		echo "$event" >> $tracing/set_event
	done
	echo 1 > $tracing/tracing_on
}

# trace_off: no more events; those recorded go to $trace, one a line.
trace_off() {
	echo 0 > $tracing/tracing_on
	echo > $tracing/set_event
	trace=$case_dir/trace
	grep -v '^#' $tracing/trace > "$trace" || true
	echo > $tracing/trace
}

# trace_dev PATH: a device as tracepoints print it, "MAJOR,MINOR".
trace_dev() {
	local dev
	dev=$(devno "$1")
	echo "${dev/:/,}"
}

#
# udevd
#

# A hand-shake with udevd for each of some hundred devices would take most of the time on emulated processors, and its own
# reads and opens of our devices would be counted with ours. It is stopped, and hidden so that libdm makes the nodes.
udev_off() {
	export DM_DISABLE_UDEV=1
	udevadm control --stop-exec-queue 2> /dev/null || return 0
	mv /run/udev/control /run/udev/control.hidden
}

udev_on() {
	[ ! -e /run/udev/control.hidden ] || mv /run/udev/control.hidden /run/udev/control
	udevadm control --start-exec-queue 2> /dev/null
}

#
# The end
#

# A suspended device makes everything that looks at it wait: they are all resumed first.
resume_all() {
	local name
	for name in $(dmsetup info -c --noheadings -o name -S "suspended=Suspended" 2> /dev/null | grep "^$case_id-"); do
		dmsetup resume "$name"
	done
}

# Devices that others stand on go after those.
remove_all() {
	local name round
	for round in 1 2 3 4 5 6 7 8; do
		for name in $(dmsetup ls | cut -f 1 | grep "^$case_id-"); do
			dmsetup remove "$name" 2> /dev/null || true
		done
		dmsetup ls | grep "^$case_id-" > /dev/null || return 0
		[ "$round" -lt 4 ] || nap 200
	done
	echo "left over: $(dmsetup ls | grep "^$case_id-")" >&2
	return 1
}

remove_disks() {
	local dir loop
	for dir in "${case_nulls[@]}"; do
		[ ! -d "$dir" ] || { echo 0 > "$dir/power" && rmdir "$dir"; } || return 1
	done
	for loop in $(losetup -n -O NAME,BACK-FILE | awk -v dir="$case_dir/" 'index($2, dir) == 1 { print $1 }'); do
		losetup -d "$loop" || return 1
	done
}

# Whatever holds the module now is a leak of ours. UML's KASAN does not forget the variables of a module that was unloaded, and
# takes the next one at the same place for a stray write: there, the module stays.
module_unused() {
	local refs
	[ -d /sys/module/dm_blockcopy ] || return 0
	read -r refs < /sys/module/dm_blockcopy/refcnt
	[ "$refs" = 0 ] && { [ "${BLOCKCOPY_KERNEL:-}" = uml-debug ] || modprobe -r dm-blockcopy; } && return 0
	echo "FAILED: the module cannot be unloaded" >&2
	return 1
}

teardown() {
	local status=$? pids mount
	trap - ERR EXIT
	set +e
	exec 7>&- 8>&- 9>&-	# the descriptors that cases hold devices open with
	mapfile -t pids < <(jobs -p)
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null
	[ ! -e $tracing/set_event ] || echo > $tracing/set_event
	[ ! -d "$tracing/instances/$case_id" ] || rmdir "$tracing/instances/$case_id"
	resume_all
	for mount in "${case_mounts[@]}"; do
		umount "$mount" 2> /dev/null
	done
	[ ${#pids[@]} = 0 ] || wait "${pids[@]}" 2> /dev/null
	remove_all || status=$((status ? status : 1))
	remove_disks || status=$((status ? status : 1))
	rm -rf "$case_dir"
	module_unused || status=$((status ? status : 1))
	udev_on
	exit "$status"
}

trap 'fail "command failed: $BASH_COMMAND"' ERR
trap teardown EXIT
trap 'exit 143' TERM INT

udev_off
modprobe dm-blockcopy || fail "the module does not load"

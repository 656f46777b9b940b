# shellcheck shell=bash disable=SC2154 # variables of cases.sh
# What t-soak-scenarios.sh does to a job, on top of cases.sh. Steps are the functions step_NAME; what they find (a job that has
# pivoted meanwhile, say) depends on the time, what they are asked for does not.
#
# The 16 MiB of the device: the guest's 8, then 4 in 16 slots for single requests, then 4 that nobody writes to.

scenario_mib=16
scenario_len=$((scenario_mib * 2048))
slot_bytes=$((256 << 10))

# Of each leg; the first is the source at the beginning, the third one is for another attempt.
leg_disks=()
leg_names=()
leg_paths=()
leg_kinds=()
leg_hung=()
leg_claimed=()	# a job whose table is gone may still have it

#
# The device mapper's ioctls
#

# A process for each of them takes much longer than the step that it makes, on emulated processors most of all: one does them all.
# A line goes in, "ok ANSWER" or "error NAME" comes out.
dm_server() {
	exec python3 -c '
import fcntl, os, struct, sys

REMOVE, SUSPEND, LOAD, CLEAR, STATUS, MESSAGE = 4, 6, 9, 10, 12, 14
F_SUSPEND, F_TABLE, F_SKIP_LOCKFS, F_NOFLUSH = 1 << 1, 1 << 4, 1 << 10, 1 << 11
SIZE = 16384
HEAD = struct.Struct("=3I3IiIIIQ128s129s7x")
control = os.open("/dev/mapper/control", os.O_RDWR)

def ioctl(nr, name, flags=0, targets=0, data=b""):
	buf = bytearray(SIZE)
	HEAD.pack_into(buf, 0, 4, 0, 0, SIZE, HEAD.size, targets, 0, flags, 0, 0, 0, name.encode(), b"")
	buf[HEAD.size:HEAD.size + len(data)] = data
	fcntl.ioctl(control, 3 << 30 | HEAD.size << 16 | 0xfd << 8 | nr, buf, True)
	return buf

def load(name, table):
	data = b""
	lines = table.split(";")
	for line in lines:
		start, length, kind, args = (line.strip() + " ").split(" ", 3)
		args = args.encode().rstrip() + b"\0"
		args += b"\0" * (-len(args) % 8)
		data += struct.pack("=QQiI16s", int(start), int(length), 0, 40 + len(args), kind.encode()) + args
	ioctl(LOAD, name, 0, len(lines), data)

def status(name, flags):
	buf = ioctl(STATUS, name, flags)
	data = struct.unpack_from("=I", buf, 16)[0]
	start, length, _, _, kind = struct.unpack_from("=QQiI16s", buf, data)
	text = bytes(buf[data + 40:]).split(b"\0", 1)[0].decode()
	return "%d %d %s %s" % (start, length, kind.rstrip(b"\0").decode(), text)

def do(word, name, rest):
	if word == "status":
		return status(name, F_NOFLUSH)
	if word == "table":
		return status(name, F_TABLE | F_NOFLUSH)
	if word == "load":
		load(name, rest)
	elif word == "suspend":
		ioctl(SUSPEND, name, F_SUSPEND | (F_NOFLUSH if "--noflush" in rest else 0) |
		      (F_SKIP_LOCKFS if "--nolockfs" in rest else 0))
	elif word == "resume":
		ioctl(SUSPEND, name)
	elif word == "clear":
		ioctl(CLEAR, name)
	elif word == "message":
		ioctl(MESSAGE, name, 0, 0, struct.pack("=Q", 0) + rest.encode() + b"\0")
	else:
		raise OSError(22, word)
	return ""

for line in sys.stdin:
	word, name, rest = (line.rstrip("\n") + "  ").split(" ", 2)
	try:
		print("ok", do(word, name, rest.strip()), flush=True)
	except OSError as e:
		print("error", e, flush=True)
'
}

# dm COMMAND NAME [REST]: as dmsetup does it; fails as that does. What it says is in $answer. All of them must end while a
# destination hangs. The lines of a table are separated by semicolons.
dm() {
	local verdict
	echo "$*" >&"${dm_process[1]}"
	read -rt $((30 * case_slow)) -u "${dm_process[0]}" verdict answer || fail "not within $((30 * case_slow)) s: dmsetup $*"
	[ "$verdict" = ok ]
}

# bio WORD...: as the program, by a process that is there already.
bio() {
	local status
	echo "bio $*" >&"$bio_in"
	read -rt $((60 * case_slow)) -u "$bio_out" status || fail "not within $((60 * case_slow)) s: bio $*"
	return "$status"
}

servers_on() {
	coproc dm_process { dm_server; }
	# Bash has one coprocess at a time by name.
	mkfifo "$case_dir/bio"
	exec {bio_in}<> "$case_dir/bio" {bio_out}< <(exec bio serve < "$case_dir/bio")
}

# Those of cases.sh, without a process.
swap_table() { # NAME TABLE
	dm load "$1" "$2"
	dm resume "$1"
}

msg() { # NAME MESSAGE...
	dm message "$@"
}

#
# Looking
#

# look: the status line, as state, events and so on in ${st[...]}; state is none without a job.
declare -A st
look() {
	local words i
	dm status "$disk"
	read -ra words <<< "$answer"
	st=([state]=none [paused]=0 [events]=0)
	[ "${words[2]:-}" = blockcopy ] || return 0
	st[state]=${words[4]}
	for ((i = 8; i + 1 < ${#words[@]}; i += 2)); do
		st[${words[i]}]=${words[i + 1]}
	done
}

looks() { # KEY VALUE
	look
	[ "${st[$1]:-}" = "$2" ]
}

over() {
	look
	[ "${st[state]}" != completing ]
}

# No process is made for these: on the debug kernel that takes longer than the step itself.
now() { # VAR: milliseconds
	printf -v "$1" %d $((${EPOCHREALTIME/./} / 1000))
}

told() {
	local at
	now at
	steps_log+=("$((at - scenario_begin)) ms	$*")
}

# stalled SINCE: the guest may have waited for what we did since then
stalled() {
	local at
	now at
	most stall_ms $((at - $1))
}

most() { # VAR NUMBER
	[ "${!1}" -ge "$2" ] || printf -v "$1" %d "$2"
}

# bounded COMMAND...: one that must end while a destination hangs. What the guest may wait for it is noted.
bounded() {
	local pid status=0 begin
	now begin
	if [ "$1" = bio ] && [[ ${leg_hung[*]} == *1* ]]; then
		command "$@" &
		pid=$!
		wait_for 30 gone $pid
		wait $pid || status=$?
	else
		"$@" || status=$?
	fi
	stalled "$begin"
	return $status
}

#
# Legs
#

# leg_table LEG: in $table
leg_table() {
	local disk=${leg_disks[$1]} bad
	case ${leg_kinds[$1]} in
	plain) table="0 $scenario_len linear $disk 0" ;;
	delay-*) table="0 $scenario_len delay $disk 0 0 $disk 0 ${leg_kinds[$1]#delay-}" ;;
	edge | hot)
		bad=$((12 * 2048 + 512))
		[ "${leg_kinds[$1]}" = edge ] || bad=4096
		table="0 $bad linear $disk 0; $bad 64 error"
		table+="; $((bad + 64)) $((scenario_len - bad - 64)) linear $disk $((bad + 64))"
		;;
	writes) table="0 $scenario_len flakey $disk 0 0 1 1 error_writes" ;;
	gone) table="0 $scenario_len error" ;;
	*) fail "no kind of leg '${leg_kinds[$1]}'" ;;
	esac
}

# leg_set LEG KIND: at once, or when it does not hang any more.
leg_set() {
	leg_kinds[$1]=$2
	[ "${leg_hung[$1]}" = 0 ] || return 0
	leg_table "$1"
	bounded swap_table "${leg_names[$1]}" "$table"
}

leg_hang() {
	dm suspend "${leg_names[$1]}" --noflush --nolockfs
	leg_hung[$1]=1
}

leg_unhang() {
	[ "${leg_hung[$1]}" = 1 ] || return 0
	leg_table "$1"
	swap_table "${leg_names[$1]}" "$table"
	leg_hung[$1]=0
}

leg_repair() {
	if [ "${leg_hung[$1]}" = 1 ]; then
		leg_kinds[$1]=plain
		leg_unhang "$1"
	elif [ "${leg_kinds[$1]}" != plain ]; then
		leg_set "$1" plain
	fi
}

# Writes of the guest fail there, once it is the truth.
leg_hurts() {
	[[ ${leg_kinds[$1]} == @(hot|writes|gone) ]]
}

#
# The job
#

# job_start [ARG...]
# shellcheck disable=SC2120
job_start() {
	local words=("${job_args[@]}" "$@")
	local table="0 $scenario_len blockcopy ${leg_paths[src]} 0 ${leg_paths[dst]} 0 $REGION ${#words[@]} ${words[*]}"
	if [ "${leg_claimed[dst]}" = 1 ]; then
		wait_for 20 dm load "$disk" "$table"
		leg_claimed[dst]=0
	else
		dm load "$disk" "$table"
	fi
	dm resume "$disk"
}

plain_on() { # LEG
	bounded swap_table "$disk" "0 $scenario_len linear ${leg_paths[$1]} 0"
}

# The old source is not needed any more, and shows it.
to_the_other_leg() {
	local old=$src
	plain_on "$dst"
	src=$dst dst=$old
	leg_repair "$dst"
	bio fill "${leg_paths[dst]}" 0 ${scenario_mib}m 2000077
}

# calm: no completion goes on, and the job can do something: after a pivot it copies back.
calm() {
	local state
	look
	[ "${st[state]}" != completing ] || wait_for 70 over
	state=${st[state]}
	case $state in
	pivoted)
		to_the_other_leg
		job_start
		;;
	finished)
		plain_on "$src"
		job_start
		;;
	*) return 0 ;;
	esac
	told "	$state, anew"
}

step_set() {
	[ "$1" != write_timeout ] || most wait_ms "$2"
	msg "$disk" set "$1" "$2"
}

# These may come in any state, and be refused.
step_pause() { msg "$disk" pause || told "	refused"; }
step_resume() { msg "$disk" resume || told "	refused"; }
step_fail() {
	calm
	bounded msg "$disk" fail || fail "not given up"
	looks state failed || fail "given up, and ${st[state]}"
	[ "${st[mirroring]}" = 0 ] || fail "given up, and mirroring"
}

step_nap() {
	nap "$1"
}

# If nothing is in the way it becomes ready now, under the guest.
step_ready() {
	local at=0 end
	calm
	[ "${leg_hung[dst]}" = 0 ] || return 0
	now end
	end=$((end + 500 * case_slow))
	until looks state ready || [[ ${st[state]} == failed || ${st[paused]} == 1 || $at -gt $end ]]; do
		nap 20
		now at
	done
	told "	${st[state]}"
}

step_errors() {
	calm
	leg_set "$dst" "$1"
}

step_edge_errors() {
	# It does no harm to what a completion under way leads to.
	look
	[ "${st[state]}" = completing ] || calm
	leg_set "$dst" edge
}

step_unplug() {
	calm
	leg_kinds[dst]=gone
	if [ "${leg_hung[dst]}" = 1 ]; then leg_unhang "$dst"; else leg_set "$dst" gone; fi
}

step_heal() { leg_repair "$dst"; }

step_delay() {
	calm
	most delay_ms "$1"
	leg_set "$dst" "delay-$1"
}

step_source() { # KIND
	[ "${1#delay-}" = "$1" ] || most delay_ms "${1#delay-}"
	leg_set "$src" "$1"
}

step_hang() {
	local begin
	look
	[ "${st[state]}" = completing ] || calm
	[ "${st[mirroring]:-0}" = 0 ] || told "	while mirroring"
	now begin
	leg_hang "$dst"
	# It may have been just before the flip.
	look
	[ "${st[state]}" != completing ] || wait_for 70 over
	if [ "${st[state]}" = pivoted ]; then
		leg_unhang "$dst"
		stalled "$begin"
		told "	too late, it has pivoted"
	fi
}

step_unhang() { leg_unhang "$dst"; }

# suspend NAP [OPTION]: of the device itself
step_suspend() {
	local nap=$1 begin
	shift
	now begin
	bounded dm suspend "$disk" "$@"
	step_nap "$nap"
	dm resume "$disk"
	stalled "$begin"
}

# Another program that handles the device; it may find it in the middle of something.
others_load() {
	local table
	dm table "$disk"
	table=$answer
	dm load "$disk" "$table" && return
	look
	# One that is being taken down and waits for a destination that hung keeps new ones off it.
	[[ ${st[state]} == @(completing|pivoted|finished) || $1 == raw || ${leg_claimed[dst]} == 1 ]] ||
		fail "not loaded again: $table"
	told "	not loaded: ${st[state]}"
	return 1
}

step_reload() { # NAP calm|raw
	[ "$2" = raw ] || calm
	others_load "$2" || return 0
	step_nap "$1"
	[ "${leg_hung[dst]}" = 0 ] || leg_claimed[dst]=1
	bounded dm resume "$disk"
}

step_load_clear() { # NAP
	others_load raw || return 0
	step_nap "$1"
	look
	if [ "${st[state]}" = ready ] && dm message "$disk" complete 100; then fail "not refused with another table loaded"; fi
	dm clear "$disk"
}

# end complete|finish MS wait|go
step_end() {
	local how=$1 events
	# A destination with errors can be a finished copy, but not serve the guest.
	[ "$how" = finish ] || ! leg_hurts "$dst" || how=finish
	look
	events=${st[events]}
	most budget_ms "$2"
	if ! msg "$disk" "$how" "$2"; then
		if [ "${st[state]}" = ready ] && [ "${st[paused]}" = 0 ]; then
			look
			[ "${st[events]}" != "$events" ] || fail "$how refused though ready"
		fi
		told "	refused: ${st[state]}"
	elif [ "$3" = wait ]; then
		wait_for 70 over
		told "	$how: ${st[state]}, ${st[error]}, held $((st[blackout_us] / 1000)) ms"
	fi
}

# abort calm|raw same|other NAP: and begin anew, on another destination if the one hangs
step_abort() {
	local old i begin
	now begin
	look
	[ "${st[late_writes]:-0}" = 0 ] || told "	${st[late_writes]} late"
	if [ "$1" = calm ]; then
		calm
	else
		# A completion under way ends here, the one way or the other.
		bounded dm suspend "$disk" --noflush
	fi
	look
	old=$dst
	if [ "${st[state]}" = pivoted ]; then
		to_the_other_leg
	else
		plain_on "$src"
		[ "${leg_hung[old]}" = 0 ] || leg_claimed[old]=1
	fi
	stalled "$begin"
	told "	aborted"
	step_nap "$3"
	for i in 0 1 2; do
		[ "$i" = "$src" ] || [ "${leg_hung[i]}" = 1 ] || { [ "$2" = other ] && [ "$i" = "$old" ]; } || dst=$i
	done
	leg_unhang "$dst"
	[ "$dst" = "$old" ] || told "	to another destination"
	job_start
}

# request write|zero|discard SLOT KIB SEED: one of the guest's, beside those of the hammer; it must end while the leg hangs, too.
step_request() {
	local offset=$((8 * 1048576 + $2 * slot_bytes)) bytes=$(($3 << 10)) leg
	case $1 in
	write)
		bounded bio write "/dev/mapper/$disk" $offset $bytes "$4"
		slots[$2]="verify $3 $4"
		;;
	zero)
		bounded bio zero "/dev/mapper/$disk" $offset $bytes
		slots[$2]="is-zero $3"
		;;
	discard)
		for leg in "/dev/mapper/$disk" "${leg_paths[src]}" "${leg_paths[dst]}"; do
			[ "$(< "$(queue_dir "$leg")/discard_max_bytes")" != 0 ] || return 0
		done
		bounded bio discard "/dev/mapper/$disk" $offset $bytes
		slots[$2]=
		;;
	esac
}

verify_slots() {
	local slot what kib seed
	for slot in "${!slots[@]}"; do
		read -r what kib seed <<< "${slots[slot]}"
		[ -z "$what" ] ||
			bio "$what" "/dev/mapper/$disk" $((8 * 1048576 + slot * slot_bytes)) "${kib}k" ${seed:+"$seed"} ||
			fail "slot $slot lost what was written to it: ${slots[slot]}"
	done
}

#
# The end
#

repair_all() {
	local i
	for i in 0 1 2; do
		leg_repair "$i"
	done
}

# until_ready SECONDS: repaired as everything is; what had failed or paused goes on.
until_ready() {
	local at=0 end resumed=0
	now end
	end=$((end + $1 * 1000 * case_slow))
	msg "$disk" set bandwidth 0
	until looks state ready && [ "${st[paused]}" = 0 ]; do
		if [ "${st[state]}" = failed ] || [ "${st[paused]}" = 1 ]; then
			resumed=$((resumed + 1))
			[ $resumed -lt 10 ] || fail "it fails again and again"
			msg "$disk" resume
		fi
		now at
		[ "$at" -lt $end ] || return 1
		nap 20
	done
}

clean() {
	look
	[ "${st[dirty_bytes]}" = 0 ] && [ "${st[inflight_bytes]}" = 0 ] && [ "${st[late_writes]}" = 0 ]
}

hammer_on() {
	# Where there is one processor it would take all of it.
	nice -n 10 hammer "$@" "/dev/mapper/$disk" 0 $((8 << 20)) > "$case_dir/guest" 2>&1 &
	hammer_pid=$!
	wait_for 20 hammer_runs
}

hammer_runs() {
	local line
	read -r line < "$case_dir/guest" && [[ $line == running* ]]
}

# hammer_off: no error, nothing lost, nothing late.
hammer_off() {
	local status=0 longest bound guest_lines
	[ -n "$hammer_pid" ] || return 0
	kill -TERM "$hammer_pid"
	wait_for 60 gone "$hammer_pid"
	wait "$hammer_pid" || status=$?
	hammer_pid=
	mapfile -t guest_lines < "$case_dir/guest"
	guest_said=${guest_lines[-1]}
	[ $status = 0 ] || fail "the guest saw errors or lost data: $(cat "$case_dir/guest")"
	[[ $guest_said == *" errors 0 "*" lost_blocks 0" ]] || fail "the guest said: $guest_said"
	longest=${guest_said##*longest_ms }
	longest=${longest%% *}
	bound=$((wait_ms + budget_ms + delay_ms + 2 * stall_ms + 2000 * case_slow))
	[ "$longest" -lt $bound ] || fail "the guest waited $longest ms, wanted below $bound"
	verify_slots
}

# The legs are as the device, all of it.
legs_are_equal() {
	compare_legs "${leg_paths[src]}" "${leg_paths[dst]}" $((scenario_mib << 20))
}

end_ready() { # first|last
	calm
	if [ "$1" = first ] || ! until_ready 10; then
		hammer_off
		until_ready 60 || fail "not ready"
	fi
	if [ -n "$hammer_pid" ]; then
		settled_busy=$((settled_busy + 1))
		hammer_off
	fi
	wait_for 60 clean
	looks state ready || fail "repaired, and ${st[state]}"
	legs_are_equal
	verify_slots
}

end_complete() { # MS
	local ms=$1 tries=0
	calm
	until looks state pivoted; do
		until_ready 60 || fail "not ready under a guest"
		tries=$((tries + 1))
		[ $tries -lt 20 ] || fail "not pivoted: ${st[error]}"
		most budget_ms "$ms"
		msg "$disk" complete "$ms"
		wait_for 140 over
		ms=$((tries < 5 ? 2000 : 20000))
	done
	told "	pivoted at attempt $tries"
	to_the_other_leg
	hammer_off
}

end_finish() { # MS
	local ms=$1 tries=0
	calm
	hammer_off
	until looks state finished; do
		until_ready 60 || fail "not ready"
		tries=$((tries + 1))
		[ $tries -lt 20 ] || fail "not finished: ${st[error]}"
		most budget_ms "$ms"
		msg "$disk" finish "$ms"
		wait_for 140 over
		ms=20000
	done
	legs_are_equal
	# What is written now is not in the copy.
	bounded bio write "/dev/mapper/$disk" 15m 4k 2000055
	refused command bio verify "${leg_paths[dst]}" 15m 4k 2000055
	verify_slots
}

# Nothing is repaired before.
end_abort() { # calm|raw
	if [ "$1" = calm ]; then wait_for 70 over; else bounded dm suspend "$disk" --noflush; fi
	look
	if [ "${st[state]}" = pivoted ]; then
		to_the_other_leg
	else
		plain_on "$src"
	fi
	hammer_off
}

# Whatever was in flight comes back when the legs are there again, and then nothing is left of the job.
end_all() {
	local i
	repair_all
	look
	[ "${st[timeouts]:-0}" = 0 ] || told "	${st[timeouts]} time-outs, ${st[late_writes]} late"
	[ "${st[late_writes]:-0}" = 0 ] || wait_for 30 looks late_writes 0
	dmsetup remove "$disk"
	for i in 0 1 2; do
		[ "${leg_claimed[i]}" = 0 ] || wait_for 30 can_be_claimed "${leg_paths[i]}"
	done
	wait_for 30 module_idle
}

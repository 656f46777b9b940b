# shellcheck shell=bash disable=SC2154
# What the cases t-ctl-*.sh share, on top of cases.sh.
# shellcheck source=cases.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# with_udev: a machine as most are. It takes its time on emulated processors, so not every case does it.
with_udev() {
	unset DM_DISABLE_UDEV
	udev_on
	# A udevd just after its boot was seen to sit on its queue for good, once in many.
	udevadm settle --timeout=60 || { udevadm control --start-exec-queue && udevadm settle; }
}

# everything: all that a refusal must leave as it was; the attributes tell of an inactive table.
everything() {
	dmsetup info -c --noheadings -o name,uuid,attr,open 2> /dev/null
	dmsetup table 2> /dev/null
}

# refuses STATUS TEXT COMMAND...: this exit status, one line on standard error with this text in it, nothing changed. What is
# refused for its words alone (2) has not looked at any device: emulated processors are spared the comparison.
refuses() {
	local want=$1 text=$2 status=0 before='' after=''
	shift 2
	[ "$want" = 2 ] || before=$(everything)
	refusal=$("$@" 2>&1 > /dev/null) || status=$?
	[ "$want" = 2 ] || after=$(everything)
	[ $status = "$want" ] || fail "exit status $status, wanted $want: $* ($refusal)"
	[[ $refusal == "blockcopy: "*"$text"* ]] || fail "no \"$text\" in: $refusal"
	[[ $refusal != *$'\n'* ]] || fail "not one line: $refusal"
	[ "$before" = "$after" ] || fail "$* changed something: $(diff <(echo "$before") <(echo "$after"))"
	echo "  $refusal"
}

# info NAME KEY: a value of `info --json`.
info() {
	blockcopy info --json "$1" | jq -r ".$2"
}

info_is() {
	[ "$(info "$1" "$2" 2> /dev/null)" = "$3" ]
}

# plain NAME DEVICE: one linear line over the start of it.
plain() {
	expect "table of $1" "$(dmsetup table "$1")" "0 $(sectors "/dev/mapper/$1") linear $(devno "$2") 0"
}

# no_helper NAME
no_helper() {
	! dmsetup info "$1-blockcopy" > /dev/null 2>&1 || fail "$1-blockcopy is left"
}

# identity NAME: what must survive every swap.
identity() {
	dmsetup info -c --noheadings -o name,uuid,major,minor "$1"
}

# No cookie may stay in the system: each is a semaphore that nobody frees.
no_cookies() {
	local key rest
	while read -r key rest; do
		[ "$key" = key ] || [ $((key >> 16)) != $((0x0d4d)) ] || fail "udev cookie left: $key $rest"
	done < /proc/sysvipc/sem
}

# answers DEVICE: its server is there.
answers() {
	dd if="$1" of=/dev/null bs=4k count=1 iflag=direct status=none 2> /dev/null
}

noise() {
	dd if=/dev/urandom of="$1" bs=1M oflag=direct ${2:+count=$2} status=none 2> /dev/null || true
}

sum() {
	drop_caches "$1"
	head -c "${2:-$(blockdev --getsize64 "$1")}" "$1" | md5sum
}

#
# The tool killed
#

# said TEXT COMMAND...: it succeeds and says this.
said() {
	local text=$1 out
	shift
	out=$("$@" 2>&1) || fail "$* failed: $out"
	[[ $out == *"$text"* ]] || fail "$* said \"$out\", not \"$text\""
}

# killed_at CALL N COMMAND...: killed where it would make this system call for the Nth time. The kernel does not make it any more.
# 0 when the command came to its end before that. A process that it forks counts for itself.
killed_at() {
	local call=$1 n=$2 status=0
	shift 2
	{ strace -f -q -o "$case_dir/strace" -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" "$@" \
		> "$case_dir/out" 2>&1; } 2> /dev/null || status=$?
	[[ $(< "$case_dir/strace") != *"killed by SIGKILL"* ]] || return 1
	[ $status = 0 ] || fail "$* before $call $n: exit status $status: $(cat "$case_dir/out")"
}

# calls_of COMMAND...: its system calls, as "CALL N" for killed_at, one a line in $case_dir/calls, as they were made. A third word
# is there with those that change something which outlives the process, and with those that follow a change that the kernel goes
# on with.
calls_of() {
	strace -f -q -o "$case_dir/strace" "$@" > "$case_dir/out" 2>&1 || fail "$*: exit status $?: $(cat "$case_dir/out")"
	# Of those that a forked process makes, the ones that its parent made as often are the parent's.
	awk 'match($2, /^[a-z0-9_]+\(/) {
		call = substr($2, 1, RLENGTH - 1)
		changes = /DM_DEV_CREATE|DM_TABLE_LOAD|DM_DEV_SUSPEND|DM_DEV_REMOVE|DM_TABLE_CLEAR|DM_TARGET_MSG/ ||
			  /IPC_CREAT|IPC_RMID|SETVAL|O_CREAT/ ||
			  call ~ /^(mkdir|unlink|flock|semop|semtimedop|clone.*|v?fork|exit_group)$/
		n = ++made[$1 " " call]
		if (!seen[call " " n]++) print call, n, (changes || follows[$1] ? "!" : "")
		follows[$1] = changes && call == "ioctl"
	}' "$case_dir/strace" > "$case_dir/calls"
}

is_job() {
	[[ $(dmsetup table "$1") == *" blockcopy "* ]]
}

not_completing_if_job() {
	! is_job "$1" || not_completing "$1"
}

# serves NAME: nobody has to resume it, and it reads.
serves() {
	expect "suspended" "$(dmsetup info -c --noheadings -o suspended "$1")" Active
	dd if="/dev/mapper/$1" of=/dev/null bs=4k count=1 iflag=direct status=none
}

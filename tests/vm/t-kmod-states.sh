#!/bin/bash
# description: every state is entered and left, and aborted from with a destination that is dead, and with one that hangs
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
len=$(sectors "$src")
linear_on disk "$src"
GUEST_RANGE="0 4194304"
plain="0 $len linear $(devno "$src") 0"

dead() { swap_table "$to" "0 $len error"; }
hung() { dmsetup suspend --noflush --nolockfs "$to"; }

# Each enters the state of its name with a destination in the given condition, applied as early as that allows.
enter_copying() {
	job bandwidth 1048576 on_target_error ignore
	$1
	expect_status "$disk" state copying
}
enter_paused() {
	job
	wait_ready "$disk"
	msg "$disk" pause
	$1
	expect_status "$disk" paused 1
}
enter_ready() {
	job copy_mode write-blocking on_target_error ignore write_timeout 100
	wait_ready "$disk"
	$1	# the guest's next write, or flush, may end this state
}
enter_late() {
	enter_ready hung
	bio write "/dev/mapper/$disk" 8m 4k 5
	status_above "$disk" late_writes 0
}
enter_completing() {
	job on_target_error ignore
	wait_ready "$disk"
	hung
	msg "$disk" complete 60000
	expect_status "$disk" state completing
}
enter_failed() {
	job
	wait_ready "$disk"
	dead
	bio write "/dev/mapper/$disk" 8m 4k 5
	wait_state "$disk" failed
}
enter_stopped() {
	job on_target_error stop
	wait_ready "$disk"
	dead
	bio write "/dev/mapper/$disk" 8m 4k 5
	wait_for 20 status_is "$disk" paused 1
}
enter_finished() {
	job
	wait_ready "$disk"
	complete "$disk" 10000 finish
	$1
	expect_status "$disk" state finished
}

job() {
	linear_on to "$dst"
	start_job "$disk" "$src" "/dev/mapper/$to" "$@"
}

# An abort takes the guest to the source at once, whatever the destination does.
abort_from() {
	local swap
	check "abort from $*"
	guest_on guest "$disk" -t 2
	"enter_$1" "${2:-}"
	swap_table "$disk" "$plain" &
	swap=$!
	wait_for 8 gone $swap
	wait $swap
	guest_off "$guest" "$disk"
	expect "the table" "$(dmsetup table "$disk")" "$plain"
	dmsetup resume "$to"
	wait_for 10 can_be_claimed "/dev/mapper/$to"
}

for state in copying paused ready finished; do
	abort_from $state dead
	abort_from $state hung
done
abort_from late
abort_from completing
abort_from failed
abort_from stopped

check "pivoted: the destination is the truth; its table is the only way out"
job
wait_ready "$disk"
complete "$disk" 10000 || fail "not pivoted"
bio write "/dev/mapper/$disk" 8m 4k 6
swap_table "$disk" "0 $len linear /dev/mapper/$to 0"
bio verify "/dev/mapper/$disk" 8m 4k 6

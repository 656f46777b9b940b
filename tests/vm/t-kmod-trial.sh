#!/bin/bash
# description: auto, READY: small writes are mirrored where that saves copies and costs the guest nothing, and not where it does
# kernels: 6.1 6.12 uml
# check: uml
# tier: full
# timeout: 300
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 64
null_disk dst 64
# Each of its writes takes 2 ms, however many there are.
null_disk far 64 irqmode=2 completion_nsec=2000000
linear_on disk "$src"

# small_writes KIB: as many as go, within so much
small_writes() {
	hammer -t 4 -b 1 "/dev/mapper/$disk" 0 $(($1 << 10)) > "$case_dir/hammer-$disk" 2>&1 &
	guest=$!
	wait_for 10 grep -qs '^running' "$case_dir/hammer-$disk"
}
# copied_in SECONDS
copied_in() {
	local first
	first=$(status_value "$disk" copied_bytes)
	sleep "$1"
	echo $(($(status_value "$disk" copied_bytes) - first))
}
# ready_with_much_to_copy DST KIB: the copier keeps up with the guest, and has more to do than is little
ready_with_much_to_copy() {
	start_job "$disk" "$src" "$1" copy_mode background
	wait_state "$disk" ready
	small_writes "$2"
	[ "$(copied_in 1)" -gt $((40 << 20)) ] || skip "this machine's guest writes too little"
	log_mark
}
# went MODE...
went() {
	[ "$(log_since | sed -n 's/.*: copy mode is \(.*\) now: .*/\1/p' | xargs)" = "$*" ]
}
# went_first MODE: and perhaps on
went_first() {
	[[ "$(log_since | sed -n 's/.*: copy mode is \(.*\) now: .*/\1/p' | xargs) " == "$1 "* ]]
}
# stays_for_5_s MODE...: five times what it takes to change
stays_for_5_s() {
	copied=$(copied_in 5)
	echo "  copied in 5 s: $((copied >> 10)) KiB, mode went: $*"
	went "$@"
}

check "an equal destination: mirrored from then on, and next to nothing is copied"
ready_with_much_to_copy "$dst" 65536
# A machine that is busy with something else for the second after the change is no fault of the destination's.
for _ in 1 2 3; do
	log_mark
	msg "$disk" set copy_mode auto
	wait_for 10 went write-blocking
	if stays_for_5_s write-blocking; then break; fi
	msg "$disk" set copy_mode background
done
went write-blocking || fail "$(log_since | grep 'copy mode')"
expect_status "$disk" state ready
[ "$copied" -lt $((8 << 20)) ] || fail "still copied: $copied bytes"
guest_off "$guest" "$disk"
stop_job "$disk" "$src"

check "a far one: the guest would write less, so it goes back, once"
# One large region, dirty and copied at the same time: that is little, and yet much to copy.
REGION=1024
ready_with_much_to_copy "$far" 512
# Nor is a guest that was as slow in the second before.
for _ in 1 2 3; do
	log_mark
	msg "$disk" set copy_mode auto
	wait_for 10 went_first write-blocking
	if stays_for_5_s write-blocking background; then break; fi
	msg "$disk" set copy_mode background
done
went write-blocking background || fail "$(log_since | grep 'copy mode')"
expect_status "$disk" state ready
[ "$copied" -gt $((40 << 20)) ] || fail "copied only $copied bytes"

check "with another mode set in between it is tried again"
msg "$disk" set copy_mode background
msg "$disk" set copy_mode auto
wait_for 10 went write-blocking background write-blocking background
guest_off "$guest" "$disk"

#!/bin/bash
# description: remove and swap away at every moment; the destination is free at once
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
bio fill "$src" 0 32m 1
delay_on slow "$dst" 0 500
slow_dev=/dev/mapper/$slow
linear_on disk "$src"

# quiet COMMAND...: the destination must not change any more, now that the job is gone
quiet() {
	bio fill "$dst" 0 32m 77
	"$@"
	bio verify "$dst" 0 32m 77
}

copying() {
	start_job "$disk" "$src" "$slow_dev" buf_size 1048576
	wait_for 20 status_above "$disk" inflight_bytes 0
}

check "abort by a swap while copying, under I/O; the destination is free at once"
guest_on guest "$disk" -p 500
copying
stop_job "$disk" "$src"
quiet bio flush "$dst"
guest_off "$guest" "$disk"

check "a new job to the same destination at once after an abort"
copying
start_job "$disk" "$src" "$slow_dev" buf_size 4194304
swap_table "$slow" "$(delay_table "$dst" 0 0)"
wait_ready "$disk"
compare_legs "$src" "$dst"
stop_job "$disk" "$src"
swap_table "$slow" "$(delay_table "$dst" 0 500)"

check "remove while copying"
copying
dmsetup remove "$disk"
quiet bio flush "$dst"
linear_on disk "$src"

check "remove while paused, and while suspended"
start_job "$disk" "$src" "$slow_dev" paused
dmsetup remove "$disk"
linear_on disk "$src"
copying
dmsetup suspend "$disk"
dmsetup remove "$disk"
quiet bio flush "$dst"
linear_on disk "$src"

check "remove while completing"
swap_table "$slow" "$(delay_table "$dst" 0 0)"
start_job "$disk" "$src" "$slow_dev" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$slow"
bio write "/dev/mapper/$disk" 0 4k 2
msg "$disk" complete 60000
expect_status "$disk" state completing
dmsetup remove "$disk" &
remove=$!
# Its destination hangs: what is in flight has to be waited for, nothing else.
no_such_device() {
	! dmsetup info "$disk" > /dev/null 2>&1
}
wait_for 5 no_such_device
dmsetup resume "$slow"
wait "$remove"
quiet bio flush "$dst"
linear_on disk "$src"

check "abort by a swap while completing, with held writes"
start_job "$disk" "$src" "$slow_dev" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$slow"
bio write "/dev/mapper/$disk" 0 4k 3
msg "$disk" complete 60000
bio write "/dev/mapper/$disk" 8m 4k 4 &
writer=$!
dmsetup load "$disk" --table "0 $(sectors "/dev/mapper/$disk") linear $src 0"
dmsetup resume "$disk" &
swap=$!
wait "$writer"
bio verify "$src" 8m 4k 4
dmsetup resume "$slow"
wait "$swap"
[[ $(dmsetup table "$disk") == *" linear "* ]] || fail "still a job"

#!/bin/bash
# description: bandwidth and buf_size, given and changed; pause and resume; paused from the start; sync none
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 64
null_disk dst 64
bio fill "$src" 0 64m 1
linear_on disk "$src"
mib=$((1 << 20))

copied() {
	status_value "$disk" copied_bytes
}

# took MIB: milliseconds until that much more was copied
took() {
	local begin goal
	goal=$(($(copied) + $1 * mib))
	begin=$(now_ms)
	wait_for 30 status_above "$disk" copied_bytes $((goal - 1))
	echo $(($(now_ms) - begin))
}

# not_faster WHAT MS LEAST: a limit is kept. How much slower it is depends on who else uses this machine.
not_faster() {
	echo "  $1: $2 ms"
	[ "$2" -ge "$3" ] || fail "$1: faster than the limit allows: $2 ms, wanted $3 at least"
}

check "paused from the start: nothing is copied, writes are tracked"
start_job "$disk" "$src" "$dst" paused bandwidth $((8 * mib))
expect_status "$disk" paused 1
bio write "/dev/mapper/$disk" 0 4k 2
expect_status "$disk" copied_bytes 0
expect_status "$disk" synced 0
bio is-zero "$dst" 0 64m
expect_status "$disk" bandwidth $((8 * mib))

check "8 MiB/s: 8 MiB take a second"
msg "$disk" resume
took 1 > /dev/null
not_faster "8 MiB" "$(took 8)" 700

check "lowered to 2 MiB/s: 2 MiB take a second; the rate shown follows"
msg "$disk" set bandwidth $((2 * mib))
took 1 > /dev/null
not_faster "2 MiB" "$(took 2)" 400
rate=$(status_value "$disk" rate)
[ "$rate" -lt $((6 * mib)) ] || fail "rate $rate"

check "paused: it stops, and goes on where it was"
msg "$disk" pause
expect_status "$disk" state copying
wait_for 5 status_is "$disk" inflight_bytes 0
stopped=$(copied)
dmsetup status "$disk" > /dev/null
expect "copied while paused" "$(copied)" "$stopped"
msg "$disk" resume
wait_for 10 status_above "$disk" copied_bytes "$stopped"

check "unlimited: the rest at once, and nothing twice"
msg "$disk" set bandwidth 0
wait_ready "$disk"
total=$(copied)
[ "$total" -le $((65 * mib)) ] || fail "copied $total bytes of 64 MiB"
compare_legs "$src" "$dst"

check "limited from unlimited: what is dirtied then is copied slowly"
msg "$disk" set bandwidth $mib
bio fill "/dev/mapper/$disk" 0 4m 3
not_faster "the 2 MiB" "$(took 2)" 500
msg "$disk" set bandwidth 0
wait_for 20 status_is "$disk" dirty_bytes 0

check "buf_size bounds what is in flight, to a destination that hangs, and can change"
stop_job "$disk" "$src"
linear_on hung "$dst"
dmsetup suspend --noflush "$hung"
start_job "$disk" "$src" "/dev/mapper/$hung" buf_size $mib

# in_flight_settles BYTES: that much, and no more
in_flight_settles() {
	local i
	wait_for 10 status_is "$disk" inflight_bytes "$1"
	for ((i = 0; i < 5; i++)); do
		expect_status "$disk" inflight_bytes "$1"
	done
}
in_flight_settles $mib
msg "$disk" set buf_size $((8 * mib))
in_flight_settles $((8 * mib))
msg "$disk" set buf_size $mib
dmsetup resume "$hung"
wait_ready "$disk"
compare_legs "$src" "$dst"
msg "$disk" pause
bio fill "/dev/mapper/$disk" 0 16m 4
dmsetup suspend --noflush "$hung"
msg "$disk" resume
in_flight_settles $mib
dmsetup resume "$hung"

check "sync none: ready at once, nothing copied, and what is written from now on is"
stop_job "$disk" "$src"
start_job "$disk" "$src" "$dst" sync none
wait_ready "$disk"
expect_status "$disk" copied_bytes 0
bio write "/dev/mapper/$disk" 1m 4k 5
wait_for 10 status_is "$disk" copied_bytes 65536
bio verify "$dst" 1m 4k 5

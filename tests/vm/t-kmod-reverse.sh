#!/bin/bash
# description: complete reverse: the legs change places, every write reaches both, and there and back again under a verifying writer
# kernels: 6.1 6.12 uml uml-debug
# check: uml-debug
# tier: core
# timeout: 600
#
# BLOCKCOPY_REVERSALS		how many under the writer
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=soak.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/soak.sh"

case $BLOCKCOPY_KERNEL in
uml) n=20 rate=4000000 ;;
*) n=6 rate=1000000 ;;
esac
n=${BLOCKCOPY_REVERSALS:-$n}

null_disk src 16 discard=1
null_disk dst 16 discard=1
bio fill "$src" 0 16m 1
linear_on vm "$src"
dev=/dev/mapper/$vm

reversed() {
	not_completing "$vm" && status_is "$vm" reversals "$1"
}

# legs SOURCE DESTINATION: as the table has them
legs() {
	local words
	read -ra words < <(dmsetup table "$vm")
	expect "source" "${words[3]}" "$(devno "$1")"
	expect "destination" "${words[5]}" "$(devno "$2")"
}

check "refused before it is ready, while verify runs, on a read-only table"
start_job "$vm" "$src" "$dst" paused
refused msg "$vm" complete 500 reverse
refused msg "$vm" complete 500 source-failed
refused msg "$vm" complete 500 reverse lossy
refused msg "$vm" finish 500 reverse
msg "$vm" resume
wait_ready "$vm"
refused msg "$vm" complete 500 source-failed
refused msg "$vm" complete 500 source-failed lossy
msg "$vm" verify bandwidth 1000000
refused msg "$vm" complete 500 reverse
msg "$vm" verify stop
wait_for 10 verify_over "$vm"

check "the legs change places, nothing is copied for that, and what is written is on both"
copied=$(status_value "$vm" copied_bytes)
msg "$vm" complete 500 reverse
wait_for 20 reversed 1
nap 100
expect_status "$vm" copied_bytes "$copied"
expect_status "$vm" dirty_bytes 0
legs "$dst" "$src"
expect_status "$vm" state ready
expect_status "$vm" event pivoted
expect_status "$vm" mirroring 1
expect_status "$vm" copy_mode write-blocking
expect_status "$vm" on_source_error ignore
[[ $(dmsetup table "$vm") == *" sync none "* ]] || fail "it would copy all of it: $(dmsetup table "$vm")"
bio write "$dev" 1m 64k 2
bio verify "$dst" 1m 64k 2
bio verify "$src" 1m 64k 2
bio discard "$dev" 2m 64k
wait_for 10 status_is "$vm" dirty_bytes 0
compare_legs "$src" "$dst"

check "what is written to the source alone is copied"
msg "$vm" pause
bio write "$dev" 3m 64k 6
expect_status "$vm" dirty_bytes 65536
expect_status "$vm" source_only_bytes 65536
bio verify "$src" 3m 64k 1
msg "$vm" resume
wait_for 10 status_is "$vm" dirty_bytes 0
expect_status "$vm" source_only_bytes 0
compare_legs "$src" "$dst"

check "a table that takes the device back to the other leg is refused, the one it prints is not"
refused dmsetup load "$vm" --table "$(job_table "$src" "$dst" "$(sectors "$dev")")"
swap_table "$vm" "$(dmsetup table "$vm")"
wait_ready "$vm"
legs "$dst" "$src"
bio verify "$dev" 1m 64k 2

check "a write held by the flip goes to both"
stop_job "$vm" "$dst"
start_job "$vm" "$dst" "$src"
wait_ready "$vm"
delay_on slow "$dst" 0 40
stop_job "$vm" "/dev/mapper/$slow"
start_job "$vm" "/dev/mapper/$slow" "$src" sync none
wait_ready "$vm"
for ((i = 0; i < 4; i++)); do
	bio write "$dev" $((4 + i))m 4k $((3 + i)) &
	msg "$vm" complete 5000 reverse
	bio write "$dev" $((8 + i))m 4k $((3 + i)) &
	wait_for 40 reversed $((i + 1))
	wait
	for leg in "$src" "$dst"; do
		wait_for 10 status_is "$vm" dirty_bytes 0
		bio verify "$leg" $((4 + i))m 4k $((3 + i))
		bio verify "$leg" $((8 + i))m 4k $((3 + i))
	done
done
stop_job "$vm" "$dst"

check "to and fro under a writer that verifies"
start_job "$vm" "$dst" "$src"
wait_ready "$vm"
soak_writer "$dev" --rate $rate --zeroes 20 --discards 50
for ((i = 1; i <= n; i++)); do
	case $((i % 4)) in
	3) msg "$vm" complete 1 reverse ;;
	*) msg "$vm" complete 2000 reverse ;;
	esac
	wait_for 20 not_completing "$vm"
	status_is "$vm" reversals "$i" || { i=$((i - 1)); wait_ready "$vm"; }
	if [ $((i % 5)) = 2 ]; then
		dmsetup suspend "$vm"
		dmsetup resume "$vm"
	fi
	wait_ready "$vm"
	soak_alive
done
check "$n reversals; then the ordinary flip, and the other leg is there as well"
complete "$vm" 2000 || fail "not pivoted: $(status_value "$vm" error)"
read -r _ _ _ _ _ last _ < <(dmsetup table "$vm")
stop_job "$vm" "$last"
soak_writer_off "$dev"

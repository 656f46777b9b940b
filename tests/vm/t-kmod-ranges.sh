#!/bin/bash
# description: a list of what differs: nothing is READY before its end, no write is lost meanwhile; compare writes what differs
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
linear_on disk "$src"
dev=/dev/mapper/$disk
total=$((32 << 20))

# same: legs that are equal, with data everywhere
same() {
	bio write "$src" 0 $total "$1"
	bio write "$dst" 0 $total "$1"
}
# differs OFFSET BYTES SEED: in the source only
differs() {
	bio write "$src" "$1" "$2" "$3"
}
idle() {
	[ "$(status_value "$disk" inflight_bytes)" = 0 ]
}
has_word() {
	dmsetup table "$disk" | grep -qw -- "$1"
}
fails() {
	! "$@" 2> /dev/null
}

check "what is listed is copied, and nothing else; the source is read there only"
same 1
differs 4m 64k 2
differs 20m 1m 3
read_before=$(moved "$src" read)
written_before=$(moved "$dst" written)
start_job "$disk" "$src" "$dst" sync ranges
expect_status "$disk" listing 1
expect_status "$disk" dirty_bytes $total
expect_status "$disk" synced 0
! has_word ranges || fail "the line is $(dmsetup table "$disk")"
msg "$disk" dirty $((4 << 11)) 128 $((20 << 11)) 2048
wait_for 20 status_is "$disk" copied_bytes $(((1 << 20) + 65536))
wait_for 20 idle
expect_status "$disk" state copying
expect_status "$disk" ready 0
expect "what may differ, while it is listing" "$(msg "$disk" map 0 | xargs)" "0 $(sectors "$src") $(sectors "$src")"
fails msg "$disk" complete 500 || fail "completed while it is listing"
fails msg "$disk" verify || fail "verified while it is listing"
msg "$disk" listed
wait_ready "$disk"
expect "sectors read" $(($(moved "$src" read) - read_before)) $((2048 + 128))
expect "sectors written" $(($(moved "$dst" written) - written_before)) $((2048 + 128))
compare_legs "$src" "$dst"
expect_status "$disk" listing 0
! has_word ranges || fail "the line is $(dmsetup table "$disk")"
fails msg "$disk" listed || fail "listed twice"

check "later marks are copied, too, and what they should not be is refused"
bio write "$dst" 8m 4k 9
msg "$disk" dirty $((8 << 11)) 1
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 idle
compare_legs "$src" "$dst"
for words in "" "0" "0 0" "0 65537" "65536 1" "0 x" "all 1" "0 8 8" "-1 8"; do
	# shellcheck disable=SC2086
	fails msg "$disk" dirty $words || fail "dirty $words"
done
complete "$disk" 2000 || fail "not pivoted"
fails msg "$disk" dirty all || fail "dirty after the pivot"
stop_job "$disk" "$src"

check "nothing listed: not ready, however long; all of it, by whoever finds it so"
same 4
bio write "$dst" 0 $total 5
start_job "$disk" "$src" "$dst" sync ranges
bio write "$dev" 12m 64k 6
wait_for 20 status_above "$disk" copied_bytes 65535
wait_for 20 idle
nap 500
expect_status "$disk" state copying
msg "$disk" dirty all
msg "$disk" listed
wait_ready "$disk"
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "a line that is loaded again is a full copy"
same 7
bio write "$dst" 30m 4k 8
start_job "$disk" "$src" "$dst" sync ranges
line=$(dmsetup table "$disk")
swap_table "$disk" "$line"
wait_ready "$disk"
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

for mode in background write-blocking; do
	check "the guest writes before, while and after it is listed, $mode"
	same 10
	differs 16m 2m 11
	start_job "$disk" "$src" "$dst" sync ranges copy_mode $mode
	guest_on guest "$disk" -p 500
	for ((at = 0; at < 2048; at += 128)); do
		msg "$disk" dirty $(((16 << 11) + at * 2)) 256
		[ "$(job_state "$disk")" = copying ] || fail "$(job_state "$disk") while it is listing"
		nap 20
	done
	msg "$disk" listed
	wait_ready "$disk"
	verify_to_end "$disk"
	expect_status "$disk" verify_differing_bytes 0
	complete "$disk" 5000 finish || fail "not finished: $(dmsetup status "$disk")"
	guest_off "$guest" "$disk"
	stop_job "$disk" "$src"
done

check "a destination of zeroes: what is not listed is not read, what is zero not written"
bio zero "$src" 0 32m
bio zero "$dst" 0 32m
differs 4m 12k 12
differs $((total - 4096)) 4k 13
read_before=$(moved "$src" read)
written_before=$(moved "$dst" written)
start_job "$disk" "$src" "$dst" sync ranges target_is_zero
msg "$disk" dirty $((4 << 11)) 2048 65528 8
msg "$disk" listed
wait_ready "$disk"
expect "sectors read" $(($(moved "$src" read) - read_before)) $((2048 + 128))
expect "sectors written" $(($(moved "$dst" written) - written_before)) $((24 + 8))
compare_legs "$src" "$dst"
bio zero "$dev" 4m 64k
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 idle
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "compare: equal is not written, what differs is, to the last sector"
for detect in off unmap; do
	same 20
	differs 0 512 21
	differs $(((5 << 20) + 4096 * 3)) 4k 22
	differs $(((5 << 20) + 4096 * 5)) 8k 23
	differs $((total - 512)) 512 24
	bio zero "$src" 9m 64k
	written_before=$(moved "$dst" written)
	start_job "$disk" "$src" "$dst" compare detect_zeroes $detect
	wait_ready "$disk"
	compare_legs "$src" "$dst"
	expect "sectors written" $(($(moved "$dst" written) - written_before)) $((8 + 8 + 16 + 8 + 128))
	expect_status "$disk" unwritten_bytes $((total - 168 * 512))
	has_word compare || fail "the line is $(dmsetup table "$disk")"
	bio write "$dev" 3m 64k 25
	wait_for 20 status_is "$disk" dirty_bytes 0
	wait_for 20 idle
	compare_legs "$src" "$dst"
	stop_job "$disk" "$src"
done

check "compare with least memory, a short last region, and a destination that cannot be read"
same 30
bio write "$dst" 1m 3m 31
dm_new bad "0 8192 linear $dst 0
8192 1 error
8193 57343 linear $dst 8193"
start_job "$disk" "$src" "/dev/mapper/$bad" compare buf_size 1048576 on_target_error ignore
wait_for 20 status_above "$disk" target_errors 0
swap_table "$bad" "0 65536 linear $dst 0"
wait_ready "$disk"
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "with metadata nothing is taken for equal before all is listed; a later mark is there when it is answered"
null_disk meta 1
blockcopy metadata format "$meta" "$disk" "$dst" --force > /dev/null
same 40
differs 8m 1m 41
start_job "$disk" "$src" "$dst" sync ranges metadata "$meta"
msg "$disk" dirty $((8 << 11)) 2048
wait_for 20 status_is "$disk" copied_bytes $((1 << 20))
# A pass comes each time that so much was copied, 50 ms after the last one.
nap 500
expect_status "$disk" intent_bytes $total
msg "$disk" listed
wait_ready "$disk"
compare_legs "$src" "$dst"
wait_for 20 status_is "$disk" intent_bytes 0
msg "$disk" pause
bio write "$dst" 1m 4k 42
msg "$disk" dirty 2048 8
expect_status "$disk" intent_bytes 65536
msg "$disk" resume
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 idle
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "a suspend does not wait for a mark that hung metadata does not take"
linear_on slow "$meta"
# The message waits for 5 s by itself. One that is over before was ended; a busy machine may need another try.
for ((try = 1; ; try++)); do
	[ $try -le 3 ] || fail "it waited each time"
	blockcopy metadata format "/dev/mapper/$slow" "$disk" "$dst" --force > /dev/null
	start_job "$disk" "$src" "$dst" metadata "/dev/mapper/$slow"
	wait_ready "$disk"
	wait_for 20 status_is "$disk" intent_bytes 0
	msg "$disk" pause
	dmsetup suspend --noflush "$slow"
	began=$(now_ms)
	msg "$disk" dirty 2048 8 2> /dev/null &
	wait_for 5 status_above "$disk" dirty_bytes 0
	dmsetup suspend --noflush "$disk"
	took=$(($(now_ms) - began))
	dmsetup resume "$slow"
	dmsetup resume "$disk"
	wait $! || true
	msg "$disk" resume
	wait_for 20 status_is "$disk" dirty_bytes 0
	wait_for 20 idle
	compare_legs "$src" "$dst"
	stop_job "$disk" "$src"
	[ $took -ge 5000 ] || break
done

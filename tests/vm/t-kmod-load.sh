#!/bin/bash
# description: load beside a live table, swap under I/O, clear, replace, a load that fails
# kernels: 6.1 6.12 uml uml-debug
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
null_disk other 32
bio fill "$src" 0 32m 1
linear_on disk "$src"
len=$(sectors "$src")
exec 7<> "/dev/mapper/$disk"
guest_on guest "$disk" -p 500

inactive() {
	dmsetup table --inactive "$disk"
}

check "a loaded table that is not resumed does nothing"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len")"
[[ $(inactive) == *" blockcopy "* ]] || fail "no inactive table: $(inactive)"
[[ $(dmsetup table "$disk") == *" linear "* ]] || fail "the live table changed"
bio is-zero "$dst" 0 32m

check "clear: it goes without ever having run"
dmsetup clear "$disk"
expect "inactive table" "$(inactive)" ""

check "a second load replaces the first"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len")"
dmsetup load "$disk" --table "$(job_table "$src" "$other" "$len")"
[[ $(inactive) == *" $(devno "$other") "* ]] || fail "not replaced: $(inactive)"
# The first one gave its destination back.
linear_on probe "$dst"
dmsetup remove "$probe"

check "a load that fails leaves the live table alone"
before=$(dmsetup table "$disk")
refused dmsetup load "$disk" --table "$(job_table "$src" "$other" "$len" no_such_argument)"
expect "live table" "$(dmsetup table "$disk")" "$before"
bio size 7 > /dev/null

check "swap in under I/O"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len")"
dmsetup resume "$disk"
wait_ready "$disk"
bio size 7 > /dev/null

check "a load that fails leaves the live job alone"
refused dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len" no_such_argument)"
expect_status "$disk" ready 1

check "an identical line beside the live job, and cleared again"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len")"
dmsetup clear "$disk"
expect_status "$disk" ready 1

check "an identical line swapped in begins anew"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len")"
dmsetup resume "$disk"
wait_ready "$disk"
[ "$(status_value "$disk" copied_bytes)" -ge $((32 << 20)) ] || fail "not copied again"

check "another destination swapped in"
swap_table "$disk" "$(job_table "$src" "$other" "$len")"
wait_ready "$disk"

check "the old destination is free at once, the new one gets everything"
bio fill "$dst" 0 1m 9
guest_off "$guest" "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
msg "$disk" pause
compare_legs "$src" "$other"

check "and away again"
stop_job "$disk" "$src"
bio size 7 > /dev/null

#!/bin/bash
# description: tables loaded beside and after a completion: nothing takes the guest back to a stale leg
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
bio fill "$src" 0 8m 1
linear_on disk "$src"
len=$(sectors "$src")
dev=/dev/mapper/$disk

check "a table loaded while completing is refused, one loaded before refuses the completion"
linear_on hung "$dst"
start_job "$disk" "$src" "/dev/mapper/$hung"
wait_ready "$disk"
dmsetup suspend --noflush "$hung"
bio write "$dev" 0 4k 2
msg "$disk" complete 60000
log_mark
refused dmsetup load "$disk" --table "$(job_table "$src" "/dev/mapper/$hung" "$len")"
in_log "is completing" || fail "$(log_since)"
dmsetup resume "$hung"
wait_state "$disk" pivoted
bio write "$dev" 0 4k 3

check "pivoted: the line it was started with is refused, its source is stale"
log_mark
refused dmsetup load "$disk" --table "$(job_table "$src" "/dev/mapper/$hung" "$len")"
in_log "stale" || fail "$(log_since)"
refused dmsetup load "$disk" --table "$(job_table "$src" "/dev/mapper/$hung" "$len" finished)"
expect_status "$disk" state pivoted
bio verify "$dev" 0 4k 3

check "its own line is taken, and it stays pivoted"
line=$(dmsetup table "$disk")
[[ $line == *" pivoted" ]] || fail "$line"
swap_table "$disk" "$line"
expect_status "$disk" state pivoted
expect_status "$disk" ready 1
bio verify "$dev" 0 4k 3
bio write "$dev" 0 4k 4
bio verify "$dst" 0 4k 4

check "the way back is a job of its own, from the destination"
swap_table "$disk" "$(job_table "/dev/mapper/$hung" "$src" "$len")"
wait_ready "$disk"
complete "$disk" 10000 || fail "not pivoted"
bio verify "$src" 0 4k 4

check "plain tables over the truth, at any time"
stop_job "$disk" "$src"
bio verify "$dev" 0 4k 4

check "a line with pivoted beside a job that did not: refused"
start_job "$disk" "$src" "/dev/mapper/$hung" paused
log_mark
refused dmsetup load "$disk" --table "$(job_table "$src" "/dev/mapper/$hung" "$len" pivoted)"
in_log "stale" || fail "$(log_since)"

check "finished loads again as finished: nothing is copied"
msg "$disk" resume
wait_ready "$disk"
complete "$disk" 10000 finish || fail "not finished"
line=$(dmsetup table "$disk")
bio write "$dev" 0 4k 5
swap_table "$disk" "$line"
expect_status "$disk" state finished
bio write "$dev" 4k 4k 5
bio verify "$dst" 0 4k 4
expect_status "$disk" copied_bytes 0
bio verify "$src" 0 8k 5

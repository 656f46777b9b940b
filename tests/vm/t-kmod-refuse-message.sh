#!/bin/bash
# description: every message that is refused, and in every state
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 8
null_disk dst 8
null_disk other 8
bio fill "$src" 0 8m 1
linear_on disk "$src"

check "wrong words and values: refused, and nothing changed"
start_job "$disk" "$src" "$dst" paused
before=$(dmsetup status "$disk")
while read -r words; do
	# shellcheck disable=SC2086
	refused msg "$disk" $words
	[ "$(dmsetup status "$disk")" = "$before" ] || fail "message '$words' changed something"
done <<- 'END'
	hello
	PAUSE
	pause now
	resume 1
	set
	set bandwidth
	set bandwidth x
	set bandwidth -1
	set bandwidth 1 2
	set buf_size 1
	set buf_size 1M
	set buf_size 268435457
	set speed 1
	set paused 1
	set region_sectors 8
	complete
	complete 0
	complete 60001
	complete -1
	complete soon
	complete 100 100
	finish
	finish 0
	finish 60001
	abort
END

# expect_refused STATE MESSAGE...: each refused, with the state left as it is
expect_refused() {
	local state=$1 words
	shift
	expect_status "$disk" state "$state"
	for words in "$@"; do
		# shellcheck disable=SC2086
		refused msg "$disk" $words
	done
	expect_status "$disk" state "$state"
}

check "paused and copying"
expect_refused copying pause "complete 100" "finish 100"
msg "$disk" set bandwidth 131072
msg "$disk" resume
expect_refused copying resume "complete 100" "finish 100"
msg "$disk" set bandwidth 0

check "ready, and paused when ready"
wait_ready "$disk"
expect_refused ready resume
msg "$disk" pause
expect_refused ready pause "complete 100" "finish 100"
msg "$disk" resume

check "complete while another blockcopy table is loaded"
dmsetup load "$disk" --table "$(job_table "$src" "$other" "$(sectors "$src")")"
expect_refused ready "complete 100" "finish 100"
dmsetup clear "$disk"

check "pivoted"
complete "$disk" 5000 || fail "not pivoted"
expect_refused pivoted pause resume "complete 100" "finish 100"
stop_job "$disk" "$dst"

check "finished"
start_job "$disk" "$dst" "$src" sync none
wait_ready "$disk"
complete "$disk" 5000 finish || fail "not finished"
expect_refused finished pause resume "complete 100" "finish 100"
stop_job "$disk" "$dst"

check "completing"
delay_on slow "$src" 0 0
start_job "$disk" "$dst" "/dev/mapper/$slow" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$slow"
bio write "/dev/mapper/$disk" 0 4k 2
msg "$disk" complete 60000
expect_refused completing pause resume "complete 100" "finish 100"
refused dmsetup load "$disk" --table "$(job_table "$dst" "$other" "$(sectors "$src")")"
msg "$disk" set bandwidth 1
dmsetup resume "$slow"
wait_state "$disk" pivoted

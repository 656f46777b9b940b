#!/bin/bash
# description: a start that was killed before its resume, and abort; nohup; a group of one that tracks and one without a job; metadata unplugged
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk src 16
null_disk dst 16
null_disk dst2 16
null_disk meta 1
bio fill "$src" 0 16m 1
linear_on disk "$src"

attributes() {
	dmsetup info -c --noheadings -o attr "$disk"
}

check "loaded and not resumed: abort takes it away, and the destination is free"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$(sectors "$src")")"
expect "attributes" "$(attributes)" LI-w
cannot_be_claimed "$dst"
blockcopy abort "$disk" > /dev/null
expect "attributes" "$(attributes)" L--w
can_be_claimed "$dst"
plain "$disk" "$src"

begun() {
	local copied
	copied=$(info "$disk" copied_bytes 2> /dev/null) && [[ $copied == [1-9]* ]]
}
# copying WORD...: a start that goes on for long; its pid is in $pid
copying() {
	"$@" blockcopy start "$disk" "$dst" --force --bandwidth 1M --wait > "$case_dir/said" 2>&1 &
	pid=$!
	wait_for 20 begun
}
ignoring_hangups() {
	trap '' HUP
	exec "$@"
}

check "a hangup ends it, and the copy; under nohup it does neither"
copying
kill -HUP $pid
status=0
wait $pid || status=$?
[ $status != 0 ] || fail "it went on: $(cat "$case_dir/said")"
plain "$disk" "$src"
copying ignoring_hangups
kill -HUP $pid
# It looks at the job with each change of it: at this one after the hangup.
msg "$disk" set bandwidth 0
status=0
wait $pid || status=$?
expect "exit status" "$status: $(tail -n 1 "$case_dir/said")" "0: Now in mirroring phase"
expect "state" "$(info "$disk" state)" ready
blockcopy abort "$disk" > /dev/null

check "finish of a group: that one tracks since yesterday does not say that the other was ever copied"
linear_on disk2 "$dst2"
blockcopy start "$disk" "$dst" --force --metadata "$meta" --finish --keep-tracking > /dev/null
refuses 3 "no copy job" blockcopy finish --group --keep-tracking "$disk" "$disk2"
refuses 3 "no copy job" blockcopy finish --group "$disk2" "$disk"
expect "state" "$(info "$disk" state)" finished
blockcopy abort "$disk" > /dev/null

check "metadata that was unplugged: it is not believed when it is there again"
blockcopy start "$disk" "$dst" --force --metadata "$meta" --wait > /dev/null
rmdir "$(null_dir "$meta")"
bio write "/dev/mapper/$disk" 1m 4k 3
wait_for 20 status_is "$disk" metadata failed
blockcopy abort "$disk" > /dev/null 2>&1
null_disk meta 1
blockcopy metadata format "$meta" "$disk" "$dst" > /dev/null
dmsetup remove "$disk"
dmsetup create "$disk" --table "0 $(sectors "$src") linear $src 0"
refuses 6 "found a note" blockcopy start "$disk" "$dst" --metadata "$meta" --sync bitmap
blockcopy start "$disk" "$dst" --force --metadata "$meta" --wait > /dev/null
[ -z "$(ls -A /var/lib/blockcopy)" ] || fail "left: $(ls -A /var/lib/blockcopy)"
blockcopy abort "$disk" > /dev/null

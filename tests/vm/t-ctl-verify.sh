#!/bin/bash
# description: blockcopy verify: what it finds, prints and repairs, how it is waited for and ended; pivot --verify
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk src 16
null_disk below 16
linear_on dst "$below"
dst=/dev/mapper/$dst
linear_on disk "$src"
bio fill "$src" 0 16m 1

spoil() {
	bio write "$below" "$1" 512 99
}

# verify STATUS [OPTION...]: what it prints is in $case_dir/out, what it complains of in $case_dir/err.
verify() {
	local want=$1 status=0
	shift
	blockcopy verify "$disk" "$@" > "$case_dir/out" 2> "$case_dir/err" || status=$?
	expect "exit status of verify $*" $status "$want"
}

refuses 3 "no copy job" blockcopy verify "$disk"
refuses 2 "bandwidth" blockcopy verify "$disk" --bandwidth fast
refuses 2 "--async excludes" blockcopy verify "$disk" --async --wait
refuses 2 "does not apply" blockcopy finish "$disk" --verify

check "equal"
blockcopy start "$disk" "$dst" --wait --blockdev > /dev/null
verify 0
expect "output" "$(cat "$case_dir/out" "$case_dir/err")" ""
expect "result" "$(blockcopy verify "$disk" --json | jq -r '[.result, .compared_bytes, (.ranges | length)] | join(" ")')" "done 16777216 0"

check "two places differ: listed, and no pivot"
spoil 1m
spoil 3146240
spoil $((3146240 + 512))
verify 1
expect "output" "$(< "$case_dir/out")" "1048576 512
3146240 1024"
expect "complaints" "$(< "$case_dir/err")" ""
blockcopy info "$disk" | grep -q '^Verify: *done, 16.0 MiB of 16.0 MiB compared, 1.5 KiB differ$' || fail "info: $(blockcopy info "$disk")"
expect "differing" "$(info "$disk" verify_differing_bytes)" 1536
refuses 6 "found the destination to differ in 1536 bytes, in 2 ranges" blockcopy pivot "$disk" --verify
expect "state" "$(info "$disk" state)" ready
verify 1 --json
expect "result" "$(jq -c '.ranges[1]' "$case_dir/out")" '{"offset":3146240,"length":1024}'

check "repaired, with progress"
verify 1 --repair --verbose
grep -q '^Verify: \[ *[0-9]* %\]  .* of 16.0 MiB, .* differ, ready$' "$case_dir/err" || fail "progress: $(< "$case_dir/err")"
wait_for 20 info_is "$disk" dirty_bytes 0
verify 0

check "out of time, interrupted, begun only, one at a time"
verify 5 --bandwidth 64K --timeout 1
grep -q 'only .* of 16777216 bytes were compared after 1 s' "$case_dir/err" || fail "said: $(< "$case_dir/err")"
stopped() {
	info_is "$disk" verify stopped
}
wait_for 10 stopped
blockcopy verify "$disk" --async --bandwidth 1 --bytes
expect "verify" "$(info "$disk" verify)" running
refuses 4 "being verified already" blockcopy verify "$disk"
msg "$disk" verify stop
wait_for 10 stopped
env --default-signal=INT blockcopy verify "$disk" --bandwidth 64K 2> "$case_dir/err" &
pid=$!
running() {
	info_is "$disk" verify running
}
wait_for 10 running
kill -INT $pid
status=0
wait $pid || status=$?
expect "exit status" $status 1
grep -q interrupted "$case_dir/err" || fail "said: $(< "$case_dir/err")"
wait_for 10 stopped

check "stopped by the end of the job"
blockcopy verify "$disk" --bandwidth 64K 2> "$case_dir/err" &
pid=$!
wait_for 10 running
msg "$disk" fail
status=0
wait $pid || status=$?
expect "exit status" $status 4
grep -q 'verify was stopped after .* (job is failed)' "$case_dir/err" || fail "said: $(< "$case_dir/err")"
refuses 4 "found the job failed, needed it ready to pivot" blockcopy pivot "$disk" --verify
blockcopy resume "$disk"
blockcopy wait "$disk"

check "pivot --verify of what is equal, with a guest"
guest_on guest "$disk"
said "Successfully pivoted" blockcopy pivot "$disk" --verify
guest_off "$guest" "$disk"
plain "$disk" "$dst"

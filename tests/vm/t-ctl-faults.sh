#!/bin/bash
# description: the tool with a destination that hangs, is unplugged, fails or is full: the guest goes on, every command ends, the reason is told
# kernels: 6.1 6.12 uml uml-debug
# check: 6.12 uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk src 32
null_disk dst 32
null_disk other 32
bio fill "$src" 0 32m 1
linear_on disk "$src"
linear_on to "$dst"
to=/dev/mapper/$to
len=$(sectors "$src")
table=$(dmsetup table "$disk")

# exits STATUS TEXT COMMAND...: with that status, in one line that holds TEXT
exits() {
	local want=$1 text=$2 status=0 said
	shift 2
	said=$("$@" 2>&1 > /dev/null) || status=$?
	[ $status = "$want" ] || fail "exit status $status, wanted $want: $* ($said)"
	[[ $said == *"$text"* ]] || fail "said '$said', wanted '$text': $*"
	[ "$(wc -l <<< "$said")" = 1 ] || fail "more than one line: $said"
}

check "options of start arrive in the table"
blockcopy start "$disk" "$to" --force --synchronous-writes --write-timeout 400 --on-target-error ignore --on-source-error stop --wait > /dev/null
[[ $(dmsetup table "$disk") == *" copy_mode write-blocking write_timeout 400 on_source_error stop on_target_error ignore" ]] ||
	fail "table: $(dmsetup table "$disk")"
wait_for 10 status_is "$disk" actively_synced 1
expect "mode" "$(info "$disk" copy_mode) $(info "$disk" actively_synced) $(info "$disk" write_timeout)" "write-blocking true 400"

check "set, while it runs"
blockcopy set "$disk" copy-mode=background write-timeout=300 on-target-error=stop on-source-error=report
expect "mode" "$(info "$disk" copy_mode) $(info "$disk" mirroring) $(info "$disk" on_target_error)" "background false stop"
blockcopy set "$disk" copy-mode=auto

check "a pivot that cannot be: exit 4, ready again, and why"
guest_on guest "$disk"
dmsetup suspend --noflush --nolockfs "$to"
exits 4 "blackout-budget-spent" blockcopy pivot "$disk" --max-blackout 200
expect_status "$disk" state ready
guest_off "$guest" "$disk"

check "abort with a destination that hangs: at once, and another destination after that"
guest_on guest "$disk"
begin=$(now_ms)
blockcopy abort "$disk" --async
expect "the table" "$(dmsetup table "$disk")" "$table"
echo "  after $(($(now_ms) - begin)) ms"
guest_off "$guest" "$disk"
blockcopy start "$disk" "$other" --force --wait --pivot > /dev/null
blockcopy start "$disk" "$src" --force --wait --pivot > /dev/null
dmsetup resume "$to"
wait_for 10 can_be_claimed "$to"

check "one that fails: reported, the guest goes on, abort"
dmsetup load "$(basename "$to")" --table "0 16384 linear $dst 0
16384 $((len - 16384)) error"
dmsetup resume "$(basename "$to")"
guest_on guest "$disk"
exits 1 "could not be written" blockcopy start "$disk" "$to" --force --wait
expect "io_status" "$(info "$disk" io_status) $(info "$disk" state)" "failed failed"
guest_off "$guest" "$disk"
blockcopy abort "$disk" > /dev/null
expect "the table" "$(dmsetup table "$disk")" "$table"

check "one that is unplugged"
null_disk gone 32
guest_on guest "$disk"
blockcopy start "$disk" "$gone" --force --bandwidth 1M > /dev/null
wait_for 10 status_above "$disk" copied_bytes 0
dir=$(null_dir "$gone")
echo 0 > "$dir/power"
blockcopy set "$disk" bandwidth=0
wait_state "$disk" failed
[[ $(blockcopy info "$disk") == *"destination is gone"* ]] || fail "info: $(blockcopy info "$disk")"
expect "gone" "$(info "$disk" destination_gone)" true
exits 4 "" blockcopy pivot "$disk"
blockcopy abort "$disk" > /dev/null
guest_off "$guest" "$disk"
expect "the table" "$(dmsetup table "$disk")" "$table"
blockcopy start "$disk" "$other" --force --wait --pivot > /dev/null

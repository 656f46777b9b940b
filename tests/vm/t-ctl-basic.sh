#!/bin/bash
# description: start, info, wait, pivot, finish, abort, pause, resume, set, attach and detach from the tool, with the data checked
# kernels: 6.1 6.12 uml uml-debug
# check: 6.1 6.12 uml-debug
# tier: core
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
with_udev

null_disk a 16
null_disk b 16
null_disk c 20
noise "$a"

check "attach: a dm layer for a plain disk"
disk=$case_id-vm1
blockcopy attach "$a" "$disk"
plain "$disk" "$a"
[ -b "/dev/mapper/$disk" ] || fail "no node"
before=$(identity "$disk")
content=$(sum "/dev/mapper/$disk")

check "dry run: everything checked, nothing changed"
tables=$(everything)
plan=$(blockcopy start "$disk" "$b" --dry-run --bandwidth 10M --granularity 1M --buf-size 4M --detect-zeroes on)
expect "plan" "$plan" "load into $disk and resume:
	0 32768 blockcopy $(devno "$a") 0 $(devno "$b") 0 2048 6 detect_zeroes on bandwidth 10485760 buf_size 4194304"
expect "all tables" "$(everything)" "$tables"

check "start --wait: virsh's words"
expect "output" "$(blockcopy start "$disk" "$b" --wait 2>&1)" "Now in mirroring phase"
expect state "$(info "$disk" state)" ready
expect ready "$(info "$disk" ready)" true
expect offset "$(info "$disk" offset)" "$(info "$disk" len)"
expect destination "$(info "$disk" destination)" "$b"
expect source "$(info "$disk" source)" "$a"
compare_legs "$a" "$b"
expect "identity" "$(identity "$disk")" "$before"

check "every spelling of the name"
for name in "$disk" "/dev/mapper/$disk" "/dev/dm-$(dmsetup info -c --noheadings -o minor "$disk")" \
	"dm-$(dmsetup info -c --noheadings -o minor "$disk")" "$(devno "/dev/mapper/$disk")"; do
	expect "$name" "$(info "$name" name)" "$disk"
done
expect "list" "$(blockcopy list --json | jq -r '.[].name')" "$disk"

check "pause, resume, set"
blockcopy pause "$disk"
expect paused "$(info "$disk" paused)" true
blockcopy resume "$disk"
expect paused "$(info "$disk" paused)" false
blockcopy set "$disk" bandwidth=3 buf-size=8M
expect speed "$(info "$disk" speed)" $((3 << 20))
expect buf_size "$(info "$disk" buf_size)" $((8 << 20))
blockcopy set "$disk" bandwidth=1000 --bytes
expect speed "$(info "$disk" speed)" 1000
blockcopy set "$disk" bandwidth=0

check "abort: the source as before"
expect "output" "$(blockcopy abort "$disk")" "Copy aborted"
plain "$disk" "$a"
expect "identity" "$(identity "$disk")" "$before"

check "pivot: under a guest that verifies; the old source is no longer used"
guest_on guest "$disk" -p 500
blockcopy start "$disk" "$b" --wait > /dev/null
out=$(blockcopy pivot "$disk" --json --max-blackout 5000)
expect result "$(jq -r .result <<< "$out")" pivoted
[ "$(jq .blackout_us <<< "$out")" -le 5000000 ] || fail "blackout: $out"
plain "$disk" "$b"
noise "$a"
guest_off "$guest" "$disk"
expect "identity" "$(identity "$disk")" "$before"
refuses 3 "no copy job" blockcopy pivot "$disk"

check "start --pivot: to a larger disk, the size stays"
said "$c: 20971520 bytes, of which the first 16777216 will be used" blockcopy start "$disk" "$c" --dry-run --verbose
content=$(sum "/dev/mapper/$disk")
out=$(blockcopy start "$disk" "$c" --pivot 2>&1)
[[ $out == "Successfully pivoted"* ]] || fail "said: $out"
plain "$disk" "$c"
expect "content" "$(sum "/dev/mapper/$disk")" "$content"

check "start --finish: a copy of one instant, the device stays on the source"
out=$(blockcopy start "$disk" "$a" --finish 2>&1)
[[ $out == "Successfully copied"* ]] || fail "said: $out"
plain "$disk" "$c"
noise "/dev/mapper/$disk" 8
expect "content" "$(sum "$a")" "$content"

check "finish of a job with a guest"
guest_on guest "$disk" -p 500
blockcopy start "$disk" "$b" --force > /dev/null
blockcopy wait "$disk" --timeout 120
blockcopy finish "$disk" --max-blackout 5000 > /dev/null
plain "$disk" "$c"
noise "$b"
guest_off "$guest" "$disk"

check "sync none: only what changes"
dd if="/dev/mapper/$disk" of="$b" bs=1M oflag=direct status=none
blockcopy start "$disk" "$b" --sync none --wait > /dev/null
expect copied "$(info "$disk" copied_bytes)" 0
dd if=/dev/urandom of="/dev/mapper/$disk" bs=64k count=4 seek=100 oflag=direct status=none
content=$(sum "/dev/mapper/$disk")
wait_for 20 info_is "$disk" dirty_bytes 0
blockcopy pivot "$disk" > /dev/null
plain "$disk" "$b"
expect "content" "$(sum "/dev/mapper/$disk")" "$content"

check "detach"
blockcopy detach "$disk"
[ ! -e "/dev/mapper/$disk" ] || fail "the node is left"

check "names and paths that need escaping"
odd="$case_id-a b\$c"
blockcopy attach "$a" "$odd"
expect "name" "$(dmsetup info -c --noheadings -o name --manglename none "/dev/mapper/$case_id-a\\x20b\\x24c" 2> /dev/null)" "$case_id-a\\x20b\\x24c"
ln -s "$b" "$case_dir/the copy"
blockcopy start "$odd" "$case_dir/the copy" --force --wait > /dev/null
expect "name" "$(info "$odd" name)" "$odd"
blockcopy pivot "$odd" > /dev/null
blockcopy detach "$odd"

check "a destination by its tag"
mkfs.ext4 -q -U 12345678-1234-4321-8888-123456789abc -L "$case_id" "$b"
udevadm settle
blockcopy attach "$a" "$disk"
blockcopy start "$disk" UUID=12345678-1234-4321-8888-123456789abc --force --wait > /dev/null
expect destination "$(info "$disk" destination)" "$b"
blockcopy abort "$disk" > /dev/null
blockcopy detach "$disk"
no_cookies

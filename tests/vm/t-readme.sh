#!/bin/bash
# description: the job by hand, as the README tells it
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

readme=$BLOCKCOPY_CHECKOUT/README.md
[ -e "$readme" ] || skip "there is no README.md"

# The sh blocks that follow a mark.
awk '/^<!-- run: by-hand -->/ { next_block = 1 } /^```/ && inside { inside = 0; next }
	/^```sh/ && next_block { inside = 1; next_block = 0; next } inside' "$readme" > "$case_dir/by-hand"
[ -s "$case_dir/by-hand" ] || skip "the README has no job by hand"

null_disk src 16
null_disk dst 16
bio fill "$src" 0 16m 1
dmsetup create vm1 --table "0 $(sectors "$src") linear $src 0"
guest_on guest vm1 -t 1 -p $((5000 * case_slow))

check "the README's lines, as they stand"
sed 's/^/  | /' "$case_dir/by-hand"
(cd "$case_dir" && SOURCE=$src DESTINATION=$dst bash -eu by-hand) || fail "a line failed"

check "the device is on the destination, and the guest did not notice"
expect "table" "$(dmsetup table vm1)" "0 $(sectors "$src") linear $(devno "$dst") 0"
bio fill "$src" 0 16m 99
guest_off "$guest" vm1
dmsetup remove vm1

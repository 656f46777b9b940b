#!/bin/bash
# description: the command with --metadata: a job goes on after it was lost, and nothing that is stale is believed
# kernels: 6.1 6.12 uml uml-debug
# check: 6.12 uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

mib=16
null_disk src_disk $mib discard=1
null_disk dst $mib discard=1
null_disk other $mib discard=1
null_disk third $mib discard=1
null_disk meta 1
null_disk tiny 1
bio fill "$src_disk" 0 ${mib}m 1
linear_on vm "$src_disk"
dev=/dev/mapper/$vm

field() { # KEY
	blockcopy metadata dump --json "$meta" | jq -r ".$1"
}

# lost: the device comes back without its job, as after a crash; nobody has written to it.
lost() {
	dmsetup remove "$vm"
	dmsetup create "$vm" --table "0 $(sectors "$src_disk") linear $src_disk 0"
}

is_clear() {
	[ "$(info "$vm" intent_bytes)" = 0 ]
}

check "refusals, of which nothing is left"
refuses 2 "--sync bitmap needs --metadata" blockcopy start "$vm" "$dst" --sync bitmap
refuses 6 "needed the metadata of a copy job" blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap
refuses 6 "needed the metadata of a copy job" blockcopy metadata dump "$meta"
refuses 6 "own source or destination" blockcopy start "$vm" "$dst" --metadata "$dst"
dm_new small "0 16 linear $tiny 0"
refuses 6 "needed 12288 for the metadata" blockcopy start "$vm" "$dst" --metadata "/dev/mapper/$small"
dmsetup remove "$small"
refuses 3 "" blockcopy start "$vm" "$dst" --metadata /dev/no-such-device
mkfs.ext4 -q -O ^has_journal "$meta"
refuses 6 "ext4 file system" blockcopy start "$vm" "$dst" --metadata "$meta"
refuses 6 "needed the metadata of a copy job" blockcopy metadata check "$meta"
refuses 2 "format, check, dump or restore" blockcopy metadata frob "$meta"
refuses 2 "one DEVICE" blockcopy metadata dump "$meta" "$vm"
expect "table" "$(dmsetup table "$vm" | cut -d ' ' -f 3)" linear
wipefs -aq "$meta"

check "a job with metadata; while it runs nobody else has the device"
blockcopy start "$vm" "$dst" --metadata "$meta" --wait > /dev/null
expect "metadata" "$(info "$vm" metadata)" ok
expect "outcome" "$(field outcome)" copying
expect "source" "$(field source)" "dm-name:$vm"
expect "valid" "$(blockcopy metadata check "$meta" && echo yes)" yes
linear_on vm2 "$other"
refuses 6 "found it in use" blockcopy metadata format "$meta" "$vm2" "$third"
refuses 6 "found it in use" blockcopy start "$vm2" "$third" --metadata "$meta"
dmsetup remove "$vm2"
wait_for 30 is_clear

check "lost and found again: copied is what was written last"
blockcopy pause "$vm"
bio write "$dev" 1m 64k 2
lost
blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap --wait > /dev/null
expect "copied" "$(info "$vm" copied_bytes)" 65536
compare_legs "$src_disk" "$dst"

check "not after it was written to without a job"
lost
bio write "$dev" 2m 4k 3
refuses 6 "sectors written since it was set up" blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap
expect "table" "$(dmsetup table "$vm" | cut -d ' ' -f 3)" linear
lost

check "nor for another job"
refuses 6 "job to" blockcopy start "$vm" "$other" --metadata "$meta" --sync bitmap
refuses 6 "in regions of" blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap --granularity 128K
linear_on vm2 "$other"
refuses 6 "job from" blockcopy start "$vm2" "$dst" --metadata "$meta" --sync bitmap
dmsetup remove "$vm2"

check "nor after an abort, when nobody tracks any more"
blockcopy start "$vm" "$dst" --metadata "$meta" --wait > /dev/null
blockcopy abort "$vm" > /dev/null
expect "outcome" "$(field outcome)" detached
lost
refuses 6 "needed one to go on from" blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap

check "all of it, again; what another job needs is not overwritten"
blockcopy start "$vm" "$dst" --metadata "$meta" --wait > /dev/null
expect "copied" "$(info "$vm" copied_bytes)" $((mib << 20))
lost
refuses 6 "found the metadata of a job from" blockcopy start "$vm" "$other" --metadata "$meta"
blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap --wait > /dev/null

check "pivoted and lost before the plain table was there: goes on at the destination"
dmsetup message "$vm" 0 complete 5000
wait_for 20 status_is "$vm" state pivoted
bio write "$dev" 3m 4k 4
lost
refuses 6 "has pivoted to" blockcopy start "$vm" "$dst" --metadata "$meta"
refuses 6 "has pivoted to" blockcopy metadata format "$meta" "$vm" "$other"
blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap > /dev/null
expect "state" "$(info "$vm" state)" pivoted
bio verify "$dev" 3m 4k 4
blockcopy recover "$vm" > /dev/null
expect "table" "$(dmsetup table "$vm")" "0 $(sectors "$src_disk") linear $(devno "$dst") 0"
bio verify "$dev" 3m 4k 4

#!/bin/bash
# description: what metadata saves: a copy that was lost in the middle, and one that is finished again after some writes
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
#
# BLOCKCOPY_SAVED_MIB	size of the disks
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

mib=${BLOCKCOPY_SAVED_MIB:-128} size=$((mib << 20)) region=65536
null_disk src_disk "$mib"
null_disk dst "$mib"
null_disk other 1
null_disk meta 4
bio fill "$src_disk" 0 "${mib}m" 1
linear_on vm "$src_disk"
dev=/dev/mapper/$vm

lost() {
	dmsetup remove "$vm"
	dmsetup create "$vm" --table "0 $(sectors "$src_disk") linear $src_disk 0"
}
start() {
	blockcopy start "$vm" "$dst" --metadata "$meta" --force "$@" > /dev/null
}
is_clear() {
	[ "$(info "$vm" intent_bytes)" = 0 ]
}
percent() {
	awk -v part="$1" -v all="$size" 'BEGIN { printf "%.2f", 100 * part / all }'
}
# at_most WHAT BYTES LIMIT
at_most() {
	echo "  $1: $(($2 >> 10)) KiB, $(percent "$2") %; at most $(percent "$3") %"
	[ "$2" -le "$3" ] || fail "$1: more than $3 bytes"
}
finished() {
	[ "$(info "$vm" state)" = finished ]
}

check "lost at half of it: the other half is copied"
# As fast as a copy of ten seconds.
start --copy-mode background --bandwidth $((size / 10)) --bytes
wait_for 120 status_above "$vm" copied_bytes $((size / 2))
done=$(info "$vm" copied_bytes)
lost
start --sync bitmap --wait
# What it copied after we looked is saved, too, but nobody knows of it.
at_most "copied until then, and again" $((done + $(info "$vm" copied_bytes))) $((size + size / 50))
compare_legs "$src_disk" "$dst"

check "finished, and tracked on"
# Somebody has the destination open, and the page cache has what was there before a write.
exec 7< "$dst"
head -c 64k <&7 > /dev/null
bio write "$dev" 0 64k 9
wait_for 30 is_clear
blockcopy finish "$vm" --keep-tracking > /dev/null
finished || fail "state: $(info "$vm" state)"
cmp <(dd if="$src_disk" bs=64k count=1 iflag=direct status=none) <(head -c 64k "$dst") || fail "the copy shows what was there before"
exec 7<&-
said "Nothing to recover" blockcopy recover "$vm"
finished || fail "state: $(info "$vm" state)"
refuses 4 "found a job on it already" blockcopy metadata format "$meta" "$vm" "$other"

# change SEED: one part in a hundred, in pieces of 256 KiB that begin somewhere
pieces=$((size / 100 >> 18))
[ $pieces -gt 0 ] || pieces=1
change() {
	local n
	for ((n = 0; n < pieces; n++)); do
		bio write "$dev" $((n * size / pieces / 4096 * 4096 + 12288)) 256k "$1"
	done
}
limit=$((size * 3 / 200 + pieces * region))

check "one in a hundred changed: what is copied, the copy being untouched until then"
change 2
bio verify "$dst" 64k $((size - 65536)) 1
expect "outcome" "$(blockcopy metadata dump --json "$meta" | jq -r .outcome)" finished
start --sync bitmap --wait
at_most "copied" "$(info "$vm" copied_bytes)" "$limit"
compare_legs "$src_disk" "$dst"

check "finished again, lost, and changed after that"
wait_for 30 is_clear
blockcopy finish "$vm" --keep-tracking > /dev/null
change 3
lost
start --sync bitmap --finish --keep-tracking
at_most "copied" "$(info "$vm" copied_bytes)" "$limit"
compare_legs "$src_disk" "$dst"

check "another destination is not taken for it"
refuses 4 "needed $other to go on" blockcopy start "$vm" "$other" --metadata "$meta" --sync bitmap
finished || fail "state: $(info "$vm" state)"

check "aborted, and tracked on"
start --sync bitmap --wait --bandwidth 100M
expect "bandwidth" "$(info "$vm" speed)" 104857600
wait_for 30 is_clear
blockcopy abort "$vm" --keep-tracking > /dev/null
change 4
start --sync bitmap --wait
at_most "copied" "$(info "$vm" copied_bytes)" "$limit"
compare_legs "$src_disk" "$dst"
refuses 4 "found a job on it already" blockcopy start "$vm" "$dst" --metadata "$meta" --sync bitmap

check "the end of it"
blockcopy finish "$vm" --keep-tracking > /dev/null
blockcopy abort "$vm" > /dev/null
expect "table" "$(dmsetup table "$vm" | cut -d ' ' -f 3)" linear
expect "outcome" "$(blockcopy metadata dump --json "$meta" | jq -r .outcome)" detached

check "not without metadata"
blockcopy start "$vm" "$dst" --force --wait > /dev/null
refuses 4 "without metadata" blockcopy finish "$vm" --keep-tracking
refuses 4 "without metadata" blockcopy abort "$vm" --keep-tracking
refuses 2 "--keep-tracking needs" blockcopy start "$vm" "$dst" --keep-tracking
expect "state" "$(info "$vm" state)" ready
blockcopy abort "$vm" > /dev/null

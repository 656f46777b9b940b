#!/bin/bash
# description: blockcopytab: layers and jobs come back; what is stale is not attached, and what was not tracked not believed
# kernels: 6.1 6.12 uml uml-debug
# check: 6.1 uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

mib=64
null_disk src $mib
null_disk dst $mib
null_disk other $mib
null_disk meta 1
bio fill "$src" 0 ${mib}m 1
new_name vm
new_name vm2
dev=/dev/mapper/$vm
tab=$case_dir/tab
printf '%s\n' "# name device destination metadata options" "$vm $src $dst $meta bandwidth=100M,copy-mode=background" \
	"$vm2 $other - - noauto" > "$tab"

boot() {
	blockcopy boot "$@" --tab "$tab"
}
# down: the machine goes down, and nobody has time to write anything anywhere.
down() {
	dmsetup remove "$vm"
}
# up WORDS: attach, then resume says this
up() {
	boot attach
	said "$vm: $1" boot resume
}
start() {
	blockcopy start "$vm" "$dst" --metadata "$meta" --force --copy-mode background "$@" > /dev/null
}
field() { # KEY
	blockcopy metadata dump --json "$meta" | jq -r ".$1"
}
is_clear() {
	[ "$(info "$vm" intent_bytes)" = 0 ]
}

check "lines that make no sense"
printf 'a b c\n' > "$case_dir/bad"
refuses 2 "line 1: needed NAME DEVICE" blockcopy boot attach --tab "$case_dir/bad"
printf '\na b c d e=f\n' > "$case_dir/bad"
refuses 2 'line 2: found the option "e=f"' blockcopy boot resume --tab "$case_dir/bad"
refuses 1 "No such file" blockcopy boot attach --tab "$case_dir/none"
refuses 3 "no line for nobody" blockcopy boot attach nobody --tab "$tab"
refuses 2 "attach, resume, list or watch" blockcopy boot frob --tab "$tab"
expect "list" "$(boot list | wc -l)" 2

check "the first time: a layer, and no job; a line with noauto for who names it"
up "no job"
plain "$vm" "$src"
said "is there already" boot attach
boot attach "$vm2"
plain "$vm2" "$other"
blockcopy detach "$vm2"

check "down while it copies: it goes on, with the options of the line"
start --bandwidth 16M
wait_for 20 status_above "$vm" copied_bytes $((32 << 20))
down
up "its job goes on"
expect "bandwidth" "$(info "$vm" speed)" 104857600
wait_ready "$vm"
[ "$(info "$vm" copied_bytes)" -lt $((48 << 20)) ] || fail "copied $(info "$vm" copied_bytes) bytes again"
compare_legs "$src" "$dst"
said "its job goes on" boot resume
wait_for 30 is_clear

check "written to before the job came: everything is copied"
down
boot attach
bio write "$dev" 1m 4k 2
said "everything is copied again" boot resume
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" $((mib << 20))
compare_legs "$src" "$dst"
wait_for 30 is_clear

check "written to, and down before the job came: likewise"
down
boot attach
bio write "$dev" 2m 4k 3
down
up "its job goes on"
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" $((mib << 20))
compare_legs "$src" "$dst"
wait_for 30 is_clear
down
up "its job goes on"
expect "copied" "$(info "$vm" copied_bytes)" 0

check "a finished copy stays one, and what is written then is tracked"
wait_ready "$vm"
blockcopy finish "$vm" --keep-tracking > /dev/null
bio write "$dev" 3m 4k 4
down
up "its job goes on"
expect "state" "$(info "$vm" state)" finished
expect "bytes to copy" "$(info "$vm" intent_bytes)" 65536
bio write "$dev" 4m 4k 5
cmp -n $((3 << 20)) "$src" "$dst" || fail "the legs differ where nothing was written"
! cmp -s "$src" "$dst" || fail "the copy was written to"
start --sync bitmap --wait
expect "copied" "$(info "$vm" copied_bytes)" 131072
compare_legs "$src" "$dst"

check "the pivot is known, whether its table was there or not"
dmsetup message "$vm" 0 complete 5000
wait_for 20 status_is "$vm" state pivoted
down
up "no job"
plain "$vm" "$dst"
bio write "$dev" 5m 4k 6
down
up "no job"
plain "$vm" "$dst"
bio verify "$dev" 5m 4k 6

check "a layer on the stale one, whoever made it, is refused"
down
dmsetup create "$vm" -u "BLOCKCOPYATTACH-$vm" --table "0 $(sectors "$src") linear $src 0"
refuses 6 "where the data is" blockcopy boot attach --tab "$tab"
refuses 6 "where the data is" blockcopy boot resume --tab "$tab"
down
dmsetup create "$vm" --table "0 $(sectors "$src") linear $dst 0"
refuses 6 "did not make" blockcopy boot attach --tab "$tab"
down

check "metadata that was formatted for another copy, which never began: the data is where it was"
boot attach > /dev/null
blockcopy metadata format "$meta" "$vm" "$other"
down
up "no job"
plain "$vm" "$dst"

check "a job the other way, the line as it was"
blockcopy start "$vm" "$src" --metadata "$meta" --force --wait > /dev/null
expect "below" "$(field below)" "name:${dst#/dev/}"
wait_for 30 is_clear
blockcopy pause "$vm"
bio write "$dev" 6m 4k 7
down
up "its job goes on"
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" 65536
compare_legs "$src" "$dst"

check "neither of the devices is what the metadata says"
down
sed "s,^$vm $src $dst,$vm $other $src," "$tab" > "$case_dir/other"
refuses 6 "as the metadata on" blockcopy boot attach "$vm" --tab "$case_dir/other"
refuses 3 "cannot look at" blockcopy boot attach "$vm" --tab <(sed "s,^$vm .*,$vm $src /dev/no-such $meta timeout=1," "$tab")

check "a destination with something else on it is left alone"
boot attach
mkfs.ext4 -q "$src"
refuses 6 "does not carry" blockcopy boot resume --tab "$tab"
wipefs -aq "$src"
said "its job goes on" boot resume
wait_ready "$vm"

check "metadata of another device, or that is not good, is no reason to guess; a dump brings it back"
down
blockcopy metadata dump --json "$meta" > "$case_dir/dump"
refuses 6 "found good metadata" blockcopy metadata restore "$meta" "$case_dir/dump"
refuses 1 "no JSON" blockcopy metadata restore "$meta" "$tab"
sed "s,^$vm ,$vm2-x ," "$tab" > "$case_dir/foreign"
refuses 6 "found the metadata of a job from" blockcopy boot attach "$vm2-x" --tab "$case_dir/foreign"
printf 'x' | dd of="$meta" bs=1 seek=1000 conv=notrunc status=none
printf 'x' | dd of="$meta" bs=1 seek=5096 conv=notrunc status=none
refuses 6 "needed the metadata of a copy job" blockcopy boot attach --tab "$tab"
refuses 6 "needed one that has pivoted" blockcopy metadata restore "$meta" "$case_dir/dump"
blockcopy metadata restore --force "$meta" "$case_dir/dump"
up "its job goes on"
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" $((mib << 20))
blockcopy abort "$vm" > /dev/null

check "metadata that cannot be told: no pivot, and nobody goes on from it when it answers again"
linear_on bad "$meta"
sed -i "s,$meta,/dev/mapper/$bad," "$tab"
blockcopy start "$vm" "$src" --metadata "/dev/mapper/$bad" --force --wait > /dev/null
wait_for 30 is_clear
blockcopy boot watch > "$case_dir/watch" 2> "$case_dir/watch.log" &
watch=$!
dmsetup load "$bad" --table "0 $(sectors "$meta") error"
dmsetup resume "$bad"
bio write "$dev" 7m 4k 8
wait_for 20 status_is "$vm" metadata failed
wait_for 20 grep -q "its metadata has failed, noted" "$case_dir/watch"
[ -n "$(ls -A /var/lib/blockcopy)" ] || fail "there is no note"
kill $watch
wait $watch || true
# Without a journal the changes are lines on standard error.
grep -q "^$vm: found: ready, 100 %" "$case_dir/watch.log" || fail "it logged: $(cat "$case_dir/watch.log")"
msg "$vm" complete 5000
wait_for 20 not_completing "$vm"
expect "state" "$(job_state "$vm")" ready
expect "error" "$(status_value "$vm" error)" metadata-write
refuses 6 "needed it to take the record" blockcopy pivot "$vm"
refuses 6 "needed it to take the record" blockcopy finish "$vm"
blockcopy abort "$vm" 2> "$case_dir/said" > /dev/null
grep -q "cannot be gone on from" "$case_dir/said" || fail "it did not say so: $(cat "$case_dir/said")"
bio write "$dev" 8m 4k 9
dmsetup load "$bad" --table "0 $(sectors "$meta") linear $meta 0"
dmsetup resume "$bad"
expect "what it still says" "$(field outcome)" copying
down
up "no job"
refuses 6 "went on without it" blockcopy start "$vm" "$src" --metadata "/dev/mapper/$bad" --sync bitmap
blockcopy start "$vm" "$src" --metadata "/dev/mapper/$bad" --force --wait > /dev/null
compare_legs "$src" "$dst"
[ -z "$(ls -A /var/lib/blockcopy)" ] || fail "the note is still there"
down
up "its job goes on"
blockcopy abort "$vm" > /dev/null

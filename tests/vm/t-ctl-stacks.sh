#!/bin/bash
# description: a two-segment LV, dm-crypt, striped and linear stacks: insertion, pivot, abort and finish under load
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 1200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
with_udev

# jobs_under_load NAME DEST LEG...: all that can happen to a device in use; at the end it stands on DEST. LEGs are what it stood
# on, and are overwritten.
jobs_under_load() {
	local name=$1 dest=$2 before table guest uuid leg
	shift 2
	before=$(identity "$name")
	table=$(dmsetup table --showkeys "$name")
	exec 7<> "/dev/mapper/$name"
	guest_on guest "$name" -p 500

	check "$name: start, abort"
	blockcopy start "$name" "$dest" --force --wait > /dev/null 2> "$case_dir/err"
	[[ $(dmsetup table "$name") == *" blockcopy "* ]] || fail "no job: $(dmsetup table "$name")"
	expect "identity" "$(identity "$name")" "$before"
	if [ -n "${helper:-}" ]; then
		expect "the helper's table" "$(dmsetup table --showkeys "$name-blockcopy")" "$table"
		# Without a uuid the helper's is made from the name.
		uuid=$(dmsetup info -c --noheadings -o uuid "$name")
		expect "the helper's uuid" "$(dmsetup info -c --noheadings -o uuid "$name-blockcopy")" "BLOCKCOPY-${uuid:-$name}"
		expect "source" "$(info "$name" source)" "/dev/mapper/$name-blockcopy"
	else
		no_helper "$name"
	fi
	blockcopy abort "$name" > /dev/null
	expect "table" "$(dmsetup table --showkeys "$name")" "$table"
	no_helper "$name"

	check "$name: start, finish"
	blockcopy start "$name" "$dest" --force --finish --max-blackout 10000 > /dev/null 2>&1
	expect "table" "$(dmsetup table --showkeys "$name")" "$table"
	no_helper "$name"

	check "$name: start, pivot"
	blockcopy start "$name" "$dest" --force --pivot --max-blackout 10000 > /dev/null 2>&1
	plain "$name" "$dest"
	no_helper "$name"
	expect "identity" "$(identity "$name")" "$before"
	for leg; do
		noise "$leg"
	done
	guest_off "$guest" "$name"
	# The descriptor from before the first job.
	head -c 4096 <&7 > "$case_dir/head"
	head -c 4096 "/dev/mapper/$name" | cmp - "$case_dir/head"
	exec 7>&-
	no_cookies
}

null_disk a 32
null_disk b 64
null_disk d 32
null_disk e 32

check "linear"
helper=
linear_on disk "$a"
jobs_under_load "$disk" "$b" "$a"
dmsetup remove --retry "$disk"

check "striped"
needs_target striped
helper=yes
dm_new stripes "0 131072 striped 2 128 $a 0 $d 0"
jobs_under_load "$stripes" "$b" "$a" "$d"
dmsetup remove --retry "$stripes"

check "an LV of two segments"
if command -v lvcreate > /dev/null; then
	loop_disk pv1 40M
	loop_disk pv2 40M
	lvm_quiet() {
		"$@" --config 'devices { use_devicesfile = 0 scan = "/dev" } activation { udev_sync = 1 monitoring = 0 }' > "$case_dir/lvm" 2>&1 ||
			fail "$*: $(cat "$case_dir/lvm")"
	}
	vg=$(tr -d - <<< "$case_id")vg
	lvm_quiet vgcreate -y "$vg" "$pv1" "$pv2"
	lvm_quiet lvcreate -y -Wn -Zn -L 64M -n lv "$vg"
	expect "lines of the LV" "$(dmsetup table "$vg-lv" | wc -l)" 2
	link=$(readlink -f "/dev/$vg/lv")
	expect "by its link" "$(blockcopy start "/dev/$vg/lv" "$b" --force --dry-run | tail -n 1 | cut -f 2 | cut -d ' ' -f 1-3)" "0 131072 blockcopy"
	jobs_under_load "$vg-lv" "$b"
	expect "the link" "$(readlink -f "/dev/$vg/lv")" "$link"
	dmsetup remove --retry "$vg-lv"
	lvm_quiet vgremove -fy "$vg"
	losetup -d "$pv1" "$pv2"
fi

check "dm-crypt"
if command -v cryptsetup > /dev/null && modprobe -q dm-crypt; then
	head -c 64 /dev/urandom > "$case_dir/key"
	crypt=$case_id-crypt
	cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file "$case_dir/key" "$a" "$crypt"
	key=$(dmsetup table --showkeys "$crypt" | cut -d ' ' -f 5)
	null_disk f 32
	plan=$(blockcopy start "$crypt" "$f" --dry-run 2> "$case_dir/err")
	grep -q "plain text" "$case_dir/err" || fail "no warning: $(cat "$case_dir/err")"
	[[ $plan != *"$key"* && $plan == *" 0000000000"* ]] || fail "the key is in the plan"
	[[ $(blockcopy start "$crypt" "$f" --dry-run --show-keys 2> /dev/null) == *"$key"* ]] || fail "--show-keys"
	jobs_under_load "$crypt" "$f" "$a"
	cryptsetup close "$crypt" 2> /dev/null || dmsetup remove "$crypt"

	check "dm-crypt to dm-crypt: no warning"
	cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file "$case_dir/key" "$a" "$crypt"
	cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file "$case_dir/key" "$d" "$crypt-to"
	linear_on over "/dev/mapper/$crypt-to"
	blockcopy start "$crypt" "/dev/mapper/$over" --force --wait > /dev/null 2> "$case_dir/err"
	expect "warnings" "$(cat "$case_dir/err")" ""
	blockcopy abort "$crypt" > /dev/null
	cryptsetup close "$crypt"
	dmsetup remove --retry "$over"
	cryptsetup close "$crypt-to"

	check "dm-crypt with its key in a keyring that is gone: refused, in words"
	cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size 16k \
		--luks2-keyslots-size 256k "$b" "$case_dir/key"
	cryptsetup open --key-file "$case_dir/key" "$b" "$crypt"
	if [[ $(dmsetup table --showkeys "$crypt") == *" :"* ]]; then
		null_disk g 64
		refusal=$(blockcopy start "$crypt" "$g" 2>&1 > /dev/null) && fail "the key could be used"
		[[ $refusal == *"--disable-keyring"* ]] || fail "said: $refusal"
		no_helper "$crypt"
		[[ $(dmsetup table "$crypt") == *" crypt "* ]] || fail "the table changed"
	fi
	cryptsetup close "$crypt"
fi

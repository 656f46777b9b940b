#!/bin/bash
# description: the tool without udevd, with one that was killed, and with one: device nodes, links, no cookies left
# kernels: 6.1 6.12 uml-debug
# check: 6.12
# tier: full
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk a 16
null_disk b 16
noise "$a"
dm_table="0 16384 linear $a 0
16384 16384 linear $a 16384"

# round: every command that makes events.
round() {
	local name=$case_id-$1
	blockcopy attach "$a" "$name"
	[ -b "/dev/mapper/$name" ] || fail "no node for $name"
	blockcopy start "$name" "$b" --force --wait > /dev/null
	blockcopy abort "$name" > /dev/null
	blockcopy start "$name" "$b" --force --finish > /dev/null
	[ -b "/dev/mapper/$name" ] || fail "the node is gone"
	blockcopy detach "$name"
	[ ! -e "/dev/mapper/$name" ] || fail "the node of $name is left"

	dmsetup create "$name" --table "$dm_table"
	blockcopy start "$name" "$b" --force --wait > /dev/null
	[ -b "/dev/mapper/$name-blockcopy" ] || [ -n "$(info "$name" source)" ] || fail "no helper"
	blockcopy pivot "$name" > /dev/null
	no_helper "$name"
	[ ! -e "/dev/mapper/$name-blockcopy" ] || fail "the node of the helper is left"
	expect "output of list" "$(blockcopy list)" ""
	dmsetup remove "$name"
	no_cookies
}

check "without udevd, libdevmapper told so"
round told

check "without udevd, libdevmapper has to find out"
unset DM_DISABLE_UDEV
round find

check "with udevd"
with_udev
round with
links() {
	find /dev/disk -lname "*/$(basename "$(readlink -f "/dev/mapper/$1")")" 2> /dev/null | sort
}
mkfs.ext4 -q -U 12345678-1234-4321-8888-123456789abd "$a"
dmsetup create "$case_id-links" --table "0 $(sectors "$a") linear $a 0"
udevadm settle
before=$(links "$case_id-links")
[ -n "$before" ] || fail "no links in /dev/disk for a dm device with a file system"
flags() {
	grep 'DM_UDEV.*FLAG' "/run/udev/data/b$(devno "/dev/mapper/$case_id-links")" | sort
}
flags_before=$(flags)
blockcopy start "$case_id-links" "$b" --force --wait > /dev/null
udevadm settle
expect "links with a job" "$(links "$case_id-links")" "$before"
expect "flags with a job" "$(flags)" "$flags_before"
blockcopy pivot "$case_id-links" > /dev/null
udevadm settle
expect "links after the pivot" "$(links "$case_id-links")" "$before"
expect "flags after the pivot" "$(flags)" "$flags_before"
dmsetup remove "$case_id-links"

check "the helper has no links"
mkfs.ext4 -q -F "$a"
dmsetup create "$case_id-two" --table "$dm_table"
udevadm settle
blockcopy start "$case_id-two" "$b" --force --wait > /dev/null
udevadm settle
helper=$(basename "$(readlink -f "/dev/mapper/$case_id-two-blockcopy")")
expect "links of the helper" "$(find /dev/disk -lname "*/$helper" ! -path '*/by-id/dm-*' ! -path '*/by-diskseq/*')" ""
blockcopy abort "$case_id-two" > /dev/null
dmsetup remove "$case_id-two"

check "the creator's flags are kept"
dmsetup create "$case_id-quiet" --noudevrules --table "$dm_table" 2> /dev/null || true
dmsetup mknodes "$case_id-quiet" 2> /dev/null || true
blockcopy start "$case_id-quiet" "$b" --force --wait > /dev/null
blockcopy abort "$case_id-quiet" > /dev/null
dmsetup remove "$case_id-quiet"

check "a udevd that hangs is not waited for too long"
pid=$(pgrep -o systemd-udevd || pgrep -o udevd || true)
if [ -n "$pid" ]; then
	kill -STOP "$pid"
	dmsetup create "$case_id-hang" --noudevsync --table "0 $(sectors "$a") linear $a 0"
	blockcopy start "$case_id-hang" "$b" --force > /dev/null || fail "start with a udevd that hangs"
	[[ $(dmsetup table "$case_id-hang") == *" blockcopy "* ]] || fail "no job"
	kill -CONT "$pid"
	udevadm settle
	no_cookies
	blockcopy abort "$case_id-hang" > /dev/null
fi

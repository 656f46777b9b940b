#!/bin/bash
# The machine of tests/host/systemd-boot when it is up again.
set -euo pipefail
id=/dev/disk/by-id/virtio

state() {
	echo "FAILED: $*"
	systemctl --no-pager --failed
	systemctl --no-pager status blockcopy.target 'blockcopy-*' guest.service events.service plug.service
	journalctl --no-pager -b -u 'blockcopy-*' -u guest.service -u plug.service
	ls -l /dev/disk/by-id
	dmsetup table
	exit 1
}
within() { # SECONDS COMMAND...
	local until=$((SECONDS + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $until ] || state "not there: $*"
		sleep 0.2
	done
}

within 200 systemctl is-active guest.service
[ "$(systemctl show -P Result plug.service)" = success ] || state "it was there before, or the guest did not wait"
within 60 grep -q "^vm-1 ready" /run/events
[[ "$(dmsetup table vm-1)" == *" blockcopy "* ]] || state "no job"
[ "$(jq -r .name /run/guest-saw)" = vm-1 ] || state "the guest saw no job"
# Half of it was there, and what was written then and since.
copied=$(blockcopy info --json vm-1 | jq .copied_bytes)
echo "copied after the boot: $((copied >> 10)) KiB; the guest saw it $(jq -r .state /run/guest-saw)"
[ "$copied" -lt $((36 << 20)) ] || state "copied $copied bytes again"
[ "$(blockcopy info --json vm-1 | jq .speed)" = $((16 << 20)) ] || state "the option of the tab is not in force"
clean() {
	[ "$(blockcopy info --json vm-1 | jq .dirty_bytes)" = 0 ]
}
within 30 clean
blockdev --flushbufs $id-SRC $id-DST
cmp $id-SRC $id-DST || state "the legs differ"
systemctl is-active blockcopy.target || state "no target"

# The pivot is found at the next attach, too.
blockcopy pivot vm-1
blockcopy detach vm-1
blockcopy boot attach
[[ "$(dmsetup table vm-1)" == *" linear $(lsblk -ndo MAJ:MIN $id-DST | tr -d ' ') 0" ]] || state "after the pivot: $(dmsetup table vm-1)"
blockcopy boot resume | grep -q "no job" || state "a job after the pivot"

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

# What systemd and the journal were told.
has() { # JQ-FILTER: an entry of the journal
	journalctl --no-pager -b -o json | jq -se "any(.[]; $1)"
}
status_is() {
	systemctl show -P StatusText "$1" | grep -qx "$2"
}
[ "$(systemctl show -P Type blockcopy-watch.service)" = notify ] || state "the watch does not tell when it is ready"
within 30 status_is blockcopy-watch.service "1 job, 1 ready, 0 failed"
within 30 status_is 'blockcopy-resume@vm\x2d1.service' "Its job goes on"
within 30 status_is 'blockcopy-attach@vm\x2d1.service' "\(Attached\|\)"
within 30 has '.BLOCKCOPY_NAME == "vm-1" and .BLOCKCOPY_STATE == "ready" and .BLOCKCOPY_EVENT == "ready" and .PRIORITY == "6"
	and .MESSAGE_ID == "0f8400afc39a4319b90f07cb56fb2cf8" and .SYSLOG_IDENTIFIER == "blockcopy" and ._SYSTEMD_UNIT == "blockcopy-watch.service"'
if systemctl start 'blockcopy-attach@nobody.service' 2> /dev/null; then
	state "a line that there is not was attached"
fi
within 30 has '.PRIORITY == "3" and (.MESSAGE | test("found no line for nobody")) and ._SYSTEMD_UNIT == "blockcopy-attach@nobody.service"'

# The pivot is found at the next attach, too.
blockcopy pivot vm-1
blockcopy detach vm-1
blockcopy boot attach
[[ "$(dmsetup table vm-1)" == *" linear $(lsblk -ndo MAJ:MIN $id-DST | tr -d ' ') 0" ]] || state "after the pivot: $(dmsetup table vm-1)"
blockcopy boot resume | grep -q "no job" || state "a job after the pivot"

#!/bin/bash
# The machine of tests/host/systemd-boot before it goes down: a copy that is half done, and a guest's write.
set -euo pipefail
PATH=$BLOCKCOPY_CHECKOUT/build/tools:$PATH
tab=$BLOCKCOPY_SHARED/blockcopytab
id=/dev/disk/by-id/virtio
printf '%s\n' "# NAME DEVICE DESTINATION METADATA OPTIONS" "vm-1 $id-SRC $id-DST $id-META bandwidth=16M,copy-mode=background" > "$tab"
modprobe dm-blockcopy
blockcopy boot attach --tab "$tab"
bio fill /dev/mapper/vm-1 0 64m 1
blockcopy boot resume --tab "$tab" | grep "no job"
blockcopy start vm-1 "$id-DST" --metadata "$id-META" --bandwidth 16M --copy-mode background
until [ "$(blockcopy info --json vm-1 | jq .copied_bytes)" -gt $((33 << 20)) ]; do
	sleep 0.1
done
bio write -d /dev/mapper/vm-1 5m 4k 2

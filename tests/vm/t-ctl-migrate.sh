#!/bin/bash
# description: moved to another machine's disk over the network, under a guest; the other machine goes on with it
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

modprobe -q nbd || skip "this kernel has no NBD client"
modprobe -q veth || skip "this kernel has no veth"
command -v nbdkit > /dev/null || skip "no nbdkit"
mib=16
null_disk src $mib
null_disk there $mib
mkfs.ext4 -q "$src"
linear_on vm "$src"
dev=/dev/mapper/$vm

# The other machine is a network namespace; its disk is one that this machine does not touch.
ip netns add far
ip link add near0 type veth peer name far0 netns far
ip address add 192.0.2.1/24 dev near0
ip link set near0 up
ip -n far address add 192.0.2.2/24 dev far0
ip -n far link set far0 up
ip -n far link set lo up
ip netns exec far nbdkit -f -p 10809 file "$there" &
server=$!
listens() {
	ip netns exec far ss -Htln | grep -q :10809
}
wait_for 20 listens

check "moved while the guest writes"
mkdir "$case_dir/fs"
mount "$dev" "$case_dir/fs"
case_mounts+=("$case_dir/fs")
dd if=/dev/urandom of="$case_dir/fs/before" bs=64k count=20 status=none
while [ ! -e "$case_dir/stop" ]; do
	dd if=/dev/urandom of="$case_dir/fs/during" bs=64k count=8 conv=fsync status=none || exit 1
done &
writer=$!
blockcopy start "$vm" nbd://192.0.2.2/ --synchronous-writes --force --wait --pivot > /dev/null
dd if=/dev/urandom of="$case_dir/fs/after" bs=64k count=8 conv=fsync status=none
touch "$case_dir/stop"
wait $writer
(cd "$case_dir/fs" && md5sum before during after) > "$case_dir/sums"

check "the guest stops here, and the other machine has its disk"
umount "$case_dir/fs"
dmsetup remove "$vm"
released() {
	[ -z "$(cat /sys/block/nbd*/backend 2> /dev/null)" ]
}
wait_for 20 released
kill $server
wait $server || true
drop_caches "$there"
e2fsck -fn "$there" > "$case_dir/fsck" 2>&1 || fail "$(cat "$case_dir/fsck")"
mount "$there" "$case_dir/fs"
(cd "$case_dir/fs" && md5sum --quiet -c "$case_dir/sums")
umount "$case_dir/fs"
ip netns del far
# "ip netns" has mounted that.
umount /run/netns

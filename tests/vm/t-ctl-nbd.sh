#!/bin/bash
# description: copies to NBD exports and qcow2 images: attached, pivoted to, released; servers and commands that are killed
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

modprobe -q nbd || skip "this kernel has no NBD client"
command -v nbdkit > /dev/null || skip "no nbdkit"
mib=16
null_disk src $mib
noise "$src" 6
linear_on vm "$src"
dev=/dev/mapper/$vm
home=$case_dir/home
mkdir "$home"
mount -t tmpfs -o size=256m none "$home"
case_mounts+=("$home")
export=$home/export
truncate -s ${mib}M "$export"
uri="nbd+unix:///?socket=$home/sock"

# same FILE: it is the device.
same() {
	drop_caches "$src"
	cmp "$src" "$1"
}
backends() {
	cat /sys/block/nbd*/backend 2> /dev/null
}
none_attached() {
	[ -z "$(backends)" ] && ! pgrep -x qemu-nbd > /dev/null
}
is_attached() {
	[[ $(backends) == "blockcopy:$1" ]]
}
find_device() {
	local backend
	backend=$(grep -lFx "blockcopy:$1" /sys/block/nbd*/backend 2> /dev/null)
	backend=${backend%/backend}
	echo "/dev/${backend##*/}"
}
start() {
	blockcopy start "$vm" "$@" > /dev/null
}
# serve [OPTION...]: a server of $export, until stop_server.
serve() {
	rm -f "$home/sock" "$home/pid"
	nbdkit -U "$home/sock" -P "$home/pid" "$@" file "$export"
	wait_for 10 test -s "$home/pid"
	server=$(< "$home/pid")
}
stop_server() {
	kill "$1" "$server"
	wait_for 10 gone "$server"
}

check "what cannot be connected to"
refuses 1 "cannot connect" start "$uri"
refuses 1 "cannot connect" start "nbd://127.0.0.1:1/x"
refuses 2 "needed raw" start "$uri" --format qcow2
refuses 6 "needed a block device with --blockdev" start "$uri" --blockdev
serve -r
refuses 6 "found a read-only export" start "$uri"
stop_server -TERM
truncate -s 8M "$export"
serve
refuses 6 "found 8388608 bytes, needed at least" start "$uri"
stop_server -TERM
truncate -s ${mib}M "$export"
none_attached || fail "left: $(backends)"

check "an export: pivoted to, and it goes with the device"
serve
guest_on guest "$vm"
start "$uri" --wait
is_attached "$uri" || fail "attached: $(backends)"
expect "destination in info" "$(info "$vm" destination_spec)" "$uri"
blockcopy pivot "$vm" > /dev/null
is_attached "$uri" || fail "the device lost it"
guest_off "$guest" "$vm"
# It is a guest's disk now: a request waits, also for longer than a job's.
kill -STOP "$server"
(sleep 35 && kill -CONT "$server") &
bio write "$dev" 1m 64k 7
blockcopy recover > /dev/null
is_attached "$uri" || fail "recover took it away"
exec 7< "$(find_device "$uri")"
dmsetup remove "$vm"
blockcopy recover > /dev/null
is_attached "$uri" || fail "recover took it away from somebody who has it open"
exec 7<&-
wait_for 10 none_attached
stop_server -TERM
bio verify "$export" 1m 64k 7

check "by TCP: finished, aborted"
linear_on vm "$src"
dev=/dev/mapper/$vm
ip link set lo up
rm -f "$home/pid"
nbdkit -i 127.0.0.1 -p 10899 -P "$home/pid" file "$export"
wait_for 10 test -s "$home/pid"
server=$(< "$home/pid")
start "nbd://127.0.0.1:10899/" --finish --force
wait_for 10 none_attached
same "$export"
start "nbd://127.0.0.1:10899/" --force --bandwidth 1
blockcopy abort "$vm" > /dev/null
wait_for 10 none_attached
stop_server -TERM

for when in "--bandwidth 1" --wait; do
	check "the server killed ($when): the job fails, the guest does not notice; started again, it goes on"
	serve
	# shellcheck disable=SC2086
	start "$uri" --force $when
	guest_on guest "$vm"
	stop_server -KILL
	wait_for 60 status_is "$vm" state failed
	refuses 1 "cannot connect" blockcopy resume "$vm"
	# What it had acknowledged and not flushed went with it.
	dd if=/dev/zero of="$export" bs=64k seek=100 count=1 conv=notrunc status=none
	serve
	blockcopy set "$vm" bandwidth=0
	blockcopy resume "$vm"
	# What was under way is over when the kernel's client says so.
	wait_for 60 status_is "$vm" state ready
	guest_off "$guest" "$vm"
	blockcopy pause "$vm"
	wait_for 20 status_is "$vm" inflight_bytes 0
	same "$export"
	blockcopy resume "$vm"

	check "and killed again: aborted"
	stop_server -KILL
	bio write "$dev" 2m 64k 9
	wait_for 60 status_is "$vm" state failed
	blockcopy abort --async "$vm" > /dev/null
	plain "$vm" "$src"
	wait_for 60 none_attached
	serve
	start "$uri" --force --finish
	same "$export"
	wait_for 10 none_attached
	stop_server -TERM
done

check "qcow2: created, finished"
img=$home/copy.qcow2
start "$img" --format qcow2 --target-is-zero --finish
wait_for 10 none_attached
expect "mode" "$(stat -c %a "$img")" 600
expect "format" "$(qemu-img info --output=json "$img" | jq -r .format)" qcow2
drop_caches "$src"
qemu-img compare -q -f raw -F qcow2 "$src" "$img" || fail "the image differs"
refuses 6 "found a file that is not empty" start "$img" --format qcow2
refuses 6 "needed a file for the format" start "$case_dir/none/x" --format qcow2
start "$img" --format qcow2 --reuse-external --force --finish
refuses 1 "" start "$img" --format vmdk --reuse-external

check "qcow2: pivoted to, the guest goes on, and it goes with the device"
guest_on guest "$vm"
start "$img" --format qcow2 --reuse-external --force --wait --pivot
is_attached "qcow2:$img" || fail "attached: $(backends)"
guest_off "$guest" "$vm"
bio write "$dev" 3m 64k 9
blockcopy start "$vm" "$src" --force --wait --pivot > /dev/null
wait_for 10 none_attached
bio verify "$dev" 3m 64k 9
qemu-img check -q "$img" || fail "the image is damaged"

check "killed while it attaches: recover leaves nothing, and the same command goes on"
command -v strace > /dev/null || skip "no strace to kill the tool at a given call"
rm "$img"
# Without -f: strace would stay as long as the server, which is what is to be seen.
strace -q -o "$case_dir/strace" blockcopy start "$vm" "$img" --format qcow2 --finish > /dev/null
wait_for 10 none_attached
rm "$img"
tries=0
for call in clone clone3 wait4 bind connect sendmsg recvmsg openat ioctl; do
	made=$(grep -c "^$call(" "$case_dir/strace") || true
	for ((n = made; n > 0 && n > made - 10; n--)); do
		status=0
		strace -q -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" \
			blockcopy start "$vm" "$img" --format qcow2 --finish > /dev/null 2>&1 || status=$?
		[ $status = 0 ] || tries=$((tries + 1))
		serves "$vm"
		blockcopy recover > "$case_dir/recovered" 2>&1
		is_job "$vm" || wait_for 10 none_attached
		blockcopy abort "$vm" > /dev/null
		wait_for 10 none_attached
		# It may have been killed while qemu-img made it: then it is no image, and not taken for an empty one.
		if [ -e "$img" ] && qemu-img compare -q -f qcow2 -F raw "$img" /dev/null 2> /dev/null; then
			start "$img" --format qcow2 --finish
		fi
		rm -f "$img"
	done
done
echo "  killed $tries times"
[ $tries -ge 20 ] || fail "killed only $tries times"
plain "$vm" "$src"

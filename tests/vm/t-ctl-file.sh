#!/bin/bash
# description: copies to a file: created, reused, refused; nothing stays attached, whatever ends the job or the command
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 1200
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

modprobe -q loop || skip "this kernel has no loop"
mib=16
null_disk src $mib
noise "$src" 6
linear_on vm "$src"
dev=/dev/mapper/$vm
# In memory, and not on the overlay, which a loop device reads through the page cache.
home=$case_dir/home
mkdir "$home"
mount -t tmpfs -o size=256m none "$home"
case_mounts+=("$home")
img=$home/copy.img
loops() {
	losetup -n -O BACK-FILE
}
none_attached() {
	[ -z "$(loops)" ]
}
is_attached() {
	[ "$(loops)" = "$1" ]
}
# same FILE: it is the device.
same() {
	drop_caches "$src"
	cmp "$src" "$1"
}
start() {
	blockcopy start "$vm" "$@" > /dev/null
}

check "created, and pivoted to: the device keeps it until it goes"
guest_on guest "$vm"
start "$img" --wait
is_attached "$img" || fail "attached: $(loops)"
expect "file in info" "$(info "$vm" destination_spec)" "$img"
[[ $(blockcopy info "$vm") == *"/dev/loop"*" ($img)"* ]] || fail "info does not name the file"
[[ $(blockcopy list) == *"$img"* ]] || fail "list does not name the file"
expect "size" "$(stat -c %s "$img")" $((mib << 20))
expect "mode" "$(stat -c %a "$img")" 600
blockcopy pivot "$vm" > /dev/null
is_attached "$img" || fail "the device lost it"
guest_off "$guest" "$vm"
bio write "$dev" 1m 64k 7
blockcopy recover > /dev/null
is_attached "$img" || fail "recover took it away"
bio verify "$dev" 1m 64k 7
dmsetup remove "$vm"
wait_for 10 none_attached
bio verify "$img" 1m 64k 7

check "finished: the file is the device, and has holes where that has zeroes"
linear_on vm "$src"
dev=/dev/mapper/$vm
rm "$img"
dd if=/dev/zero of="$dev" bs=1M seek=8 count=8 oflag=direct status=none
start --dest "$img" --format raw --finish --detect-zeroes unmap
wait_for 10 none_attached
same "$img"
[ "$(stat -c %b "$img")" -lt $((9 << 11)) ] || fail "$(stat -c %b "$img") blocks are allocated"

check "reused: what is there, and only if told so"
refuses 6 "found a file that is not empty" start "$img"
refuses 6 "found a file that is not empty" start "$img" --force
bio write "$dev" 2m 64k 8
start "$img" --reuse-external --force --finish
same "$img"
refuses 3 "found no such file" start "$home/none" --reuse-external
truncate -s 8M "$home/small"
refuses 6 "/small: found 8388608 bytes, needed at least" start "$home/small" --reuse-external
refuses 6 "needed a block device with --blockdev" start "$home/new" --blockdev
refuses 3 "cannot look at the destination" start /dev/nosuch
refuses 3 "cannot look at the destination" start nosuch
refuses 1 "cannot create" start "/proc/nosuch"
refuses 2 "found more than one destination" start "$img" --dest "$img"
refuses 2 "found no destination" blockcopy start "$vm"
refuses 2 "needed raw, qcow2" start "$home/new" --format qcow3
python3 -c 'import fcntl, sys, time
f = open(sys.argv[1], "r+")
fcntl.lockf(f, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(1000)' "$img" > "$case_dir/locked" &
locker=$!
wait_for 10 grep -q locked "$case_dir/locked"
refuses 6 "found it locked by a process" start "$img" --reuse-external --force
kill $locker
wait $locker || true
wait_for 10 none_attached

check "as libvirt describes it"
blockcopy start "$vm" "$home/xml" --print-xml > "$case_dir/xml"
blockcopy start "$vm" --xml "$case_dir/xml" --finish > /dev/null
same "$home/xml"
wait_for 10 none_attached
refuses 6 "needed a block device with --blockdev" blockcopy start "$vm" --xml - <<< "<disk type='block'><source dev='$home/none'/></disk>"
refuses 2 "<disk>: found <readonly>" blockcopy start "$vm" --xml - <<< "<disk type='file'><source file='$home/none'/><readonly/></disk>"
refuses 1 "No such file" blockcopy start "$vm" --xml "$home/nosuch"

check "an empty one is as good as none; dry-run makes nothing"
: > "$home/empty"
[[ $(blockcopy start "$vm" "$home/empty" --dry-run) == "attach as DEVICE $home/empty"* ]] || fail "dry-run"
expect "size" "$(stat -c %s "$home/empty")" 0
start "$home/empty" --raw --finish
same "$home/empty"

check "what a refusal has made is gone again"
refuses 6 "found it in use" start "$home/new" --metadata "$src"
refuses 6 "own source or destination" start "$home/new" --metadata "$dev"
[ ! -e "$home/new" ] || fail "a file is left"
wait_for 10 none_attached

check "on the device's own file system"
mkfs.ext4 -q -F "$dev"
mkdir "$case_dir/own"
mount "$dev" "$case_dir/own"
case_mounts+=("$case_dir/own")
refuses 6 "found a device that stands on the source" start "$case_dir/own/copy.img"
[ ! -e "$case_dir/own/copy.img" ] || fail "a file is left"
umount "$case_dir/own"

check "aborted, also with the loop device of somebody else"
start "$home/aborted"
blockcopy abort "$vm" > /dev/null
wait_for 10 none_attached
loop=$(losetup -f --show "$home/aborted")
start "$home/aborted" --reuse-external --force --wait
expect "destination" "$(info "$vm" destination)" "$loop"
blockcopy abort "$vm" > /dev/null
is_attached "$home/aborted" || fail "somebody else's loop device was taken away"
losetup -d "$loop"

check "virsh blockjob"
start "$home/job" --reuse-external --transient-job 2> /dev/null && fail "there is no such file"
said "No current block job for $vm" blockcopy job "$vm"
expect "raw" "$(blockcopy job "$vm" --raw)" ""
refuses 3 "no such" blockcopy job "$case_id-none"
start "$home/job" --bandwidth 1
# However long the rest takes, it is not ready.
blockcopy pause "$vm"
said "Block Copy: [" blockcopy job "$vm" --info
said "Bandwidth limit: 1048576 bytes/s (1.0 MiB/s)" blockcopy job "$vm"
blockcopy job "$vm" 3
expect "raw" "$(blockcopy job "$vm" --raw | sed -n 2p)" " bandwidth=3"
blockcopy job "$vm" --bytes --bandwidth 5000000
expect "raw" "$(blockcopy job "$vm" --raw | sed -n 2p)" " bandwidth=5"
expect "raw" "$(blockcopy job "$vm" --raw --bytes | sed -n 2p)" " bandwidth=5000000"
expect "raw" "$(blockcopy job "$vm" --raw --bytes | sed -n 4p)" " end=$((mib << 20))"
refuses 4 "" blockcopy job "$vm" --pivot
refuses 2 "more than one" blockcopy job "$vm" --abort --info
blockcopy job "$vm" 0
blockcopy resume "$vm"
wait_ready "$vm"
blockcopy job "$vm" --abort > /dev/null
same "$home/job"
start "$home/job" --reuse-external --force --wait
blockcopy job "$vm" --abort --pivot > /dev/null
is_attached "$home/job" || fail "no pivot"
blockcopy start "$vm" "$src" --force --wait --pivot > /dev/null
wait_for 10 none_attached
start "$home/job2" --bandwidth 1
blockcopy job "$vm" --abort --async > /dev/null
wait_for 10 none_attached
plain "$vm" "$src"

check "killed while it attaches: nothing stays, and the same command goes on"
command -v strace > /dev/null || skip "no strace to kill the tool at a given call"
rm "$img"
calls_of blockcopy start "$vm" "$img" --finish
wait_for 10 none_attached
rm "$img"
tries=0
while read -r call n changes; do
	[[ -n $changes || $call =~ ^(openat|ioctl|ftruncate|fsync)$ && $((n % 7)) = 0 ]] || continue
	! killed_at "$call" "$n" blockcopy start "$vm" "$img" --finish || break
	tries=$((tries + 1))
	serves "$vm"
	blockcopy recover "$vm" > /dev/null 2>&1
	is_job "$vm" || wait_for 10 none_attached
	blockcopy abort "$vm" > /dev/null
	wait_for 10 none_attached
	if [ -e "$img" ] && [ "$(stat -c %b "$img")" = 0 ]; then
		start "$img" --finish
		same "$img"
	fi
	rm -f "$img"
done < "$case_dir/calls"
echo "  killed $tries times"
[ $tries -ge 20 ] || fail "killed only $tries times"
plain "$vm" "$src"

#!/bin/bash
# description: every refusal of the tool: exit status, one line that names device, found and needed, nothing changed
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

null_disk src 32
null_disk dst 32
linear_on disk "$src"

check "usage"
refuses 2 "no command" blockcopy
refuses 2 "no such command" blockcopy copy
refuses 2 "too few arguments" blockcopy start
refuses 2 "too many arguments" blockcopy info "$disk" x
refuses 2 "does not apply to info" blockcopy info "$disk" --bandwidth 5
refuses 2 "--nonsense" blockcopy start "$disk" "$dst" --nonsense
refuses 2 "needs a value" blockcopy start "$disk" "$dst" --timeout
refuses 2 "found more than one destination" blockcopy start "$disk" "$dst" --xml=file
refuses 2 "--xml says what the destination is" blockcopy start "$disk" --xml=file --format raw
refuses 2 "--xml says what the destination is" blockcopy start "$disk" --xml=file --blockdev
refuses 2 "--raw and --format qcow2 exclude" blockcopy start "$disk" "$dst" --raw --format qcow2
refuses 2 "sync top: not supported by this version" blockcopy start "$disk" "$dst" --sync top
refuses 2 "sync incremental: not supported by this version" blockcopy start "$disk" "$dst" --sync incremental
refuses 2 'sync: found "all", needed full, none or bitmap' blockcopy start "$disk" "$dst" --sync all
refuses 2 "--async needs --wait" blockcopy start "$disk" "$dst" --async
refuses 2 "--bytes is for a bandwidth" blockcopy job "$disk" --abort --bytes
refuses 2 "synchronous-writes" blockcopy start "$disk" "$dst" --synchronous-writes --copy-mode auto
refuses 2 "write-timeout" blockcopy start "$disk" "$dst" --write-timeout 5
refuses 2 "on-target-error" blockcopy start "$disk" "$dst" --on-target-error retry
refuses 2 "copy-mode" blockcopy start "$disk" "$dst" --copy-mode sideways
refuses 2 "bandwidth" blockcopy start "$disk" "$dst" --bandwidth -1
refuses 2 "bandwidth" blockcopy start "$disk" "$dst" --bandwidth 99999999999999999999
refuses 2 "power of two" blockcopy start "$disk" "$dst" --granularity 100000
refuses 2 "power of two" blockcopy start "$disk" "$dst" --granularity 2K
refuses 2 "buf-size" blockcopy start "$disk" "$dst" --buf-size 4K
refuses 2 "max-blackout" blockcopy start "$disk" "$dst" --max-blackout 0
refuses 2 "timeout" blockcopy start "$disk" "$dst" --timeout 0
refuses 2 "exclude each other" blockcopy start "$disk" "$dst" --pivot --finish
refuses 2 "KEY=VALUE" blockcopy set "$disk" bandwidth
refuses 2 "needed one of bandwidth=" blockcopy set "$disk" colour=red
refuses 2 "copy-mode" blockcopy set "$disk" copy-mode=sideways
refuses 3 "no copy job" blockcopy set "$disk" copy-mode=auto

check "the name"
refuses 3 "no such dm device" blockcopy start "$case_id-none" "$dst"
refuses 3 "no such dm device" blockcopy start "/dev/mapper/$case_id-none" "$dst"
refuses 3 "no such dm device" blockcopy info 254:1048575
refuses 3 "no copy job" blockcopy info "$disk"
refuses 3 "no copy job" blockcopy pivot "$disk"
refuses 3 "no copy job" blockcopy pause "$disk"
refuses 3 "no copy job" blockcopy wait "$disk"
refuses 3 "no copy job" blockcopy monitor "$disk"
refuses 6 "blockcopy attach $src NAME" blockcopy start "$src" "$dst"
refuses 6 "not a block device" blockcopy start /dev/null "$dst"
refuses 3 "cannot look at the destination" blockcopy start "$disk" /dev/nosuch
refuses 3 "no device has this tag" blockcopy start "$disk" UUID=0bad0bad-0bad-0bad-0bad-0bad0bad0bad
refuses 6 "not a block device" blockcopy start "$disk" /dev/null

check "the destination: size, read-only, logical blocks, zones"
null_disk small 31
refuses 6 "found $((31 << 20)) bytes, needed at least $((32 << 20)) bytes" blockcopy start "$disk" "$small"
blockdev --setro "$dst"
refuses 6 "found it read-only" blockcopy start "$disk" "$dst"
blockdev --setrw "$dst"
null_disk big_blocks 32 blocksize=4096
refuses 6 "found logical blocks of 4096 bytes" blockcopy start "$disk" "$big_blocks"

check "the destination: relations to the source"
refuses 6 "found the source itself" blockcopy start "$disk" "/dev/mapper/$disk"
refuses 6 "found a device that the source stands on" blockcopy start "$disk" "$src"
linear_on above "/dev/mapper/$disk"
refuses 6 "found a device that stands on the source" blockcopy start "$disk" "/dev/mapper/$above"
refuses 6 "found a device that the source stands on" blockcopy start "$above" "/dev/mapper/$disk"
refuses 6 "found a device that the source stands on" blockcopy start "$above" "$src"
dmsetup remove "$above"
null_disk shared 64
dm_new low "0 65536 linear $shared 0"
dm_new mid "0 65536 linear $shared 65528"
dm_new high "0 65536 linear $shared 65536"
refuses 6 "found sectors of $shared in it that are the source's too" blockcopy start "$low" "/dev/mapper/$mid"
refuses 6 "found sectors of $shared in it that are the source's too" blockcopy start "$high" "/dev/mapper/$mid"
blockcopy start "$low" "/dev/mapper/$high" --dry-run > /dev/null || fail "two halves of a disk are two devices"
dmsetup remove "$low"
dmsetup remove "$mid"
dmsetup remove "$high"

check "the destination: partitions"
# A DOS table with two partitions, 2048+65536 and 67584+63488.
loop_disk parted 64M
{
	head -c 446 /dev/zero
	printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\0\x01\0'
	printf '\0\0\0\0\x83\0\0\0\0\x08\x01\0\0\xf8\0\0'
	head -c 32 /dev/zero
	printf '\x55\xaa'
} | dd of="$parted" conv=notrunc status=none
losetup -d "$parted"
parted=$(losetup -f --show --partscan "$parted_file")
wait_for 5 test -b "${parted}p2"
linear_on on_part "${parted}p1"
refuses 6 "found the whole disk of a partition that the source stands on" blockcopy start "$on_part" "$parted" --force
dmsetup remove "$on_part"
linear_on on_whole "$parted"
refuses 6 "found a partition of a disk that the source stands on" blockcopy start "$on_whole" "${parted}p1" --force
dmsetup remove "$on_whole"
linear_on other_part "${parted}p2"
refuses 6 "found a partition of it held by the dm device $other_part" blockcopy start "$disk" "$parted" --force
dmsetup remove "$other_part"
linear_on other_whole "$parted"
refuses 6 "found its whole disk held by the dm device $other_whole" blockcopy start "$disk" "${parted}p1" --force
dmsetup remove "$other_whole"
refuses 6 "found a dos partition table" blockcopy start "$disk" "$parted"

check "the destination: a loop device over a file on the source"
mkfs.ext4 -q "/dev/mapper/$disk"
mkdir -p "$case_dir/on_disk"
case_mounts+=("$case_dir/on_disk")
mount "/dev/mapper/$disk" "$case_dir/on_disk"
truncate -s 32M "$case_dir/on_disk/image"
inner=$(losetup -f --show "$case_dir/on_disk/image")
refuses 6 "found a device that stands on the source" blockcopy start "$disk" "$inner" --force
losetup -d "$inner"
umount "$case_dir/on_disk"

check "the destination: in use"
linear_on holder "$dst"
refuses 6 "held by the dm device $holder" blockcopy start "$disk" "$dst" --force
dmsetup remove "$holder"
mkfs.ext4 -q -L "my data" "$dst"
mkdir -p "$case_dir/mnt"
case_mounts+=("$case_dir/mnt")
mount "$dst" "$case_dir/mnt"
refuses 6 "mounted on $case_dir/mnt" blockcopy start "$disk" "$dst" --force
umount "$case_dir/mnt"
mkswap "$dst" > /dev/null 2>&1
if swapon "$dst" 2> /dev/null; then
	refuses 6 "in use as swap" blockcopy start "$disk" "$dst" --force
	swapoff "$dst"
fi
if modprobe -q raid1 && command -v mdadm > /dev/null; then
	null_disk md_a 32
	null_disk md_b 32
	md=/dev/md97
	MDADM_NO_UDEV=1 mdadm --create --quiet --run $md --level 1 --raid-devices 2 --metadata 1.2 "$md_a" "$md_b"
	refuses 6 "held by $md" blockcopy start "$disk" "$md_a" --force
	mdadm --stop --quiet $md
	refuses 6 "linux_raid_member" blockcopy start "$disk" "$md_a"
fi

check "the destination: signatures"
wipefs -qa "$dst"
mkfs.ext4 -q -L "my data" "$dst"
refuses 6 'found an ext4 file system ("my data")' blockcopy start "$disk" "$dst"
wipefs -qa "$dst"
mkswap "$dst" > /dev/null 2>&1
refuses 6 "found a swap" blockcopy start "$disk" "$dst"
wipefs -qa "$dst"

check "the destination: of another job"
null_disk src2 32
linear_on disk2 "$src2"
blockcopy start "$disk" "$dst" > /dev/null
refuses 6 "found it as the destination of a job on the dm device $disk" blockcopy start "$disk2" "$dst" --force

check "the state of the job"
refuses 4 "found a job on it already" blockcopy start "$disk" "$src2"
wait_ready "$disk"
blockcopy pause "$disk"
refuses 4 "needed it ready to pivot" blockcopy pivot "$disk"
refuses 4 "needed it ready to finish" blockcopy finish "$disk"
refuses 4 "found a copy job on it" blockcopy detach "$disk"
refuses 2 "max-blackout" blockcopy pivot "$disk" --max-blackout 60001
refuses 2 "needed 1M to 256M" blockcopy set "$disk" buf-size=1K
blockcopy abort "$disk" > /dev/null
blockcopy abort "$disk" > /dev/null || fail "abort is not idempotent"
plain "$disk" "$src"

check "the source"
dmsetup suspend "$disk2"
refuses 4 "found it suspended" blockcopy start "$disk2" "$dst"
dmsetup resume "$disk2"
dmsetup load "$disk2" --table "0 65536 linear $src2 0"
refuses 4 "found an inactive table" blockcopy start "$disk2" "$dst"
dmsetup clear "$disk2"
new_name ro ro
dmsetup create "$ro" --readonly --table "0 65536 linear $src2 0"
refuses 6 "found it read-only" blockcopy start "$ro" "$dst"
new_name empty empty
dmsetup create "$empty" --notable
refuses 6 "found a device without a table" blockcopy start "$empty" "$dst"
if modprobe -q dm-mirror; then
	null_disk leg 32
	dm_new mirror "0 65536 mirror core 2 1024 nosync 2 $src2 0 $leg 0"
	refuses 6 "found a table with target mirror" blockcopy start "$mirror" "$dst"
fi
if modprobe -q dm-multipath && modprobe -q dm-round-robin; then
	null_disk path 32
	if dmsetup create "$case_id-mpath" --table "0 65536 multipath 0 0 1 1 round-robin 0 1 1 $(devno "$path") 1000" 2> /dev/null; then
		refuses 6 "found a request-based dm device" blockcopy start "$case_id-mpath" "$dst"
	fi
fi

check "zones"
if [ -e /sys/kernel/config/nullb/features ] && grep -q zoned /sys/kernel/config/nullb/features &&
	mkdir "/sys/kernel/config/nullb/$case_id-z"; then
	zdir=/sys/kernel/config/nullb/$case_id-z
	case_nulls+=("$zdir")
	if (echo 64 > "$zdir/size" && echo 1 > "$zdir/memory_backed" && echo 1 > "$zdir/zoned" && echo 4 > "$zdir/zone_size" &&
		echo 1 > "$zdir/power") 2> /dev/null; then
		zoned=/dev/$case_id-z
		[ -b "$zoned" ] || zoned=/dev/nullb$(< "$zdir/index")
		refuses 6 "found a zoned device" blockcopy start "$disk" "$zoned" --force
		refuses 6 "found a zoned device" blockcopy attach "$zoned" "$case_id-zoned"
	fi
fi

check "a helper device"
wipefs -qa "$dst"
null_disk src3 32
dm_new two "0 32768 linear $src3 0
32768 32768 linear $src3 32768"
blockcopy start "$two" "$dst" > /dev/null
refuses 6 "found the helper device of a job" blockcopy start "$two-blockcopy" "$src2"
blockcopy abort "$two" > /dev/null
no_helper "$two"
wipefs -qa "$dst"
dmsetup create "$two-blockcopy" --table "0 8 zero"
refuses 6 "found another device of this name" blockcopy start "$two" "$dst"
dmsetup remove "$two-blockcopy"

check "what only the kernel can know: its own words, and the helper is gone again"
dm_new huge "0 $((1 << 40)) zero"
dm_new huge_to "0 $((1 << 40)) zero"
refuses 1 "the kernel refused the new table: blockcopy: " blockcopy start "$huge" "/dev/mapper/$huge_to" --granularity 4K
no_helper "$huge"
dmsetup remove "$huge"
dmsetup remove "$huge_to"

check "attach, detach"
refuses 6 "found a dm device already" blockcopy attach "/dev/mapper/$disk" "$case_id-att"
refuses 6 "found it in use" blockcopy attach "$src" "$case_id-att"
refuses 2 "not a name" blockcopy attach "$dst" "a/b"
refuses 4 "found a dm device of this name" blockcopy attach "$dst" "$disk2"
refuses 3 "cannot look at" blockcopy attach /dev/nosuch "$case_id-att"
mkfs.ext4 -q "$dst"
mount "$dst" "$case_dir/mnt"
refuses 6 "mounted on" blockcopy attach "$dst" "$case_id-att"
umount "$case_dir/mnt"
refuses 6 "did not make" blockcopy detach "$two"
blockcopy attach "$dst" "$case_id-att"
exec 7< "/dev/mapper/$case_id-att"
refuses 6 "found it open" blockcopy detach "$case_id-att"
exec 7<&-
blockcopy detach "$case_id-att"

check "no permission"
if command -v setpriv > /dev/null; then
	refuses 1 "must be root" setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v blockcopy)" info "$disk"
	refuses 1 "must be root" setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v blockcopy)" start "$disk" "$dst"
fi

# UML's KASAN does not forget the variables of a module that was unloaded, and takes a module that is
# loaded to the same address for a stray write.
[ "${BLOCKCOPY_KERNEL:-}" != uml-debug ] || exit 0

check "no module"
wipefs -qa "$dst"
modprobe -r dm-blockcopy
echo 'install dm-blockcopy /bin/false' > "/run/modprobe.d-$case_id"
mkdir -p /run/modprobe.d
mv "/run/modprobe.d-$case_id" /run/modprobe.d/$case_id.conf
refuses 1 "modprobe dm-blockcopy" blockcopy start "$disk" "$dst"
rm "/run/modprobe.d/$case_id.conf"
blockcopy start "$disk" "$dst" > /dev/null || fail "the kernel did not load the module by itself"
blockcopy abort "$disk" > /dev/null

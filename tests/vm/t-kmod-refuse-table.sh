#!/bin/bash
# description: every table line that is refused: its own reason each, and nothing changed
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
linear_on disk "$src"
live=$(dmsetup table "$disk")
len=$(sectors "$src")
declare -A reasons

# refuse REASON LINE-AFTER-TARGET-NAME: the kernel log has the reason
refuse_table() {
	local reason=$1 table=$2 said
	log_mark
	refused dmsetup load "$disk" --table "$table"
	said=$(log_since | sed -n 's/.*device-mapper: table: [0-9:]*: blockcopy: \(.*\) (-\{0,1\}[A-Z0-9]*)$/\1/p' | tail -n 1)
	[[ $said == *"$reason"* ]] || fail "wanted '$reason', kernel says '$said': $table"
	reasons[$said]=1
	[ "$(dmsetup table "$disk")" = "$live" ] || fail "the live table changed"
	[ -z "$(dmsetup table --inactive "$disk")" ] || fail "there is an inactive table now"
}

refuse() {
	refuse_table "$1" "0 $len blockcopy $2"
}

check "words and numbers"
refuse "Need source" "$src 0 $dst 0"
refuse "Need source" ""
refuse "Source offset" "$src x $dst 0 128"
refuse "Source offset" "$src -1 $dst 0 128"
refuse "Source offset" "$src 18446744073709551615 $dst 0 128"
refuse "Destination offset" "$src 0 $dst 0x 128"
refuse "Destination offset" "$src 0 $dst 18446744073709551615 128"
refuse "Cannot open source" "/dev/no-such-device 0 $dst 0 128"
refuse "Cannot open destination" "$src 0 /dev/no-such-device 0 128"
refuse "Cannot open destination" "$src 0 /dev/null 0 128"
for region in 0 4 7 100 129 262144 -128 128k 99999999999999999999; do
	refuse "Region size" "$src 0 $dst 0 $region"
done
refuse "Number of arguments: need a number" "$src 0 $dst 0 128 x"
refuse "Number of arguments is not how many follow" "$src 0 $dst 0 128 1"
refuse "Number of arguments is not how many follow" "$src 0 $dst 0 128 1 paused paused"
refuse "Number of arguments is not how many follow" "$src 0 $dst 0 128 0 paused"
refuse "Unknown argument" "$src 0 $dst 0 128 1 faster"
refuse "Unknown argument" "$src 0 $dst 0 128 1 PAUSED"
refuse "Argument given twice" "$src 0 $dst 0 128 2 paused paused"
refuse "Argument given twice" "$src 0 $dst 0 128 4 bandwidth 1 bandwidth 2"
for word in copy_mode sync bandwidth buf_size write_timeout detect_zeroes on_source_error on_target_error metadata; do
	refuse "Last argument lacks its value" "$src 0 $dst 0 128 1 $word"
done
refuse "copy_mode:" "$src 0 $dst 0 128 2 copy_mode forward"
refuse "sync:" "$src 0 $dst 0 128 2 sync top"
refuse "sync bitmap: need metadata" "$src 0 $dst 0 128 2 sync bitmap"
refuse "Cannot open metadata device" "$src 0 $dst 0 128 2 metadata /dev/no-such-device"
refuse "Metadata device is a leg" "$src 0 $dst 0 128 2 metadata $dst"
refuse "bandwidth:" "$src 0 $dst 0 128 2 bandwidth 1M"
refuse "bandwidth:" "$src 0 $dst 0 128 2 bandwidth -1"
for size in 0 1048575 268435457 x; do
	refuse "buf_size:" "$src 0 $dst 0 128 2 buf_size $size"
done
refuse "detect_zeroes:" "$src 0 $dst 0 128 2 detect_zeroes yes"
refuse "on_source_error:" "$src 0 $dst 0 128 2 on_source_error retry"
refuse "on_target_error:" "$src 0 $dst 0 128 2 on_target_error STOP"
for ms in 0 9 60001 1s; do
	refuse "write_timeout:" "$src 0 $dst 0 128 2 write_timeout $ms"
done
refuse "exclude each other" "$src 0 $dst 0 128 2 pivoted finished"

check "sizes"
null_disk small 16
refuse "Destination is smaller" "$src 0 $small 0 128"
refuse "Destination is smaller" "$src 0 $dst 8 128"
refuse "Source is smaller" "$src 8 $dst 0 128"

check "the same device, and the device itself"
refuse "overlap" "$src 0 $src 0 128"
refuse "overlap" "$dst 0 $dst 0 128"
dmsetup create "$case_id-halves" --table "0 32768 blockcopy $dst 0 $dst 32768 128"
dmsetup remove "$case_id-halves"
log_mark
refused dmsetup create "$case_id-halves" --table "0 32768 blockcopy $dst 0 $dst 32760 128"
in_log "overlap" || fail "one region too long: $(log_since)"
log_mark
refused dmsetup load "$disk" --table "0 $len blockcopy $src 0 /dev/mapper/$disk 0 128"
# The core of newer kernels sees it first.
in_log "A leg is the device itself" || in_log "Cannot open destination" || fail "$(log_since)"
log_mark
refused dmsetup load "$disk" --table "0 $len blockcopy /dev/mapper/$disk 0 $dst 0 128"
in_log "A leg is the device itself" || in_log "Cannot open source" || fail "$(log_since)"

check "partitions of one disk"
loop_disk whole 64M
if addpart "$whole" 1 2048 65536 2> /dev/null; then
	part=${whole}p1
	wait_for 5 test -b "$part"
	# Held as a whole, its parts are held too; the kernel sees that before we do.
	refuse "Cannot open destination (missing, or in use)" "$whole 0 $part 0 128"
	refuse "Cannot open destination (missing, or in use)" "$part 0 $whole 4096 128"
	delpart "$whole" 1
else
	echo "  no partitions in this kernel"
fi

check "the destination is read-only"
blockdev --setro "$dst"
refuse "estination" "$src 0 $dst 0 128"
blockdev --setrw "$dst"

check "the destination is mounted, or swap"
mkfs.ext4 -q "$dst"
mkdir "$case_dir/mnt"
mount "$dst" "$case_dir/mnt"
case_mounts+=("$case_dir/mnt")
refuse "Cannot open destination (missing, or in use)" "$src 0 $dst 0 128"
umount "$case_dir/mnt"
mkswap -q "$dst" 2> /dev/null || mkswap "$dst" > /dev/null
swapon "$dst"
refuse "Cannot open destination (missing, or in use)" "$src 0 $dst 0 128"
swapoff "$dst"

check "logical blocks"
null_disk coarse 32 blocksize=4096
refuse "larger logical blocks" "$src 0 $coarse 0 128"
null_disk big 64
linear_on cdisk "$coarse"
log_mark
refused dmsetup load "$cdisk" --table "0 $((len - 8)) blockcopy $coarse 1 $big 0 128"
in_log "Offset is not a multiple" || fail "$(log_since)"
# The other way round is fine, and 4 KiB are the smallest region.
dmsetup load "$cdisk" --table "0 $len blockcopy $coarse 0 $big 1 8"
dmsetup clear "$cdisk"

check "zoned"
null_disk zones 32 zoned=1 zone_size=4
refuse "Zoned devices are not supported" "$src 0 $zones 0 128"

check "in use by another job"
null_disk src2 32
linear_on disk2 "$src2"
start_job "$disk2" "$src2" "$dst" paused
refuse "in use by another blockcopy job" "$src 0 $dst 0 128"
refuse "in use by another blockcopy job" "$src 0 $src2 0 128"
refuse "in use by another blockcopy job" "$dst 0 $big 0 128"
dmsetup remove "$disk2"

check "more than one line, and not from the beginning"
log_mark
for table in "0 1024 blockcopy $src 0 $dst 0 128
1024 1024 linear $src 1024" "0 1024 linear $src 0
1024 1024 blockcopy $src 1024 $dst 1024 128"; do
	log_mark
	refused dmsetup load "$disk" <<< "$table"
	in_log "singleton" || in_log "must appear alone" || in_log "must begin at sector 0" || fail "$(log_since)"
done
refused dmsetup load "$disk" --table "1024 1024 blockcopy $src 0 $dst 0 128"

check "too many regions"
log_mark
refused dmsetup load "$disk" --table "0 $((1 << 42)) blockcopy $src 0 $dst 0 8"
in_log "Too many regions" || fail "$(log_since)"

check "what was refused left nothing behind: both disks are free"
dmsetup remove "$disk"
for dev in "$src" "$dst"; do
	linear_on probe "$dev"
	dmsetup remove "$probe"
	# An exclusive open fails as long as the device mapper has it.
	wipefs -qa "$dev"
done
echo "  ${#reasons[@]} different reasons"
[ ${#reasons[@]} -ge 24 ] || fail "too few: ${!reasons[*]}"

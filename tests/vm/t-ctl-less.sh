#!/bin/bash
# description: lists of ranges, thin devices that share blocks, sparse files, comparing: what is read and written is what differs
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 240
#
# BLOCKCOPY_LESS_MIB	size of the sparse sources, 5 % of which are data (10240: give the guest -m 4G)
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

needs_target thin-pool
mib=${BLOCKCOPY_LESS_MIB:-1024}

# source_of NAME: the source of its job
source_of() {
	local words
	read -ra words < <(dmsetup table "$1")
	if [ -e "/dev/mapper/$1-blockcopy" ]; then
		echo "/dev/mapper/$1-blockcopy"
	else
		echo "/dev/$(sed -n 's/^DEVNAME=//p' "/sys/dev/block/${words[3]}/uevent")"
	fi
}
mark_moved() {
	written_before=$(moved "$dst" written)
}
# copied KIB: so much was read of the source, if that is new, and written to the destination
wrote() {
	expect "KiB written" $((($(moved "$dst" written) - written_before) / 2)) "$1"
}
# start WORD...: until it is ready, and the legs are equal
start() {
	mark_moved
	blockcopy start "$disk" "$dst" --force --wait "$@" > "$case_dir/out" 2>&1 || fail "start $*: $(cat "$case_dir/out")"
}
ended() {
	compare_legs "$(source_of "$disk")" "$dst"
	blockcopy abort "$disk" > /dev/null
}

#
# Lists
#

null_disk src 32
null_disk dst 32
linear_on disk "$src"
list=$case_dir/list

# same SEED: equal, with data everywhere; then three places are not
same() {
	bio write "$src" 0 32m "$1"
	bio write "$dst" 0 32m "$1"
	bio write "$src" 1m 64k $(($1 + 1))
	bio write "$src" 4m 4k $(($1 + 2))
	bio write "$src" $(((32 << 20) - 512)) 512 $(($1 + 3))
}

check "lines, from a file and from standard input"
same 1
printf '# what differs\n1M 64K\n\n 4194304\t1 # one region\n%d 512\n' $(((32 << 20) - 512)) > "$list"
start --ranges "$list"
wrote 192
expect "read" "$(info "$disk" copied_bytes)" $((192 << 10))
ended
same 10
printf '4M 64K\n33553920 512\n1M 64K\n1040K 8K\n' > "$list"
start --ranges - --compare < "$list"
wrote $((64 + 4 + 4))
ended

check "JSON of qemu-img map and of nbdinfo"
same 20
cat > "$list" <<- END
[{ "start": 0, "length": 1048576, "depth": 0, "present": true, "zero": true, "data": false, "offset": 0},
{ "start": 1048576, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 0},
{ "start": 4194304, "length": 4096, "depth": 1, "present": true, "zero": false, "data": false},
{ "start": 33553920, "length": 512, "depth": 0, "zero": true, "data": false}]
END
start --ranges "$list"
wrote $((1024 + 64 + 64 + 64))
ended
same 30
cat > "$list" <<- END
[ { "offset": 1048576, "length": 65536, "type": 1, "description": "dirty" },
{ "offset": 2097152, "length": 2097152, "type": 0, "description": "clean" },
{ "offset": 4194304, "length": 65536, "type": 0, "description": "data" },
{ "offset": 33488896, "length": 65536, "type": 3, "description": "hole,zero" } ]
END
start --ranges "$list"
wrote 192
ended
bio zero "$src" 0 32m
bio zero "$dst" 0 32m
bio write "$src" 4m 4k 31
start --ranges "$list" --target-is-zero
wrote 4
# Not the one that is zero there.
expect "read" "$(info "$disk" copied_bytes)" $((128 << 10))
ended
if command -v qemu-img > /dev/null; then
	truncate -s 32M "$case_dir/image"
	dd if=/dev/urandom of="$case_dir/image" bs=64k seek=100 count=3 conv=notrunc status=none
	dd if="$case_dir/image" of="$src" bs=1M oflag=direct status=none
	bio zero "$dst" 0 32m
	qemu-img map --output=json "$case_dir/image" > "$list"
	start --ranges "$list" --target-is-zero
	wrote 192
	ended
fi

check "lists that are none"
refuses 2 "standard input: line 2: found one word" blockcopy start "$disk" "$dst" --ranges - < <(printf '0 1\n5\n')
refuses 2 'line 1: found "0 1Q"' blockcopy start "$disk" "$dst" --ranges - < <(echo 0 1Q)
refuses 2 "line 1: found more than two" blockcopy start "$disk" "$dst" --ranges - < <(echo 0 1 2)
refuses 6 "line 3: found 1 bytes from byte 33554432 on" blockcopy start "$disk" "$dst" --ranges - < <(printf '#\n0 32M\n32M 1\n')
refuses 6 "line 1: found 18446744073709551615 bytes" blockcopy start "$disk" "$dst" --ranges - < <(echo 512 18446744073709551615)
refuses 2 "element 2: found { " blockcopy start "$disk" "$dst" --ranges - < \
	<(echo '[{"start":0,"length":1,"zero":false,"data":true},{"start":0,"length":-1,"zero":false,"data":true}]')
refuses 2 "element 1: found { " blockcopy start "$disk" "$dst" --ranges - < <(echo '[{"offset":0,"length":1,"type":7}]')
refuses 6 "element 1: found 33554433 bytes" blockcopy start "$disk" "$dst" --ranges - < \
	<(echo '[{"offset":0,"length":33554433,"type":0,"description":"data"}]')
refuses 2 "line 2: found no array" blockcopy start "$disk" "$dst" --ranges - < <(printf '[{"start":0,\n"length":')
refuses 2 "line 1: found no array" blockcopy start "$disk" "$dst" --ranges - < <(echo '[] []')
refuses 1 "No such file" blockcopy start "$disk" "$dst" --ranges "$case_dir/none"
refuses 2 "a list of ranges and sync none exclude" blockcopy start "$disk" "$dst" --sync none --ranges - < /dev/null
refuses 2 "exclude each other" blockcopy start "$disk" "$dst" --base "$disk" --ranges - < /dev/null
refuses 6 "needed one, or --reuse-external" blockcopy start "$disk" "$case_dir/new" --shallow
refuses 6 "found no thin device" blockcopy start "$disk" "$dst" --base "$disk"

check "comparing"
same 40
start --compare
wrote $((64 + 4 + 4))
expect "unwritten" "$(info "$disk" unwritten_bytes)" $(((32 << 20) - (72 << 10)))
ended
same 50
start --shallow
wrote $((64 + 4 + 4))
ended

check "killed while it lists: not ready, until recover makes it a full copy"
same 60
echo 0 4K > "$list"
calls_of blockcopy start "$disk" "$dst" --force --ranges "$list"
blockcopy abort "$disk" > /dev/null
last=$(awk '$1 == "ioctl" { n = $2 } END { print n }' "$case_dir/calls")
unlisted=0
for ((n = last; n > 0 && unlisted < 2; n--)); do
	killed_at ioctl "$n" blockcopy start "$disk" "$dst" --force --ranges "$list" && continue
	if is_job "$disk" && [ "$(info "$disk" listing)" = true ]; then
		unlisted=$((unlisted + 1))
		nap 300
		expect "ready" "$(info "$disk" ready)" false
		said "everything is copied" blockcopy recover "$disk"
		blockcopy wait "$disk" > /dev/null
		ended
		same 60
	else
		blockcopy recover "$disk" > /dev/null
		blockcopy abort "$disk" > /dev/null 2>&1 || true
	fi
done
[ $unlisted = 2 ] || fail "never killed while it lists"

#
# Thin devices
#

null_disk pool_meta 16
loop_disk pool_data $((mib * 3 / 2 << 20))
dm_new pool "0 $(sectors "$pool_data") thin-pool $pool_meta $pool_data 128 0"
# thin VAR ID SECTORS
thin_on() {
	dm_new "$1" "0 $3 thin /dev/mapper/$pool $2"
}
held_root() {
	dmsetup status "$pool" | cut -d ' ' -f 7
}
dmsetup message "$pool" 0 create_thin 0
thin_on base 0 65536
bio write "/dev/mapper/$base" 0 16m 70
bio write "/dev/mapper/$base" 31m 64k 70
dmsetup suspend "$base"
dmsetup message "$pool" 0 create_snap 1 0
dmsetup resume "$base"
thin_on disk 1 65536
dev=/dev/mapper/$disk
dd if="/dev/mapper/$base" of="$dst" bs=1M oflag=direct status=none
bio write "$dev" 2m 64k 71
bio write "$dev" $(((5 << 20) + 4096)) 4k 72
bio write "$dev" 20m 64k 73
bio discard "$dev" 31m 64k

check "a snapshot, and a destination with what its origin has: what differs is read and written"
start --base "$base"
source=$(source_of "$disk")
wrote 256
expect "KiB read" $(($(moved "$source" read) / 2)) 256
expect "snapshot of the metadata" "$(held_root)" -
ended
start --base "$base" --compare
wrote 0
ended
said "mark what differs between thin devices 0 and 1" blockcopy start "$disk" "$dst" --base "$base" --force --dry-run

check "the guest writes all the time, everywhere"
guest_on guest "$disk" -p 300
blockcopy start "$disk" "$dst" --force --base "$base" --wait > /dev/null
verify_to_end "$disk"
expect_status "$disk" verify_differing_bytes 0
blockcopy abort "$disk" > /dev/null
guest_off "$guest" "$disk"

check "what cannot be: another's snapshot, no tool, the device itself, another pool, a longer device"
dmsetup message "$pool" 0 reserve_metadata_snap
refuses 4 "held by somebody else" blockcopy start "$disk" "$dst" --force --base "$base"
dmsetup message "$pool" 0 release_metadata_snap
mkdir "$case_dir/bin"
printf '#!/bin/sh\necho no such thing >&2\nexit 1\n' > "$case_dir/bin/thin_delta"
chmod +x "$case_dir/bin/thin_delta"
PATH=$case_dir/bin:$PATH refuses 1 "thin_delta failed: no such thing" blockcopy start "$disk" "$dst" --force --base "$base"
expect "snapshot of the metadata" "$(held_root)" -
refuses 6 "the thin device of $disk itself" blockcopy start "$disk" "$dst" --force --base "$disk"
refuses 6 "found no thin device" blockcopy start "$disk" "$dst" --force --base "$pool"
refuses 2 "exclude each other" blockcopy start "$disk" "$dst" --force --base "$base" --target-is-zero

check "killed while it has the snapshot: recover, or the next start, releases it"
# shellcheck disable=SC2016
printf '#!/bin/sh\nkill -9 $PPID\nexit 1\n' > "$case_dir/bin/thin_delta"
for next in recover start; do
	! PATH=$case_dir/bin:$PATH blockcopy start "$disk" "$dst" --force --base "$base" > /dev/null 2>&1 || fail "it lives"
	[ "$(held_root)" != - ] || fail "it had no snapshot"
	expect "listing" "$(info "$disk" listing)" true
	if [ $next = recover ]; then
		said "released the metadata snapshot" blockcopy recover
		expect "snapshot of the metadata" "$(held_root)" -
	fi
	blockcopy abort "$disk" > /dev/null
done
dd if="$dev" of="$dst" bs=1M oflag=direct status=none
start --base "$base"
expect "snapshot of the metadata" "$(held_root)" -
ended

#
# Sparse ones, 5 % filled
#

# fill DEVICE: extents of 4 KiB to 1 MiB, at random places
fill() {
	local left=$((mib * 1024 / 20)) n=0 kib at
	while [ $left -gt 0 ]; do
		kib=$((4 << RANDOM % 9))
		[ $kib -le $left ] || kib=4
		at=$(((RANDOM << 15 | RANDOM) % (mib * 256 - kib / 4) * 4))
		echo "bio write $1 ${at}k ${kib}k $n"
		left=$((left - kib))
		n=$((n + 1))
	done | bio serve > "$case_dir/filled"
	! grep -qv '^0$' "$case_dir/filled" || fail "cannot fill $1"
	echo "  $(wc -l < "$case_dir/filled") extents"
}
# within WHAT FOUND SOURCE: 2 % more at most, and not less than 2 % less
within() {
	echo "  $1: $2 of $3 at the source"
	if [ $(($2 * 100)) -gt $(($3 * 102)) ] || [ $(($2 * 100)) -lt $(($3 * 98)) ]; then
		fail "$1: $2, the source has $3"
	fi
}
mapped_of() {
	dmsetup status "$1" | cut -d ' ' -f 4
}
# timed VAR COMMAND...: ms
timed() {
	local -n _ms=$1
	local from
	from=$(now_ms)
	shift
	"$@" > "$case_dir/out" 2>&1 || fail "$*: $(cat "$case_dir/out")"
	_ms=$(($(now_ms) - from))
}
size=$((mib << 11))

check "a thin device of $mib MiB"
dmsetup message "$pool" 0 create_thin 10
dmsetup message "$pool" 0 create_thin 11
thin_on disk 10 $size
thin_on copy 11 $size
fill "/dev/mapper/$disk"
mapped=$(mapped_of "$disk")
timed ms blockcopy start "$disk" "/dev/mapper/$copy" --target-is-zero --wait
source=$(source_of "$disk")
echo "  $ms ms, $(($(moved "$source" read) / 2)) KiB read"
within "sectors read" "$(moved "$source" read)" "$mapped"
within "sectors mapped" "$(mapped_of "$copy")" "$mapped"
compare_legs "$source" "/dev/mapper/$copy"
blockcopy abort "$disk" > /dev/null

if [ "$mib" -le 1024 ]; then
	check "where nobody can tell what is mapped, everything is read"
	bio discard "/dev/mapper/$copy" 0 "${mib}m"
	dmsetup message "$pool" 0 reserve_metadata_snap
	said "all of it is read" blockcopy start "$disk" "/dev/mapper/$copy" --target-is-zero --wait
	dmsetup message "$pool" 0 release_metadata_snap
	expect "bytes copied" "$(info "$disk" copied_bytes)" $((mib << 20))
	within "sectors mapped" "$(mapped_of "$copy")" "$mapped"
	compare_legs "$(source_of "$disk")" "/dev/mapper/$copy"
	blockcopy abort "$disk" > /dev/null
fi
dmsetup remove "$copy"
dmsetup remove "$disk"
dmsetup message "$pool" 0 delete 11
dmsetup message "$pool" 0 delete 10

check "a sparse file of $mib MiB"
loop_disk src $((mib << 20))
linear_on disk "$src"
fill "/dev/mapper/$disk"
used=$(stat -c %b "$src_file")
timed ms blockcopy start "$disk" "$case_dir/copy.img" --target-is-zero --wait
echo "  $ms ms, $(($(info "$disk" copied_bytes) / 1024)) KiB read"
within "sectors of the file" "$(stat -c %b "$case_dir/copy.img")" "$used"
cmp "$src_file" "$case_dir/copy.img" || fail "the files differ"

check "and a guest that writes while it is listed"
blockcopy abort "$disk" > /dev/null
rm "$case_dir/copy.img"
GUEST_RANGE="0 $((32 << 20))"
guest_on guest "$disk" -p 300
blockcopy start "$disk" "$case_dir/copy.img" --target-is-zero --wait > /dev/null
verify_to_end "$disk"
expect_status "$disk" verify_differing_bytes 0
blockcopy finish "$disk" > /dev/null
guest_off "$guest" "$disk"

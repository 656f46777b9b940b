#!/bin/bash
# description: metadata that is wrong in any way is not believed: everything is dirty, or it is left alone
# kernels: 6.1 6.12 uml uml-debug
# check: uml uml-debug
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# More than one block of the bitmap, of which the last one is not full.
mib=160 REGION=8
null_disk src $mib memory_backed=0
null_disk dst $mib memory_backed=0
null_disk meta 1
linear_on vm "$src"
image=$case_dir/image
all=$((mib << 20))

loaded() { # ARG...
	dmsetup load "$vm" --table "$(job_table "$src" "$dst" "$(sectors "$src")" paused metadata "$meta" "$@")"
	dmsetup resume "$vm"
}

# put IMAGE: past the page cache, as it is read
put() {
	dd if="$1" of="$meta" bs=4096 oflag=direct conv=notrunc status=none
}

# evil WHAT PYTHON: changes the image by a program that has "blocks", a list of bytearrays, and seal(block), which makes the checksum
# good again. Superblocks are 0 and 1, the one in force is "now", the other "old"; the bitmap begins with 2.
evil() {
	python3 - "$image" "$case_dir/evil" "$2" << 'X'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
blocks = [bytearray(data[i:i + 4096]) for i in range(0, len(data), 4096)]
def sum_at(block):
	return 16 if block.startswith(b"dm-blockcopy") else 0
def seal(block):
	at = sum_at(block)
	block[at:at + 4] = bytes(4)
	block[at:at + 4] = struct.pack("<I", zlib.crc32(block))
def put(block, format, at, value):
	struct.pack_into("<" + format, block, at, value)
	seal(block)
sequence = [struct.unpack_from("<Q", b, 40)[0] for b in blocks[:2]]
now, old = (blocks[0], blocks[1]) if sequence[0] > sequence[1] else (blocks[1], blocks[0])
before = zlib.crc32(now)
seal(now)
assert zlib.crc32(now) == before, "this is not how it is sealed"
exec(sys.argv[3])
open(sys.argv[2], "wb").write(b"".join(blocks))
X
	put "$case_dir/evil"
	loaded sync bitmap
	echo "  $1: metadata $(status_value "$vm" metadata), $(status_value "$vm" dirty_bytes) dirty"
}

# all_dirty WHAT PYTHON: none of it is believed
all_dirty() {
	evil "$@"
	expect_status "$vm" dirty_bytes $all
	stop_job "$vm" "$src"
}

# alone WHAT PYTHON: likewise, and it is not written to: it may be somebody else's
alone() {
	evil "$@"
	expect_status "$vm" dirty_bytes $all
	expect_status "$vm" metadata failed
	stop_job "$vm" "$src"
	dd if="$meta" of="$case_dir/after" bs=4096 count="$(($(stat -c %s "$case_dir/evil") / 4096))" iflag=direct status=none
	cmp "$case_dir/evil" "$case_dir/after" || fail "$1: written to"
}

# block_dirty WHAT PYTHON: the first block of the bitmap is not believed
block_dirty() {
	evil "$@"
	expect_status "$vm" dirty_bytes $((32512 * 4096))
	stop_job "$vm" "$src"
}

is_clear() {
	status_is "$vm" intent_bytes 0
}

check "good metadata: nothing is dirty"
blockcopy metadata format "$meta" "$vm" "$dst" --granularity 4K --force
loaded sync none
wait_for 30 is_clear
stop_job "$vm" "$src"
dd if="$meta" of="$image" bs=4096 count=4 iflag=direct status=none
evil "as it was" ''
expect_status "$vm" dirty_bytes 0
stop_job "$vm" "$src"

check "superblocks"
alone "no magic" 'now[0:4] = old[0:4] = b"who?"'
alone "both torn" 'now[100] ^= 1; old[100] ^= 1'
alone "a later version" 'put(now, "I", 20, 2)'
alone "an unknown feature" 'put(old, "Q", 24, 1)'
alone "no generation" 'put(now, "Q", 64, 0); put(old, "Q", 64, 0)'
alone "no outcome that there is" 'put(now, "I", 84, 9); put(old, "I", 84, 9)'
alone "of a smaller device" 'put(now, "Q", 72, 8192)'
alone "of a larger one than can be" 'put(now, "Q", 72, 1 << 63); put(old, "Q", 72, 1 << 63)'
alone "other regions" 'put(now, "I", 80, 16)'
alone "no regions" 'put(now, "I", 80, 0); put(old, "I", 80, 0)'
alone "no word for what was not tracked" 'put(now, "I", 896, 2); put(old, "I", 896, 2)'
alone "another place on the source" 'put(now, "Q", 96, 8)'
alone "another place on the destination" 'put(now, "Q", 368, 8)'
all_dirty "new" 'put(now, "I", 84, 0)'
all_dirty "detached" 'put(now, "I", 84, 4)'
all_dirty "an older generation" 'put(now, "Q", 64, struct.unpack_from("<Q", now, 64)[0] - 1)'
all_dirty "a later generation" 'put(now, "Q", 64, struct.unpack_from("<Q", now, 64)[0] + 1)'
all_dirty "another job" 'now[48] ^= 1; seal(now)'

check "one of them torn: the other one says the same"
for one in now old; do
	evil "$one" "${one}[200] ^= 1"
	expect_status "$vm" metadata ok
	expect_status "$vm" dirty_bytes 0
	stop_job "$vm" "$src"
done

check "blocks of the bitmap"
block_dirty "never written" 'blocks[2][:] = bytes(4096)'
block_dirty "torn" 'blocks[2][512:] = b"\xff" * 3584'
block_dirty "a bit lost" 'blocks[2][4095] ^= 128'
block_dirty "of another generation" 'put(blocks[2], "Q", 16, 77)'
block_dirty "of another job" 'blocks[2][8] ^= 1; seal(blocks[2])'
block_dirty "in another place" 'blocks[2][:] = blocks[3]'

check "a device that is too short for it"
dm_new short "0 24 linear $meta 0"
refused dmsetup load "$vm" --table "$(job_table "$src" "$dst" "$(sectors "$src")" paused metadata "/dev/mapper/$short")"
dmsetup remove "$short"

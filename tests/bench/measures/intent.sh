# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Guest writes of a READY job that keeps metadata: one to each region, which is noted first, and many to a few.
contenders="blockcopy:write-blocking blockcopy-metadata:write-blocking md-bitmap"

legs() {
	null_legs 256 memory_backed=1
	null_disk bench-meta 4 memory_backed=1
	meta=$null_path
}

all_clear() {
	[ "$(dm_status bench intent_bytes)" = 0 ]
}

one() {
	local name=$contender
	copy > /dev/null
	[[ $name != blockcopy-metadata* ]] || wait_for 60 all_clear
	contender=$name,cold
	load 60 --time_based=0 --rw=write:60k --bs=4k --iodepth=16 --size=200M
	load_samples write
	contender=$name,hot
	load 1 --rw=randwrite --bs=4k --iodepth=16 --size=8M
	load "$(quick 2 4)" --rw=randwrite --bs=4k --iodepth=16 --size=8M
	load_samples write
}

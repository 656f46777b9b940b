# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Guest writes that go to both legs, READY.
contenders="blockcopy:write-blocking md dm-mirror"

legs() {
	ram_legs 128
}

one() {
	local name=$contender
	copy > /dev/null
	load "$(quick 2 4)" --rw=randwrite --bs=4k --iodepth=16
	load_samples write
	contender=$name,1M
	load "$(quick 2 4)" --rw=write --bs=1M --iodepth=4
	load_samples write
}

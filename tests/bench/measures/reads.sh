# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Guest reads, READY.
contenders="linear blockcopy:auto"

legs() {
	ram_legs 128
}

one() {
	copy > /dev/null
	load "$(quick 2 4)" --rw=randread --bs=4k --iodepth=16
	load_samples read
}

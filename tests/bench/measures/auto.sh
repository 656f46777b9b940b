# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Guest writes with the copier running, READY, mode as by default.
contenders="blockcopy:auto md qemu:background"
qemu_export=yes

legs() {
	ram_legs 128
}

one() {
	copy > /dev/null
	load "$(quick 3 6)" --rw=randwrite --bs=4k --iodepth=16
	load_samples write
}

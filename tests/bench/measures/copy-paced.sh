# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# A full copy between devices of fixed bandwidth.
contenders="fio blockcopy:background qemu:background md dm-clone dm-mirror"

legs() {
	null_legs "$(quick 128 512)" memory_backed=1 mbps=400
}

one() {
	local secs
	secs=$(copy)
	speed "$secs"
}

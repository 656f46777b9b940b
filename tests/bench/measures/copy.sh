# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# A full copy, RAM disk to RAM disk, no guest.
contenders="blockcopy:background qemu:background qemu:write-blocking md dm-clone dm-mirror dd"

legs() {
	ram_legs "$(quick 256 1024)"
}

one() {
	local secs
	secs=$(copy)
	speed "$secs"
}

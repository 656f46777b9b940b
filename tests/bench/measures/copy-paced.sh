# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# A full copy between devices of fixed bandwidth: what null_blk has in a tick of 20 ms, in requests of 64 KiB, as it drops what is
# left of a tick when the next request does not fit. As much in flight at either leg as fio has takes buffers for 32.
contenders="fio blockcopy:background qemu:background md dm-clone dm-mirror"
job_args="buf_size 33554432"

legs() {
	null_legs "$(quick 128 512)" memory_backed=1 max_sectors=128 mbps=400
}

one() {
	local secs
	secs=$(copy)
	speed "$secs"
}

# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# A full copy between devices that answer after 2 ms, as many requests at a time as one likes. They keep no data: nothing but the
# depth counts. Sixteen requests in flight at either leg take buffers for 32.
contenders="fio blockcopy:background qemu:background md dm-clone dm-mirror"
job_args="detect_zeroes off buf_size 33554432"

legs() {
	null_legs "$(quick 1024 2048)" irqmode=2 completion_nsec=2000000
}

one() {
	local secs
	secs=$(copy)
	speed "$secs"
}

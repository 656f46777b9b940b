# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Guest writes that are tracked and not copied: paused while READY. Where there are two processors, also a job on each.
contenders="linear blockcopy:auto"

legs() {
	null_legs 128
}

pause() {
	[ "${contender%%:*}" != blockcopy ] || dmsetup message bench 0 pause
}

one() {
	copy > /dev/null
	pause
	load "$(quick 2 4)" --rw=randwrite --bs=4k --iodepth=16
	load_samples write
	[ "$(nproc)" -ge 2 ] || return 0
	contender+=,2-jobs
	load "$(quick 2 4)" --rw=randwrite --bs=4k --iodepth=16 --numjobs=2 --cpus_allowed=0-1 --cpus_allowed_policy=split
	load_samples write
}

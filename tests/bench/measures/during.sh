# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# The guest while a full copy runs as fast as it can, on devices of fixed bandwidth. The copy outlasts the guest.
contenders="blockcopy:auto md dm-mirror"
job_args="detect_zeroes off"

legs() {
	null_legs 4096 mbps=400
}

one() {
	copy > "$bench_tmp/copy" 2>&1 &
	local pid=$!
	load "$(quick 2 5)" --rw=randrw --bs=4k --iodepth=4 --ramp_time=1
	kill -0 $pid 2> /dev/null || die "the copy did not last: $(cat "$bench_tmp/copy")"
	load_samples read write
	kill $pid
	wait $pid 2> /dev/null || true
}

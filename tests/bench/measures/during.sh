# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# The guest while a full copy runs as fast as it can. The devices serve eight requests of up to 64 KiB at a time, in 1.25 ms: 400 MiB/s,
# 6400 requests a second. The copy outlasts the guest.
contenders="blockcopy:auto md dm-mirror"
job_args="detect_zeroes off"

legs() {
	null_legs 4096 max_sectors=128 hw_queue_depth=8 irqmode=2 completion_nsec=1250000
}

# Sectors that the destination got. The guest's are few.
written() {
	local counters
	read -ra counters < "/sys/dev/block/$(stat -L -c %Hr:%Lr "$dst")/stat"
	echo "${counters[6]}"
}

copying() {
	[ "$(written)" -gt $((at_first + 8192)) ]
}

one() {
	local at_first
	at_first=$(written)
	copy > "$bench_tmp/copy" 2>&1 &
	local pid=$! begin before
	wait_for 30 copying
	before=$(written) begin=$(now_us)
	load "$(quick 2 5)" --rw=randrw --bs=4k --iodepth=4 --ramp_time=1
	kill -0 $pid 2> /dev/null || die "the copy did not last: $(cat "$bench_tmp/copy")"
	sample copy_mib_s "$(calc "($(written) - $before) / 2048 / ($(now_us) - $begin) * 1000000")"
	load_samples read write
	end $pid
}

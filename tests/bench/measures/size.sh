# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# What grows with the size of the device: 0.01 % of it dirty, on devices that keep nothing.
contenders=none
sizes="1G 1T 16T"

legs() {
	src=none dst=none
}

one() {
	local size
	for size in $sizes; do
		contender=$size
		of_size "$(numfmt --from=iec "$size")"
	done
}

kernel_kib() {
	awk '/^(MemFree|Buffers|Cached):/ { n += $2 } END { print n }' /proc/meminfo
}

of_size() {
	local sectors=$(($1 >> 9)) dirty=$(($1 / 65536 / 10000 + 1)) begin before
	dmsetup create bench-src --table "0 $sectors zero"
	dmsetup create bench-dst --table "0 $sectors zero"
	dmsetup create bench --table "0 $sectors linear /dev/mapper/bench-src 0"
	sync
	before=$(kernel_kib)
	begin=$(now_us)
	dmsetup load bench --table "0 $sectors blockcopy /dev/mapper/bench-src 0 /dev/mapper/bench-dst 0 128 7 sync none detect_zeroes off copy_mode background paused"
	dmsetup resume bench
	clock message bench ' ready 1 ' resume > /dev/null
	sample start_ms "$(calc "($(now_us) - $begin) / 1000")"
	sample memory_mib "$(calc "($before - $(kernel_kib)) / 1024")"
	sample status_us "$(calc "$(clock status bench 10000) * 100")"
	dmsetup message bench 0 pause
	dev=/dev/mapper/bench
	fio --name=dirty --filename=$dev --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bs=4k --number_ios=$dirty \
		--norandommap --size="$1" --randrepeat=0 > /dev/null
	dirty=$(($(dm_status bench dirty_bytes) >> 16))
	sample status_dirty_us "$(calc "$(clock status bench 10000) * 100")"
	begin=$(now_us)
	dmsetup message bench 0 resume
	wait_for 100 clean
	sample drain_us_region "$(calc "($(now_us) - $begin) / $dirty")"
	sample dirty_regions $dirty
	sample pivot_ms "$(calc "$(clock message bench ' pivoted ' complete 1000) * 1000")"
	dm_remove bench
	dm_remove bench-src
	dm_remove bench-dst
}

clean() {
	[ "$(dm_status bench dirty_bytes) $(dm_status bench inflight_bytes)" = "0 0" ]
}

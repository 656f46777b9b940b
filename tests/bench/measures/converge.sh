# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# How long until READY beside a guest that writes half of what the destination can take.
contenders="blockcopy:auto blockcopy:write-blocking qemu:write-blocking"
qemu_export=yes
job_args="detect_zeroes off"

legs() {
	null_legs "$(quick 256 1024)" max_sectors=128 mbps=200
}

# Sectors that the guest wrote.
written() {
	local counters
	read -ra counters < "/sys/dev/block/$(stat -L -c %Hr:%Lr "$dev")/stat"
	echo "${counters[6]}"
}

busy() {
	[ "$(written)" -gt $((at_first + 12800)) ]
}

# The first time only: it is some load, too.
dirty_over_time() {
	local begin
	[ "$round" = 1 ] && [[ $contender == blockcopy:* ]] || return 0
	begin=$(now_us)
	while sleep 0.05; do
		echo "$(calc "($(now_us) - $begin) / 1000000") $(dm_status bench dirty_bytes)"
	done 2> /dev/null | grep '^[^ ]* [0-9]*$' > "$BLOCKCOPY_SHARED/dirty-${contender#*:}.dat" || true
}

one() {
	local guest look secs at_first before
	at_first=$(written)
	load 300 --rw=randwrite --bs=64k --iodepth=4 --rate=100m 2> /dev/null &
	guest=$!
	dirty_over_time &
	look=$!
	wait_for 30 busy
	before=$(written)
	secs=$(copy)
	sample ready_s "$secs"
	# Who holds the guest up is ready sooner.
	sample guest_mib_s "$(calc "($(written) - $before) / 2048 / $secs")"
	end $guest $look
}

# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# Processor time per GiB copied, of all that happens: the devices leave time to spare.
contenders="blockcopy:background qemu:background md dm-clone dm-mirror"

legs() {
	null_legs "$(quick 256 512)" memory_backed=1 mbps=500
}

one() {
	local secs
	secs=$(CLOCK_CPU=$bench_tmp/cpu copy)
	sample wall_s "$secs"
	sample cpu_s_gib "$(calc "$(< "$bench_tmp/cpu") * 1024 / $(mib_of "$src")")"
}

# shellcheck shell=bash disable=SC2154,SC2034 # names that go from file to file
# What guest.sh and the files in contenders/ and measures/ share.
set -eEuo pipefail

bench_dir=$BLOCKCOPY_CHECKOUT/tests/bench
bench_tmp=$(mktemp -d /dev/shm/bench.XXXXXX)
bench_quick=${BLOCKCOPY_BENCH_QUICK:-}
samples=$BLOCKCOPY_SHARED/samples.tsv # KERNEL MEASURE CONTENDER ROUND METRIC VALUE
PATH=$bench_dir:$BLOCKCOPY_CHECKOUT/build/tools:$PATH

# quick A B: A in a quick run, else B
quick() {
	[ -n "$bench_quick" ] && echo "$1" || echo "$2"
}

die() {
	echo "bench: $*" >&2
	exit 1
}

# sample METRIC VALUE: of the contender that is at work
sample() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$BLOCKCOPY_KERNEL" "$measure" "$contender" "$round" "$1" "$2" >> "$samples"
}

# speed SECONDS: samples how fast the whole source was copied
speed() {
	sample mib_s "$(calc "$(mib_of "$src") / $1")"
}

# calc EXPRESSION: with floating point
calc() {
	awk "BEGIN { printf \"%.6g\", $1 }"
}

now_us() {
	echo "${EPOCHREALTIME/./}"
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$(($(now_us) + $1 * 1000000))
	shift
	until "$@"; do
		[ "$(now_us)" -lt $end ] || die "not in time: $*"
		sleep 0.02
	done
}

sectors() {
	blockdev --getsz "$1"
}

mib_of() {
	echo $(($(blockdev --getsize64 "$1") >> 20))
}

#
# Legs: $src and $dst, both of one kind, for all contenders of a measure
#

# ram_legs MIB: RAM disks with all their pages, the source full of what nobody can compress or take for zeroes.
ram_legs() {
	modprobe brd rd_nr=2 rd_size=$(($1 << 10)) max_part=0
	src=/dev/ram0 dst=/dev/ram1
	fill_legs "$1"
}

fill_legs() {
	dd if=/dev/urandom of="$bench_tmp/noise" bs=1M count=16 status=none
	local at
	for ((at = 0; at < $1; at += 16)); do
		dd if="$bench_tmp/noise" of="$src" bs=1M seek=$at oflag=direct status=none
		dd if="$bench_tmp/noise" of="$dst" bs=1M seek=$at oflag=direct status=none
	done
	rm "$bench_tmp/noise"
}

# null_legs MIB [ATTRIBUTE=VALUE...]: null_blk disks, with latency or bandwidth; without memory_backed=1 they keep nothing.
null_legs() {
	local mib=$1 name
	shift
	[ -d /sys/kernel/config/nullb ] || modprobe null_blk nr_devices=0
	for name in src dst; do
		null_disk bench-$name "$mib" "$@"
		printf -v "$name" %s "$null_path"
	done
	[[ " $* " != *" memory_backed=1 "* ]] || fill_legs "$mib"
}

null_disk() {
	local dir=/sys/kernel/config/nullb/$1 mib=$2 attribute
	shift 2
	mkdir "$dir"
	for attribute in irqmode=0 completion_nsec=0 hw_queue_depth=256 "size=$mib" "$@"; do
		echo "${attribute#*=}" > "$dir/${attribute%%=*}" || die "null_blk refuses $attribute"
	done
	echo 1 > "$dir/power"
	null_path=/dev/${dir##*/}
	[ -b "$null_path" ] || null_path=/dev/nullb$(< "$dir/index")
	wait_for 5 test -b "$null_path"
}

no_legs() {
	local dir
	[ ! -d /sys/module/brd ] || modprobe -r brd
	for dir in /sys/kernel/config/nullb/bench-*; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
	src='' dst=''
}

#
# Contenders
#

# use NAME[:VARIANT] COMMAND...: with the contender on the legs. A file contenders/NAME.sh has
#	prepare		everything that is not the copy; sets $dev, the device that the guest has from now on
#	copy		begin the full copy and wait until it is over; prints how long it took, in seconds
#	down		leave nothing behind, whatever the state
use() {
	contender=$1
	shift
	(
		variant=''
		[[ $contender != *:* ]] || variant=${contender#*:}
		# shellcheck source=/dev/null
		. "$bench_dir/contenders/${contender%%:*}.sh"
		trap 'down > /dev/null 2>&1 || true' EXIT
		prepare
		"$@"
		trap - EXIT
		down
	)
}

trap 'echo "bench: failed: ${measure:-} ${contender:-} round ${round:-}: $BASH_COMMAND" >&2' ERR

# dm_create NAME TABLE: as the guest's device is before the copy, and the other table loaded
dm_create() {
	dmsetup create "$1" --table "0 $(sectors "$src") linear $src 0"
	dmsetup load "$1" --table "$2"
}

dm_remove() {
	! dmsetup info "$1" > /dev/null 2>&1 || dmsetup remove --retry "$1"
}

# dm_status NAME KEY: a value of a blockcopy status line
dm_status() {
	dmsetup status --noflush "$1" | sed -E "s/.* $2 ([^ ]+).*/\1/"
}

#
# The guest's load
#

# load SECONDS OPTION...: fio on $dev; its report goes to $bench_tmp/fio
load() {
	local secs=$1
	shift
	fio --name=load --filename="$dev" --direct=1 --ioengine=libaio --time_based --runtime="$secs" --randrepeat=0 \
		--norandommap --group_reporting --output-format=json --percentile_list=50:90:99:99.9 "$@" > "$bench_tmp/fio" 2> "$bench_tmp/fio.err" ||
		die "fio: $(cat "$bench_tmp/fio.err"; grep -v '^[ {}]' "$bench_tmp/fio" | tail -n 3)"
}

# end PID...: subshells of ours that are in the background, with what they started
end() {
	local pid
	for pid; do
		pkill -P "$pid" || true
		kill "$pid" 2> /dev/null || true
		wait "$pid" 2> /dev/null || true
	done
}

# load_samples read|write...: what fio reported: iops, throughput, latencies in microseconds
load_samples() {
	local kind metric value
	for kind; do
		while read -r metric value; do
			sample "${kind}_$metric" "$value"
		done < <(jq -r --arg kind "$kind" '.jobs[0][$kind] | "iops \(.iops)", "mib_s \(.bw_bytes / 1048576)",
			"p50_us \(.clat_ns.percentile["50.000000"] / 1000)", "p90_us \(.clat_ns.percentile["90.000000"] / 1000)",
			"p99_us \(.clat_ns.percentile["99.000000"] / 1000)", "p999_us \(.clat_ns.percentile["99.900000"] / 1000)",
			"max_us \(.clat_ns.max / 1000)"' "$bench_tmp/fio")
	done
}

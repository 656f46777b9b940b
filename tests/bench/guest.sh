#!/bin/bash
# guest.sh ROUNDS MEASURE...: in a guest, all that is to be measured on this kernel. tests/bench/run starts it.
#
# A file measures/NAME.sh sets $contenders and has
#	legs		makes $src and $dst
#	one		measures once, with a contender prepared
# and may have "sure", which says why this kernel cannot do it, and "bare" for a contender that is none.
# Round by round, every contender has its turn: what disturbs the machine disturbs all of them.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

rounds=$1
shift

measure_all() {
	local names=() name
	# shellcheck disable=SC2154
	read -ra names <<< "$contenders"
	legs
	for ((round = 1; round <= rounds; round++)); do
		for name in "${names[@]}"; do
			use "$name" one
		done
	done
	no_legs
}

cleanup() {
	rm -rf "$bench_tmp"
}

trap cleanup EXIT
export DM_DISABLE_UDEV=1
udevadm control --stop-exec-queue || true
[ ! -e /run/udev/control ] || mv /run/udev/control /run/udev/control.hidden
modprobe dm-blockcopy
modprobe -a -q loop dm-mirror dm-clone dm-zero raid1 nbd || true

for measure; do
	echo "bench: $BLOCKCOPY_KERNEL: $measure"
	begin=$SECONDS
	(
		sure() { :; }
		# shellcheck source=/dev/null
		. "$bench_dir/measures/$measure.sh"
		reason=$(sure)
		if [ -n "$reason" ]; then
			echo "bench: left out: $reason"
		else
			measure_all
		fi
	)
	echo "bench: $measure: $((SECONDS - begin)) s"
done

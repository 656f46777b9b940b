# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# md raid1 with its internal bitmap, in sync; as many bits as we have.

prepare() {
	dev=/dev/md77
	mdadm --quiet --create $dev --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --bitmap=internal --bitmap-chunk=64K \
		"$src" "$dst" 2> "$bench_tmp/mdadm" || die "mdadm: $(cat "$bench_tmp/mdadm")"
}

copy() {
	echo 0
}

down() {
	wait_for 20 mdadm --quiet --stop "$dev"
}

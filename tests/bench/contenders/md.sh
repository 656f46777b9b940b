# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# md raid1 without metadata and bitmap, recovering as fast as it can.

prepare() {
	dev=/dev/md77
	mdadm --quiet --build $dev --level=1 --raid-devices=2 "$src" missing
	array=/sys/block/md77/md
	echo frozen > $array/sync_action
	echo 100000000 > $array/sync_speed_max
	echo 100000000 > $array/sync_speed_min
	mdadm --quiet --manage $dev --add "$dst"
}

copy() {
	clock md "$array"
}

down() {
	wait_for 20 mdadm --quiet --stop "$dev"
}

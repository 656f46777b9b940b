# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# The floor: a bare dm-linear, nothing is copied.

prepare() {
	dmsetup create bench --table "0 $(sectors "$src") linear $src 0"
	dev=/dev/mapper/bench
}

copy() {
	:
}

down() {
	dm_remove bench
}

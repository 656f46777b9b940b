# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# dm-mirror, log in memory.

prepare() {
	dm_create bench "0 $(sectors "$src") mirror core 1 ${variant:-1024} 2 $src 0 $dst 0"
	dev=/dev/mapper/bench
}

# <devices> <device>... <synced>/<total> ...
copy() {
	clock dm bench '^2 \S+ \S+ (\d+)/\1 '
}

down() {
	dm_remove bench
}

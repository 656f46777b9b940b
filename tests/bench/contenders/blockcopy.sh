# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# Ours. The variant is the copy mode; $job_args more arguments.

prepare() {
	local args="copy_mode ${variant:-auto} ${job_args:-}" len
	len=$(sectors "$src")
	# shellcheck disable=SC2086
	set -- $args
	dm_create bench "0 $len blockcopy $src 0 $dst 0 128 $# $*"
	dev=/dev/mapper/bench
}

copy() {
	clock dm bench ' ready 1 '
}

down() {
	dm_remove bench
}

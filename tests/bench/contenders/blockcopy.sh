# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# Ours. The variant is the copy mode; $job_args more arguments. The table is swapped in before the copy begins, as the others'
# devices are made before; what that costs is in measures/size.sh and pivot.sh.

# What blockcopy-metadata.sh has before.
before() { :; }

prepare() {
	local args="paused copy_mode ${variant:-auto}" len
	before
	args+=" ${job_args:-}"
	len=$(sectors "$src")
	# shellcheck disable=SC2086
	set -- $args
	dm_create bench "0 $len blockcopy $src 0 $dst 0 128 $# $*"
	dmsetup resume bench
	dev=/dev/mapper/bench
}

copy() {
	clock message bench ' ready 1 ' resume
}

down() {
	dm_remove bench
}

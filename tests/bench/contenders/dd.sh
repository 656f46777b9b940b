# shellcheck shell=bash disable=SC2154 # see use() in lib.sh
# What everybody has: one thread, one request at a time.

prepare() {
	:
}

copy() {
	clock run dd if="$src" of="$dst" bs=1M iflag=direct oflag=direct
}

down() {
	:
}

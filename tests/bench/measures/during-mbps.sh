# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# The same on null_blk's own idea of 400 MiB/s: a budget each 20 ms, first come, first served. Whoever keeps many requests waiting gets
# most of it; on the device of during.sh they only wait longer. Both are shown.
# shellcheck source=during.sh
. "$bench_dir/measures/during.sh"

legs() {
	null_legs 4096 mbps=400
}

# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# Ours, with metadata on $meta.
# shellcheck source=blockcopy.sh
. "$bench_dir/contenders/blockcopy.sh"

before() {
	dmsetup create bench-plain --table "0 $(sectors "$src") linear $src 0"
	blockcopy metadata format "$meta" bench-plain "$dst" --force
	dmsetup remove bench-plain
	job_args="metadata $meta"
}

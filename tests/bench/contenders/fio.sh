# shellcheck shell=bash disable=SC2154 # see use() in lib.sh
# The devices' own limit: 1 MiB, 16 deep, the slower one of reading the source and writing the destination.

prepare() {
	:
}

copy() {
	one_way read "$src"
	one_way write "$dst"
	sort -g "$bench_tmp"/limit-{read,write} | tail -n 1
}

one_way() {
	fio --name=limit --filename="$2" --rw="$1" --bs=1M --iodepth=16 --direct=1 --ioengine=libaio --output-format=json |
		jq ".jobs[0].$1.runtime / 1000" > "$bench_tmp/limit-$1"
}

down() {
	rm -f "$bench_tmp"/limit-{read,write}
}

# shellcheck shell=bash disable=SC2154,SC2034 # see guest.sh
# The longest stall of a guest write over a whole pivot, and over a swap of one linear table for another.
contenders="linear:swap linear:pivot"

legs() {
	null_legs 32 memory_backed=1 irqmode=2 completion_nsec=1000000
}

longest_stall() {
	local line
	line=$(bc-journal stat --reset "$bench_tmp/journal")
	line=${line##*max_ms=}
	echo "${line%% *}"
}

switch() {
	longest_stall > /dev/null
	case $contender in
	linear:swap)
		dmsetup load bench --table "0 $len linear $src 0"
		dmsetup resume bench
		;;
	linear:pivot)
		blockcopy pivot --json bench > "$bench_tmp/pivot"
		sample blackout_ms "$(jq '.blackout_us / 1000' "$bench_tmp/pivot")"
		;;
	esac
	sample stall_ms "$(longest_stall)"
}

next_job() {
	[ "$contender" = linear:pivot ] || return 0
	blockcopy start bench "$1" --force --wait > /dev/null 2>&1
}

one() {
	local n writer len to=$dst from=$src old
	len=$(sectors "$src")
	bc-journal write --threads 1 --depth 4 --max 4096 --records 4000000 "$bench_tmp/journal" "$dev" > /dev/null 2>&1 &
	writer=$!
	wait_for 30 running
	for ((n = 0; n < $(quick 5 20); n++)); do
		next_job "$to"
		switch
		old=$from from=$to to=$old
	done
	kill -TERM $writer
	wait $writer
	rm "$bench_tmp/journal"
}

running() {
	bc-journal stat "$bench_tmp/journal" > /dev/null 2>&1
}

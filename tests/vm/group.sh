# shellcheck shell=bash disable=SC2154
# What the cases of groups share, on top of cases.sh: three devices, and a counter that is written round-robin to them. Each value
# comes when the one before is acknowledged: at each instant the devices have all values up to one. See tools/counter.c.

# three_devices: their names are ${names[]}, their legs ${srcs[]} and ${dsts[]}.
three_devices() {
	local i src dst vm
	names=() srcs=() dsts=() devs=() nr_groups=0
	for i in 0 1 2; do
		null_disk src 4
		null_disk dst 4
		linear_on vm "$src"
		srcs+=("$src") dsts+=("$dst") names+=("$vm") devs+=("/dev/mapper/$vm")
	done
}

change_places() {
	local other=("${srcs[@]}")
	srcs=("${dsts[@]}") dsts=("${other[@]}")
}

counter_on() {
	rm -f "$case_dir/counter"
	# Where there is one processor, it is to leave some of it to the commands.
	nice -n 10 counter write "${devs[@]}" > "$case_dir/counter" 2>&1 &
	counter=$!
	wait_for 20 grep -qs running "$case_dir/counter"
}

# counter_off LEG...: every value that was acknowledged is there.
counter_off() {
	local last
	kill -TERM "$counter"
	wait "$counter" || fail "the counter saw: $(< "$case_dir/counter")"
	last=$(sed -n 's/^last //p' "$case_dir/counter")
	counter check -l "$last" "$@" > "$case_dir/check" || fail "the last values: $(< "$case_dir/check")"
	echo "  counted up to $last"
}

# one_instant LEG...
one_instant() {
	counter check "$@" > "$case_dir/check" || fail "$(< "$case_dir/check")"
}

# at_work: that the counter gets on shows that no device holds it.
at_work() {
	wait_for 20 has_counted $(($(counted) + 20))
	kill -0 "$counter" 2> /dev/null || fail "the counter saw: $(< "$case_dir/counter")"
}

has_counted() {
	[ "$(counted)" -gt "$1" ] || gone "$counter"
}

counted() {
	local words
	read -ra words < "/sys/dev/block/$(devno "${devs[0]}")/stat"
	echo "${words[4]}"
}

#
# By hand
#

# group_jobs_on: one on each, and READY.
group_jobs_on() {
	local i
	for i in 0 1 2; do
		start_job "${names[i]}" "${srcs[i]}" "${dsts[i]}"
	done
	for i in 0 1 2; do
		wait_ready "${names[i]}"
	done
}

group_jobs_off() {
	local i
	for i in 0 1 2; do
		stop_job "${names[i]}" "${srcs[i]}"
	done
}

# group complete|finish MS WHICH...: the message to each of them, of three that are to come
group() {
	local i how=$1 ms=$2
	shift 2
	nr_groups=$((nr_groups + 1))
	for i in "$@"; do
		msg "${names[i]}" "$how" "$ms" group $nr_groups 3
	done
}

all_over() {
	local i
	for i in 0 1 2; do
		wait_for 20 not_completing "${names[i]}"
	done
}

# states_are STATE | STATE STATE STATE: and nothing is held
states_are() {
	local i
	for i in 0 1 2; do
		expect_status "${names[i]}" state "$1"
		expect_status "${names[i]}" held 0
		shift $(($# > 1))
	done
}

# errors_are WORD WORD WORD
errors_are() {
	local i
	for i in 0 1 2; do
		expect_status "${names[i]}" error "$1"
		shift
	done
}

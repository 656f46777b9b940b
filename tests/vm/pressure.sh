# shellcheck shell=bash disable=SC2154 # variables of cases.sh
# What the cases of memory pressure share, on top of cases.sh: a job on the swap device of processes that have too little memory, while
# allocations of the job and of the block layer fail. A case says what these processes are:
#	hogs_begin	start them, each with "enter_group" first
#	hogs_alive	fail if one has ended
#	hogs_end	likewise, and end them
#	went		how many MiB they have written to their memory, or to swap: it must go on

debug=/sys/kernel/debug
[ -d $debug/fail_page_alloc ] || skip "this kernel has no failslab"
events=$tracing/events/kmem/kmalloc
seconds=${BLOCKCOPY_SOAK_SECONDS:-15}
mib=96

# What is written already takes no more memory.
null_disk src $mib irqmode=2 completion_nsec=100000
null_disk dst $mib irqmode=2 completion_nsec=100000
bio fill "$src" 0 ${mib}m 1
bio fill "$dst" 0 ${mib}m 2
linear_on disk "$src"
dev=/dev/mapper/$disk

# The guest has memory, and some processes have not: on UML with little memory forks were seen to fail long before there was none,
# perhaps because a kernel stack is 128 KiB in one piece there.
group=$case_dir/cgroup
mkdir "$group"
mount -t cgroup2 none "$group"
case_mounts+=("$group")
echo +memory > "$group/cgroup.subtree_control"
mkdir "$group/small"
echo 32M > "$group/small/memory.max"

give_back() {
	faults_off
	echo 0 > "$events/filter"
	jobs -p | xargs -r kill 2> /dev/null
	wait
	swapoff "$dev" 2> /dev/null
	rmdir "$group/small"
}
trap 'status=$?; trap - ERR; set +e; give_back; (exit $status); teardown' EXIT

# Allocations that fail: those that may not wait, of the slabs that bios and mirrored writes are from, half of them; and in
# workers, large buffers, nearly all.
marked_slabs() {
	ls -d /sys/kernel/slab/bio-* /sys/kernel/slab/biovec-* /sys/kernel/slab/kmalloc-512 /sys/kernel/slab/kmalloc-1k \
		/sys/kernel/slab/kmalloc-2k
}
budget=1000000
faults_on() {
	local slab what
	for slab in $(marked_slabs); do
		echo 1 > "$slab/failslab"
	done
	echo Y > $debug/failslab/cache-filter
	echo 4 > $debug/fail_page_alloc/min-order
	echo N > $debug/fail_page_alloc/ignore-gfp-wait
	echo Y > $debug/fail_page_alloc/task-filter
	mark_workers
	for what in $debug/failslab $debug/fail_page_alloc; do
		echo 0 > "$what/verbose"
		echo 1 > "$what/interval"
		echo $budget > "$what/times"
	done
	echo 50 > $debug/failslab/probability
	echo 90 > $debug/fail_page_alloc/probability
}
mark_workers() {
	local comm
	for comm in /proc/[0-9]*/comm; do
		[[ $(cat "$comm" 2> /dev/null) != kworker/* ]] || echo 1 > "${comm%comm}make-it-fail" || true
	done 2> /dev/null
}
faults_off() {
	local slab
	echo 0 > $debug/failslab/probability
	echo 0 > $debug/fail_page_alloc/probability
	for slab in $(marked_slabs); do
		echo 0 > "$slab/failslab"
	done
	echo N > $debug/failslab/cache-filter
	echo N > $debug/fail_page_alloc/task-filter
	echo Y > $debug/fail_page_alloc/ignore-gfp-wait
	echo 1 > $debug/fail_page_alloc/min-order
}
injected() {
	echo $((budget - $(< $debug/"$1"/times)))
}
# Of the module's own; "mirror_alloc" and what it is inlined into.
failed_in_module() {
	grep -c 'call_site=[^ ]* \?\[dm_blockcopy\]' "$tracing/trace" || true
}

enter_group() {
	echo "$BASHPID" > "$group/small/cgroup.procs"
}

swapped_mib() {
	local words
	read -ra words < "/sys/dev/block/$(devno "$dev")/stat"
	echo $((words[6] >> 11))
}
went_on() {
	mark_workers
	[ "$(went)" -gt "$1" ]
}

# pressure MODE: faults, a job and processes that swap, until it is ready and they have gone round for a while
pressure() {
	local begin now_at
	mkswap -q "$dev" > /dev/null
	swapon "$dev"
	swapped=$(swapped_mib)
	trace_on kmem:kmalloc
	echo 'ptr == 0' > "$events/filter"
	faults_on
	start_job "$disk" "$src" "$dst" copy_mode "$1" bandwidth 33554432 write_timeout 20000
	hogs_begin
	begin=$(now_ms)
	while [ $(($(now_ms) - begin)) -lt $((seconds * 1000)) ]; do
		now_at=$(went)
		wait_for 30 went_on "$now_at"
		hogs_alive
	done
	swapped=$(($(swapped_mib) - swapped))
}
pressure_ends() {
	hogs_end
	slab_faults=$(injected failslab) page_faults=$(injected fail_page_alloc) module_faults=$(failed_in_module)
	faults_off
	trace_off
	echo "  $(went) MiB written, $swapped MiB swapped out, $(($(status_value "$disk" copied_bytes) >> 20)) MiB copied," \
		"$(($(status_value "$disk" mirrored_bytes) >> 20)) MiB mirrored; $slab_faults slab, $page_faults page allocations failed," \
		"$module_faults mirrored writes"
	[ "$swapped" -gt 16 ] || fail "it hardly swapped"
	[ "$slab_faults" -gt 0 ] || fail "no slab allocation failed"
	[ "$page_faults" -gt 0 ] || fail "no page allocation failed"
	expect_status "$disk" timeouts 0
}

# pressed: the checks of one kind of processes
pressed() {
	local mode before
	for mode in background write-blocking; do
		check "$mode: swaps and copies, and both legs are equal"
		pressure $mode
		status_above "$disk" copied_bytes $((mib << 19)) || fail "hardly anything was copied"
		if [ $mode = write-blocking ]; then
			wait_ready "$disk"
			wait_for 20 status_above "$disk" mirrored_bytes $((1 << 20))
		fi
		pressure_ends
		[ $mode = background ] || [ "$module_faults" -gt 0 ] || fail "no mirrored write went without memory"
		swapoff "$dev"
		expect_status "$disk" source_errors 0
		expect_status "$disk" target_errors 0
		wait_ready "$disk"
		wait_for 30 status_is "$disk" dirty_bytes 0
		compare_legs "$src" "$dst"
		stop_job "$disk" "$src"
		bio fill "$dst" 0 ${mib}m 3
	done

	check "pivot meanwhile: what was swapped out is there afterwards"
	pressure write-blocking
	wait_ready "$disk"
	complete "$disk" 10000 || fail "not pivoted: $(status_value "$disk" error)"
	swap_table "$disk" "0 $(sectors "$dev") linear $dst 0"
	before=$(went)
	wait_for 60 went_on $((before + 32))
	hogs_end
	faults_off
	trace_off
	swapoff "$dev"
	wait_for 10 module_idle
}

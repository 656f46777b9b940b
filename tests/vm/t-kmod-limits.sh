#!/bin/bash
# description: the queue limits of the device stay as they were when a job begins; NOWAIT and polled requests
# kernels: 6.1 6.12 uml-debug
# check: 6.12 uml-debug
# tier: core
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# limits NAME: all that sysfs tells, a line each. What is not about limits is left out.
limits() {
	local dir file
	dir=$(queue_dir "/dev/mapper/$1")
	for file in "$dir"/*; do
		[ -f "$file" ] || continue
		[[ ${file##*/} != @(iostats|add_random|io_timeout|wbt_lat_usec|nr_requests|scheduler) ]] || continue
		echo "${file##*/} $(cat "$file" 2> /dev/null || echo -)"
	done
}

# unchanged WHAT [DISK-ATTRIBUTE=VALUE...]: of the source; the destination is a poor one
null_disk poor 16
unchanged() {
	local what=$1 src disk
	shift
	null_disk src 16 "$@"
	linear_on disk "$src"
	limits "$disk" > "$case_dir/before"
	[ "$(wc -l < "$case_dir/before")" -gt 10 ] || fail "no limits to see"
	start_job "$disk" "$src" "$poor" paused
	limits "$disk" > "$case_dir/after"
	diff "$case_dir/before" "$case_dir/after" || fail "$what: the limits changed"
	check "$what: $(wc -l < "$case_dir/before") limits, all the same"
	dmsetup remove "$disk"
}

unchanged "plain"
unchanged "with discard" discard=1
unchanged "with a volatile cache" cache_size=4
unchanged "of 4 KiB blocks" blocksize=4096
unchanged "that takes 64 KiB at once" max_sectors=128

check "NOWAIT: a job takes what the plain device took"
null_disk src 16
bio fill "$src" 0 16m 1
linear_on disk "$src"
dev=/dev/mapper/$disk
plain=ok
bio -n write "$dev" 0 4k 2 2> "$case_dir/said" && bio -n read "$dev" 0 4k 2>> "$case_dir/said" || plain=$(< "$case_dir/said")
echo "  plain: $plain"
start_job "$disk" "$src" "$poor"
wait_ready "$disk"
job=ok
bio -n write "$dev" 0 4k 2 2> "$case_dir/said" && bio -n read "$dev" 0 4k 2>> "$case_dir/said" || job=$(< "$case_dir/said")
expect "with a job" "$job" "$plain"

check "NOWAIT while writes are held: EAGAIN, and a read is answered"
linear_on lower "$poor"
stop_job "$disk" "$src"
start_job "$disk" "$src" "/dev/mapper/$lower" sync none
wait_ready "$disk"
dmsetup suspend --noflush "$lower"
bio write "$dev" 0 4k 3
hold_a_write writer "$disk" complete 3000 64k 3
if [ "$plain" = ok ]; then
	refused bio -n write "$dev" 128k 4k 3
	expect "what it said" "$refusal" "write: EAGAIN"
	bio -n read "$dev" 128k 4k
fi
bio read "$dev" 64k 4k
wait_for 10 status_is "$disk" state ready
expect_status "$disk" error blackout-budget-spent
wait "$writer"
dmsetup resume "$lower"

check "polled requests"
null_disk polled 16 poll_queues=1 irqmode=0
linear_on pdisk "$polled"
before=$(< "$(queue_dir "/dev/mapper/$pdisk")/io_poll")
echo "  io_poll of the plain device: $before"
stop_job "$disk" "$src"
start_job "$pdisk" "$polled" "$poor"
expect "io_poll" "$(< "$(queue_dir "/dev/mapper/$pdisk")/io_poll")" "$before"
wait_ready "$pdisk"
msg "$pdisk" pause
bio -p write "/dev/mapper/$pdisk" 0 64k 5
bio -p read "/dev/mapper/$pdisk" 0 64k
bio verify "$polled" 0 64k 5
expect_status "$pdisk" dirty_bytes 65536

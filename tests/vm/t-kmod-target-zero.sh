#!/bin/bash
# description: a destination of zeroes gets the data only, once; what was written there since is written again
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
linear_on disk "$src"
dev=/dev/mapper/$disk

# prepare: data in two places of the source; a destination of zeroes
prepare() {
	bio zero "$src" 0 32m
	bio write "$src" 4m 1m 1
	bio write "$src" $(((20 << 20) + 65536 - 512)) 512 2
	bio zero "$dst" 0 32m
}
# written: sectors that the destination got
written() {
	local counters
	read -ra counters < "/sys/dev/block/$(stat -L -c %Hr:%Lr "$dst")/stat"
	echo "${counters[6]}"
}
table_has() {
	dmsetup table "$disk" | grep -qw target_is_zero
}

for detect in off unmap; do
	check "only data is written, detect_zeroes $detect"
	prepare
	before=$(written)
	start_job "$disk" "$src" "$dst" target_is_zero detect_zeroes $detect
	wait_ready "$disk"
	compare_legs "$src" "$dst"
	got=$((($(written) - before) / 2))
	echo "  $got KiB written"
	# By pieces of a MiB, or less where the guest is at work.
	if [ $got -lt 1024 ] || [ $got -gt 3072 ]; then
		fail "of 1088 KiB of data"
	fi
	[ "$(status_value "$disk" zeroed_bytes)" -ge $((29 << 20)) ] || fail "zeroes were not found"
	! table_has || fail "the line would promise zeroes where data is"

	check "data that becomes zero is written, again and again"
	bio zero "$dev" 4m 64k
	bio write "$dev" 20m 64k 0
	bio write "$dev" 8m 64k 3
	wait_for 20 status_is "$disk" dirty_bytes 0
	compare_legs "$src" "$dst"
	bio zero "$dev" 8m 64k
	bio zero "$dev" 4m 1m
	wait_for 20 status_is "$disk" dirty_bytes 0
	compare_legs "$src" "$dst"
	stop_job "$disk" "$src"
done

check "mirrored writes count as data"
prepare
start_job "$disk" "$src" "$dst" target_is_zero detect_zeroes off copy_mode write-blocking
wait_ready "$disk"
bio write "$dev" 12m 64k 4
msg "$disk" set copy_mode background
wait_for 20 status_is "$disk" mirroring 0
bio zero "$dev" 12m 64k
wait_for 20 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"

check "what verify finds is repaired"
bio write "$dst" 28m 4k 9
msg "$disk" verify repair
wait_for 20 status_is "$disk" verify "done"
wait_for 20 status_is "$disk" dirty_bytes 0
compare_legs "$src" "$dst"
stop_job "$disk" "$src"

check "the line says so until something was written"
prepare
start_job "$disk" "$src" "$dst" target_is_zero paused
table_has || fail "not in $(dmsetup table "$disk")"
msg "$disk" resume
wait_ready "$disk"
! table_has || fail "in $(dmsetup table "$disk")"
stop_job "$disk" "$src"

check "the command looks before it believes"
prepare
bio write "$dst" 0 4k 7
said_data() {
	! blockcopy start "$disk" "$dst" --force --target-is-zero > "$case_dir/out" 2>&1 && grep -q "found data" "$case_dir/out"
}
said_data || fail "$(cat "$case_dir/out")"
bio zero "$dst" 0 4k
blockcopy start "$disk" "$dst" --target-is-zero --wait > /dev/null 2>&1
compare_legs "$src" "$dst"
blockcopy abort "$disk" > /dev/null

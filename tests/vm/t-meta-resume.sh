#!/bin/bash
# description: a job with metadata, cut off at any moment, goes on with what may differ, and ends with equal legs
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 600
#
# A cut: the three devices hang at one moment, in any order, and what is on them then is copied. A job that is made of the copies
# does what one does after a crash.
#
# BLOCKCOPY_CUTS	how many in each situation
# BLOCKCOPY_CUT_SEED	for their times and order; another one each day unless given
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

mib=32 len=$((32 * 2048)) cuts=${BLOCKCOPY_CUTS:-4} seed=${BLOCKCOPY_CUT_SEED:-$((EPOCHSECONDS / 86400))}
RANDOM=$seed
echo "  seed $seed"
for leg in src dst meta; do
	null_disk disk $mib discard=1
	declare "${leg}_disk=$disk"
	linear_on $leg "$disk"
	null_disk copy $mib discard=1
	declare "${leg}_copy=$copy"
done
bio fill "$src_disk" 0 ${mib}m 1
bio fill "$dst_disk" 0 ${mib}m 2
linear_on vm "/dev/mapper/$src"
dev=/dev/mapper/$vm

# with_metadata ARG...: a job on the device, whose metadata begins anew
with_metadata() {
	blockcopy metadata format "/dev/mapper/$meta" "$vm" "/dev/mapper/$dst" --force --granularity $((REGION * 512))
	start_job "$vm" "/dev/mapper/$src" "/dev/mapper/$dst" metadata "/dev/mapper/$meta" "$@"
	expect_status "$vm" metadata ok
}

field() { # DEVICE KEY
	blockcopy metadata dump --json "$1" | jq -r ".$2"
}

copy_disk() {
	dd if="$1" of="$2" bs=1M iflag=direct oflag=direct status=none
}

# cut_off: what is on the three is in their copies.
cut_off() {
	local leg disk copy order=(src dst meta) n
	for n in 2 1; do
		local m=$((RANDOM % (n + 1))) word=${order[n]}
		order[n]=${order[m]} order[m]=$word
	done
	for leg in "${order[@]}"; do
		dmsetup suspend --noflush --nolockfs "${!leg}"
	done
	for leg in src dst meta; do
		disk=${leg}_disk copy=${leg}_copy
		copy_disk "${!disk}" "${!copy}"
	done
	for leg in src dst meta; do
		dmsetup resume "${!leg}"
	done
}

# comes_back: a job of the copies; its legs are equal once it is ready. It copied $again bytes, of $intent that it had to.
comes_back() {
	intent=$(field "$meta_copy" intent_bytes)
	dm_new back "$(job_table "$src_copy" "$dst_copy" $len sync bitmap metadata "$meta_copy")"
	expect_status "$back" metadata ok
	wait_ready "$back"
	again=$(status_value "$back" copied_bytes)
	compare_legs "$src_copy" "$dst_copy"
	[ "$again" = "$intent" ] || fail "copied $again bytes, the metadata says $intent"
	dmsetup remove "$back"
}

is_clear() {
	status_is "$vm" intent_bytes 0
}

check "a full copy: all of it may differ until it is there; then nothing does"
with_metadata paused
expect "outcome" "$(field "/dev/mapper/$meta" outcome)" copying
expect_status "$vm" intent_bytes $((mib << 20))
msg "$vm" resume
wait_ready "$vm"
wait_for 30 is_clear
expect "bytes to copy, on disk" "$(field "/dev/mapper/$meta" intent_bytes)" 0
table=$(dmsetup table "$vm")
[[ $table == *" sync bitmap metadata $(devno "/dev/mapper/$meta")" ]] || fail "table: $table"

check "a write: its region is on disk before it is acknowledged, and for a while"
msg "$vm" pause
bio write "$dev" 5m 4k 7
expect_status "$vm" intent_bytes 65536
expect "bytes to copy, on disk" "$(field "/dev/mapper/$meta" intent_bytes)" 65536
cut_off
comes_back
expect "copied" "$again" 65536
bio verify "$dst_copy" 5m 4k 7
msg "$vm" resume
wait_for 30 is_clear

check "writes that span regions and blocks of any alignment"
msg "$vm" pause
bio write "$dev" $((64 * 1024 * 3 - 4096)) 8k 8
bio write "$dev" $(((mib << 20) - 4096)) 4k 9
bio discard "$dev" 8m 1m
expect_status "$vm" intent_bytes $((65536 * 19))
cut_off
comes_back
msg "$vm" resume

check "another table of the same job goes on from there"
wait_ready "$vm"
wait_for 30 is_clear
msg "$vm" pause
bio write "$dev" 20m 64k 10
dmsetup load "$vm" --table "$(dmsetup table "$vm")"
dmsetup resume "$vm"
expect_status "$vm" dirty_bytes 65536
msg "$vm" resume
wait_ready "$vm"
compare_legs "$src_disk" "$dst_disk"
stop_job "$vm" "/dev/mapper/$src"

# under_load SITUATION MODE [ARG...]
under_load() {
	local what=$1 mode=$2 i total=0
	shift 2
	# It is not to give the metadata up, nor the destination, while they are copied.
	with_metadata copy_mode "$mode" write_timeout 60000 "$@"
	[ "$what" = copying ] || wait_ready "$vm"
	# Slow enough for most places to be left alone for a while, and to be clear again.
	guest_on guest "$vm" -b 1 -t 2 -p 40000
	for ((i = 0; i < cuts; i++)); do
		nap $((RANDOM % 1500))
		cut_off
		comes_back
		total=$((total + intent))
	done
	guest_off "$guest" "$vm"
	echo "  $cuts cuts, on average $((total / cuts >> 10)) KiB to copy again"
	stop_job "$vm" "/dev/mapper/$src"
	bio fill "$dst_disk" 0 ${mib}m 3
}

check "not cleared as long as a write to the destination, or a copy, is under way"
needs_target delay
slow="0 $len delay $dst_disk 0 0 $dst_disk 0 8000 $dst_disk 0 0"
slow_source="0 $len delay $src_disk 0 0 $src_disk 0 6500 $src_disk 0 0"
# The last one: a write ends, and is copied, when the pass that is to clear its region waits for it already.
for what in "write-blocking 5500" "background 5600" "background 9000 slow-source"; do
	read -r mode wait_ms source_kind <<< "$what"
	with_metadata sync none copy_mode "$mode" write_timeout 60000
	wait_for 30 is_clear
	wait_ready "$vm"
	[ "$mode" = background ] || wait_for 10 status_is "$vm" mirroring 1
	swap_table "$dst" "$slow"
	[ -z "$source_kind" ] || swap_table "$src" "$slow_source"
	bio write "$dev" 6m 4k "1$wait_ms" &
	writer=$!
	begin=$(now_ms)
	# Two looks of the work at what has cooled, and some.
	while [ $(($(now_ms) - begin)) -lt "$wait_ms" ]; do
		nap 100
	done
	copy_disk "$src_disk" "$src_copy"
	copy_disk "$dst_disk" "$dst_copy"
	copy_disk "$meta_disk" "$meta_copy"
	comes_back
	expect "copied" "$again" 65536
	wait $writer
	swap_table "$dst" "0 $len linear $dst_disk 0"
	swap_table "$src" "0 $len linear $src_disk 0"
	wait_for 30 is_clear
	stop_job "$vm" "/dev/mapper/$src"
done

REGION=8
for mode in background write-blocking auto; do
	check "cut under load, $mode"
	under_load ready $mode
	check "cut under load while it copies, $mode"
	under_load copying $mode bandwidth 4000000
done

check "a pivot is known after a cut, and the stale source is not served"
with_metadata
wait_ready "$vm"
complete "$vm" 5000 || fail "not pivoted: $(status_value "$vm" error)"
bio write "$dev" 1m 4k 11
cut_off
expect "outcome" "$(field "$meta_copy" outcome)" pivoted
dm_new back "$(job_table "$src_copy" "$dst_copy" $len sync bitmap metadata "$meta_copy")"
expect_status "$back" state pivoted
bio verify "/dev/mapper/$back" 1m 4k 11
dmsetup remove "$back"
swap_table "$vm" "0 $len linear $dst_disk 0"
bio verify "$dev" 1m 4k 11
copy_disk "$dst_disk" "$src_disk"
stop_job "$vm" "/dev/mapper/$src"

REGION=128
check "a finished copy is known as one, and what was written since"
with_metadata
wait_ready "$vm"
wait_for 30 is_clear
complete "$vm" 5000 finish || fail "not finished: $(status_value "$vm" error)"
bio write "$dev" 2m 4k 12
cut_off
expect "outcome" "$(field "$meta_copy" outcome)" finished
expect "bytes to copy" "$(field "$meta_copy" intent_bytes)" 65536
comes_back
bio verify "$dst_copy" 2m 4k 12
stop_job "$vm" "/dev/mapper/$src"

check "metadata that fails does not hurt the guest, and is not believed afterwards"
with_metadata
wait_ready "$vm"
wait_for 30 is_clear
guest_on guest "$vm" -b 4 -t 2 -p 500
log_mark
swap_table "$meta" "0 $len error"
wait_for 20 status_is "$vm" metadata failed
in_log "the job goes on without" || fail "nothing in the log"
guest_off "$guest" "$vm"
wait_ready "$vm"
swap_table "$meta" "0 $len linear $meta_disk 0"
is_detached() {
	[ "$(field "$meta_disk" outcome)" = detached ]
}
wait_for 20 is_detached
stop_job "$vm" "/dev/mapper/$src"

check "nor does metadata that hangs"
with_metadata write_timeout 500
wait_ready "$vm"
wait_for 30 is_clear
dmsetup suspend --noflush --nolockfs "$meta"
begin=$(now_ms)
bio write "$dev" 3m 4k 13
took=$(($(now_ms) - begin))
echo "  a write took $took ms"
[ $took -lt $((1000 + 1500 * case_slow)) ] || fail "longer than a second"
expect_status "$vm" metadata failed
bio write "$dev" 9m 4k 14
dmsetup resume "$meta"
wait_for 20 is_detached
stop_job "$vm" "/dev/mapper/$src"
wait_for 10 module_idle

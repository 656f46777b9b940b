#!/bin/bash
# description: region sizes from 4 KiB to 64 MiB on devices of odd sizes, with writes meanwhile
# kernels: 6.1 6.12 uml-debug uml
# check: 6.12 uml
# tier: full
# timeout: 240
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 80
null_disk dst 80
bio fill "$src" 0 80m 1

# copy REGION SECTORS SRC_OFFSET DST_OFFSET
copy() {
	local region=$1 len=$2 so=$3 do=$4 middle=$(($2 / 2))
	check "regions of $((region / 2)) KiB, $len sectors, at $so and $do"
	linear_on disk "$src" "$len" "$so"
	bio fill "$dst" 0 $(((do + len + 8) * 512)) 77
	swap_table "$disk" "0 $len blockcopy $src $so $dst $do $region"
	# While it runs: in the middle, at the ends
	bio write "/dev/mapper/$disk" 0 4k "$((region + len))"
	bio write "/dev/mapper/$disk" $(((len - 1) * 512)) 512 "$((region + len))"
	bio write "/dev/mapper/$disk" $((middle * 512)) 8k "$((region + len))"
	wait_ready "$disk"
	complete "$disk" 30000 || fail "not pivoted"
	expect_status "$disk" synced "$len"
	drop_caches "$src" "$dst"
	cmp -n $((len * 512)) -i $((so * 512)):$((do * 512)) "$src" "$dst" || fail "the legs differ"
	[ "$do" = 0 ] || bio verify "$dst" 0 $((do * 512)) 77
	bio verify "$dst" $(((do + len) * 512)) 512 77
	dmsetup remove "$disk"
}

copy 8 40001 0 0
copy 8 32769 1 8
copy 128 65535 0 0
copy 128 127 0 0
copy 128 129 8 3
copy 1024 100001 0 2048
copy 2048 2048 0 0
copy 4096 70001 3 0
copy 131072 131073 0 0
copy 131072 140001 16 8

check "one region of 64 MiB goes in pieces: it is written to while it is copied, limited"
REGION=131072
linear_on disk "$src" 131072
dev=/dev/mapper/$disk
start_job "$disk" "$src" "$dst" bandwidth 67108864
wait_for 10 status_above "$disk" inflight_bytes 0
guest_on guest "$disk" -p 2000
wait_for 30 status_above "$disk" dirtied_bytes 0
guest_off "$guest" "$disk"
msg "$disk" set bandwidth 0
wait_ready "$disk"
complete "$disk" 30000 || fail "not pivoted"
compare_legs "$src" "$dst" $((64 << 20))

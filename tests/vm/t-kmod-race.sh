#!/bin/bash
# description: a write while its region is copied: copied again, and never by two copies at once
# kernels: 6.1 6.12 uml-debug
# tier: core
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 4
null_disk dst 4
bio fill "$src" 0 4m 1
len=$(sectors "$src")
linear_on disk "$src"
ms=$((300 * case_slow / 2 + 150))

# A source whose first half is there at once, and the second after a while: a copy that covers both has read the first half
# long before its read ends.
needs_target delay
dmsetup create "$case_id-half" <<- END
	0 1024 linear $src 0
	1024 1024 delay $src 1024 $ms $src 1024 0
	2048 $((len - 2048)) linear $src 2048
END
half=/dev/mapper/$case_id-half
swap_table "$disk" "0 $len linear $half 0"

check "written between the read of its data and the end of the read"
trace_on blockcopy
start_job "$disk" "$half" "$dst"
bio write "/dev/mapper/$disk" 0 4k 2
wait_ready "$disk"
wait_for 10 status_is "$disk" dirty_bytes 0
wait_for 10 status_is "$disk" inflight_bytes 0
compare_legs "$src" "$dst"

check "the same once ready: 1 MiB is dirtied, and its beginning again while it is read"
bio write "/dev/mapper/$disk" 0 1m 3
wait_for 10 status_above "$disk" inflight_bytes 0
bio write "/dev/mapper/$disk" 64k 4k 4
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 status_is "$disk" inflight_bytes 0
compare_legs "$src" "$dst"
stop_job "$disk" "$half"

check "rewritten again and again while a slow destination still takes the last copy"
delay_on slow "$dst" 0 $ms
start_job "$disk" "$half" "/dev/mapper/$slow" sync none
wait_ready "$disk"
for ((i = 0; i < 6; i++)); do
	bio write "/dev/mapper/$disk" 3m 4k $((10 + i))
	bio write "/dev/mapper/$disk" $(((3 << 20) + 65536)) 64k $((10 + i))
	wait_for 10 status_above "$disk" inflight_bytes 0
done
wait_for 20 status_is "$disk" dirty_bytes 0
wait_for 20 status_is "$disk" inflight_bytes 0
trace_off
bio verify "$dst" 3m 4k 15
bio verify "$dst" $(((3 << 20) + 65536)) 64k 15
compare_legs "$src" "$dst"

check "by the trace: no copy began where another was under way"
twice=$(sed -n 's/.*blockcopy_copy_\(begin\|end\): [0-9,]* \([0-9]*\) + \([0-9]*\) .*/\1 \2 \3/p' "$trace" | awk '
	$1 == "begin" { for (s in to) if (s + 0 < $2 + $3 && $2 + 0 < to[s]) print $2 "+" $3; to[$2] = $2 + $3; n++ }
	$1 == "end" { delete to[$2] }
	END { if (n < 6) print "only " n " copies" }')
[ -z "$twice" ] || fail "copied twice at once: $twice"

#!/bin/bash
# description: a write while its region is copied: copied again, and never by two copies at once
# kernels: 6.1 6.12 uml-debug uml
# check: uml-debug
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 4
null_disk dst 4
bio fill "$src" 0 4m 1
len=$(sectors "$src")
linear_on disk "$src"

# A source whose first half is there at once, and the second once the gate is open: a copy that covers both has read the first
# half long before its read ends.
linear_on gate "$src" 1024 1024
dmsetup create "$case_id-half" <<- END
	0 1024 linear $src 0
	1024 1024 linear /dev/mapper/$gate 0
	2048 $((len - 2048)) linear $src 2048
END
half=/dev/mapper/$case_id-half
swap_table "$disk" "0 $len linear $half 0"
dev=/dev/mapper/$disk

begun() {
	grep -s "blockcopy_copy_begin: $(trace_dev "$dev") $1 " $tracing/trace > /dev/null
}

copied() {
	wait_for 20 status_is "$disk" dirty_bytes 0
	wait_for 20 status_is "$disk" inflight_bytes 0
}

check "written between the read of its data and the end of the read"
dmsetup suspend --noflush "$gate"
trace_on blockcopy
start_job "$disk" "$half" "$dst"
wait_for 10 begun 0
bio write "$dev" 0 4k 2
dmsetup resume "$gate"
wait_ready "$disk"
copied
compare_legs "$src" "$dst"

check "the same once ready: dirty again by a write, and once more while that is read"
msg "$disk" pause
bio write "$dev" 0 1m 3
dmsetup suspend --noflush "$gate"
trace_off
trace_on blockcopy
msg "$disk" resume
wait_for 10 begun 0
bio write "$dev" 64k 4k 4
dmsetup resume "$gate"
copied
compare_legs "$src" "$dst"
stop_job "$disk" "$half"

check "rewritten again and again while the destination still takes the last copy: it waits for that"
linear_on hung "$dst"
start_job "$disk" "$half" "/dev/mapper/$hung" sync none
wait_ready "$disk"
trace_off
trace_on blockcopy
for ((i = 0; i < 6; i += 2)); do
	dmsetup suspend --noflush "$hung"
	bio write "$dev" 3m 4k $((10 + i))
	wait_for 10 status_is "$disk" inflight_bytes 65536
	bio write "$dev" 3m 4k $((11 + i))
	# It looks at everything again, and would begin if it could.
	msg "$disk" set buf_size 16777216
	for ((j = 0; j < 10; j++)); do
		expect_status "$disk" dirty_bytes 65536
	done
	dmsetup resume "$hung"
	copied
	bio verify "$dst" 3m 4k $((11 + i))
done
trace_off
compare_legs "$src" "$dst"

check "by the trace: no copy began where another was under way"
twice=$(sed -n 's/.*blockcopy_copy_\(begin\|end\): [0-9,]* \([0-9]*\) + \([0-9]*\) .*/\1 \2 \3/p' "$trace" | awk '
	$1 == "begin" { for (s in to) if (s + 0 < $2 + $3 && $2 + 0 < to[s]) print $2 "+" $3; to[$2] = $2 + $3; n++ }
	$1 == "end" { delete to[$2] }
	END { if (n < 6) print "only " n " copies" }')
[ -z "$twice" ] || fail "copied twice at once: $twice"

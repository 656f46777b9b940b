#!/bin/bash
# description: while the copier rests until an unreadable block is due again, another one that it finds does not put everything off
# kernels: 6.12 uml
# check: uml
# tier: full
# timeout: 150
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
len=$(sectors "$src")
# with_holes SECTOR...: the disk, with a block that cannot be read at each
with_holes() {
	local at=0 hole
	for hole in "$@"; do
		echo "$at $((hole - at)) linear $src $at"
		echo "$hole 8 error"
		at=$((hole + 8))
	done
	echo "$at $((len - at)) linear $src $at"
}
dm_new disk0 "$(with_holes 8192)"
linear_on disk "/dev/mapper/$disk0"
dev=/dev/mapper/$disk

# just_tried: the hole was tried a moment ago, after a rest of several seconds: the next one is as long at least.
just_tried() {
	local errors last begin
	last=$(status_value "$disk" source_errors)
	begin=$(now_ms)
	while :; do
		errors=$(status_value "$disk" source_errors)
		[ "$errors" = "$last" ] || [ $(($(now_ms) - begin)) -lt 5000 ] || return 0
		[ "$errors" = "$last" ] || begin=$(now_ms)
		[ $(($(now_ms) - begin)) -lt 60000 ] || fail "it is not tried any more"
		last=$errors
		nap 50
	done
}
copied_but_for() { # BYTES UNREAD_BYTES
	status_is "$disk" dirty_bytes "$1" && status_is "$disk" unread_bytes "$2"
}

start_job "$disk" "/dev/mapper/$disk0" "$dst" on_source_error ignore copy_mode background
wait_for 10 copied_but_for 65536 4096

check "a write beside the hole, and a region with another hole"
just_tried
swap_table "$disk0" "$(with_holes 8192 16392)"
begin=$(now_ms)
bio write "$dev" 8m 4k 7
bio write "$dev" 16m 4k 8
# The next try of the first hole is more than 5 s away.
wait_for 3 copied_but_for $((2 * 65536)) 8192
bio verify "$dst" 16m 4k 8
bio verify "$dst" 8m 4k 7
echo "  found and copied after $(($(now_ms) - begin)) ms"

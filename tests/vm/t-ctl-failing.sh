#!/bin/bash
# description: a source that fails: all the rest is copied, what is missing is listed, no pivot before it is mended; blockcopy map
# kernels: uml uml-debug
# check: uml
# tier: full
# timeout: 240
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

needs_target dust
null_disk src 32
null_disk dst 32
bio fill "$src" 0 32m 1
len=$(sectors "$src")
last=$((len - 1))

# A megabyte that is dead, and single sectors that a write heals: the first and the last one, both sides of a border of regions,
# a block of 4 KiB, two in one region.
dead_at=20480 dead=2048
bad=(0 127 128 1000 1001 1002 1003 1004 1005 1006 1007 33333 33340 "$last")
whole="0 $len linear $src 0"
dm_new lower "0 $dead_at linear $src 0
$dead_at $dead error
$((dead_at + dead)) $((len - dead_at - dead)) linear $src $((dead_at + dead))"
dm_new dust "0 $len dust /dev/mapper/$lower 0 512"
for sector in "${bad[@]}"; do
	dmsetup message "$dust" 0 addbadblock "$sector"
done
dmsetup message "$dust" 0 enable
linear_on disk "/dev/mapper/$dust"
dev=/dev/mapper/$disk

# lines SECTOR...: as offset and length in bytes, those that touch as one
lines() {
	printf '%s\n' "$@" | sort -nu | awk '
		NR > 1 && $1 == last + 1 { last = $1; next }
		NR > 1 { print first * 512, (last + 1 - first) * 512 }
		{ first = last = $1 }
		END { print first * 512, (last + 1 - first) * 512 }'
}
mapfile -t dead_sectors < <(seq $dead_at $((dead_at + dead - 1)))
all_bad=$(lines "${bad[@]}" "${dead_sectors[@]}")

# settled LINES: these could not be read, and nothing else is to be copied
settled() {
	[ "$(blockcopy map "$disk" --unread)" = "$1" ] && [ "$(blockcopy map "$disk" --list)" = "$1" ]
}

# rest_equal SECTOR...: the copy is the source but for these
rest_equal() {
	local sector
	drop_caches "$src" "$dst"
	dd if="$src" of="$case_dir/a" bs=1M iflag=direct status=none
	dd if="$dst" of="$case_dir/b" bs=1M iflag=direct status=none
	python3 - "$case_dir/a" "$case_dir/b" "$@" << 'X' || fail "the copy differs elsewhere"
import sys
a, b = (bytearray(open(path, "rb").read()) for path in sys.argv[1:3])
for sector in map(int, sys.argv[3:]):
    a[sector * 512:(sector + 1) * 512] = b[sector * 512:(sector + 1) * 512]
differ = [i for i in range(len(a) // 512) if a[i * 512:(i + 1) * 512] != b[i * 512:(i + 1) * 512]]
print("  ", differ[:20]) if differ else None
sys.exit(bool(differ))
X
}

for granularity in 4M 4K 64K; do
	check "regions of $granularity: all the rest is copied, and the list is exact, to the sector"
	bio fill "$dst" 0 32m 99
	blockcopy start "$disk" "$dst" --blockdev --force --on-source-error ignore --granularity $granularity
	wait_for 60 settled "$all_bad"
	rest_equal "${bad[@]}" "${dead_sectors[@]}"
	expect "unread" "$(info "$disk" unread_bytes)" $(((${#bad[@]} + dead) * 512))
	[ $granularity = 64K ] || blockcopy abort "$disk"
done

check "not ready, and neither pivot nor finish goes over it"
expect "state" "$(blockcopy info "$disk" --json | jq -r '[.state, .ready, .io_status, .error] | join(" ")')" "copying false failed source-read"
refuses 4 "found $(((${#bad[@]} + dead) * 512)) bytes of its source that cannot be read, needed all of it copied to pivot" \
	blockcopy pivot "$disk"
refuses 4 "cannot be read" blockcopy finish "$disk"
status=0
blockcopy wait "$disk" --timeout 1 2> "$case_dir/err" || status=$?
expect "exit status of wait" $status 5
grep -q "cannot be read everywhere.*blockcopy map $disk --unread" "$case_dir/err" || fail "said: $(< "$case_dir/err")"
grep -q "not ready after 1 s.*the rest cannot be read" "$case_dir/err" || fail "said: $(< "$case_dir/err")"
blockcopy info "$disk" | grep -q '^Unreadable: *1.0 MiB$' || fail "info: $(blockcopy info "$disk")"

check "the mapfile is ddrescue's"
blockcopy map "$disk" --mapfile > "$case_dir/map"
expect "bad sectors" "$(ddrescuelog -b 512 -l- "$case_dir/map")" "$(printf '%s\n' "${bad[@]}" "${dead_sectors[@]}" | sort -n)"
expect "others" "$(ddrescuelog -b 512 -l'?*/' "$case_dir/map")" ""
expect "finished" "$(ddrescuelog -b 512 -l+ "$case_dir/map" | wc -l)" $((len - ${#bad[@]} - dead))
ddrescuelog -t "$case_dir/map" | grep -E 'rescued|bad-sector'

check "drawn: 40 columns, ASCII or blocks, colours where they may be, SVG, JSON"
LC_ALL=C COLUMNS=40 blockcopy map "$disk" > "$case_dir/drawn"
sed 's/^/  | /' "$case_dir/drawn"
expect "widest" "$(awk 'NR > 1 && length > w { w = length } END { print w }' "$case_dir/drawn")" 40
# Rows of cells: the dead megabyte is all of sixteen cells, the others one each.
cells=$(grep -xE '[#+.X-]+' "$case_dir/drawn" | tr -d '\n')
expect "cells" ${#cells} 512
expect "unreadable" "$(tr -d -c X <<< "$cells" | wc -c)" $((16 + 5))
expect "copied" "$(tr -d -c '#' <<< "$cells" | wc -c)" $((512 - 16 - 5))
LC_ALL=C.UTF-8 blockcopy map "$disk" > "$case_dir/drawn"
grep -q '^█*X' "$case_dir/drawn" || fail "not drawn in blocks: $(< "$case_dir/drawn")"
[[ $(< "$case_dir/drawn") != *$'\033'* ]] || fail "coloured in a file"
# on_terminal COMMAND...: what it writes there
on_terminal() {
	TERM=xterm LC_ALL=C python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))' "$@"
}
[[ $(on_terminal blockcopy map "$disk") == *$'\033[31mX'* ]] || fail "not coloured on a terminal: $(on_terminal blockcopy map "$disk")"
[[ $(NO_COLOR=1 on_terminal blockcopy map "$disk") != *$'\033'* ]] || fail "coloured in spite of NO_COLOR"
blockcopy map "$disk" --svg > "$case_dir/svg"
python3 - "$case_dir/svg" << 'X' || fail "SVG: $(head -c 500 "$case_dir/svg")"
import sys
import xml.etree.ElementTree as tree
ns = "{http://www.w3.org/2000/svg}"
red = [r for r in tree.parse(sys.argv[1]).getroot().iter(ns + "rect") if r.get("fill") == "#c0241c" and int(r.get("y")) >= 60]
sys.exit(sum(int(r.get("width")) for r in red) != (16 + 5) * 7)
X
expect "json" "$(blockcopy map "$disk" --json | jq -c '[.len, .region_size, .dirty == .unread, .unread[1]]')" \
	"[$((len * 512)),65536,true,{\"offset\":65024,\"length\":1024}]"
refuses 2 "exclude each other" blockcopy map "$disk" --svg --json
refuses 3 "no such" blockcopy map nosuch

check "pages of an answer"
pages='' next=0
while [ "$next" -lt "$len" ]; do
	mapfile -t page < <(msg "$disk" map "$next" 2)
	[ ${#page[@]} -le 3 ] || fail "more lines than asked for: ${page[*]}"
	next=${page[-1]}
	unset 'page[-1]'
	pages+=$(printf '%s\n' "${page[@]}" | awk 'NF { print $1 * 512, $2 * 512 }')$'\n'
done
expect "pages" "$(grep . <<< "$pages")" "$all_bad"
expect "from the middle" "$(msg "$disk" map unread $last)" "$last 1
$len"
for words in "" "x" "$len" "0 0" "unread" "0 1 2"; do
	# shellcheck disable=SC2086
	refused msg "$disk" map $words
done

check "a guest elsewhere is copied meanwhile, and beside a bad sector, too"
GUEST_RANGE="$((20 << 20)) $((8 << 20))" guest_on guest "$disk" -p 2000
nap 500
guest_off "$guest" "$disk"
bio write "$dev" $((33334 * 512)) 512 7
wait_for 20 settled "$all_bad"
bio verify "$dst" $((33334 * 512)) 512 7
rest_equal "${bad[@]}" "${dead_sectors[@]}"

check "dirty regions are listed, the last one, too"
blockcopy pause "$disk"
bio write "$dev" $((1 << 20)) 4k 8
bio write "$dev" $(((len - 8) * 512)) 2k 8
expect "dirty" "$(blockcopy map "$disk" --list)" "$(lines "${bad[@]}" "${dead_sectors[@]}" $(seq 2048 2175) $(seq $((len - 128)) $last))"
blockcopy resume "$disk"
wait_for 20 settled "$all_bad"

check "healed by writes, the dead megabyte by repair; then it is ready, and pivots"
for sector in "${bad[@]}"; do
	bio write "$dev" $((sector * 512)) 512 $((sector + 5))
done
wait_for 20 settled "$(lines "${dead_sectors[@]}")"
swap_table "$lower" "$whole"
wait_for 30 info_is "$disk" unread_bytes 0
blockcopy wait "$disk" --timeout $((30 * case_slow))
wait_for 20 info_is "$disk" dirty_bytes 0
expect "io_status" "$(info "$disk" io_status)" ok
expect "dirty" "$(blockcopy map "$disk" --list)" ""
expect "mapfile" "$(blockcopy map "$disk" --mapfile | tail -n 1)" "$(printf '0x%08X  0x%08X  +' 0 $((len * 512)))"
said "Successfully pivoted" blockcopy pivot "$disk" --verify
plain "$disk" "$dst"
compare_legs "$src" "$dst"

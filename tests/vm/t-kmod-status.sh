#!/bin/bash
# description: the status line: grammar, keys, synced against total, no I/O
# kernels: 6.1 6.12 uml-debug uml
# check: uml
# tier: full
# timeout: 180
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

null_disk src 32
null_disk dst 32
bio fill "$src" 0 32m 1
linear_on lower "$src"
linear_on disk "/dev/mapper/$lower"
abi=$BLOCKCOPY_CHECKOUT/kmod/blockcopy-abi.h

# Those that the contract documents, from its own text.
mapfile -t keys < <(sed -n '/Keys every status has/,/\*\//s/^ \*	\([a-z_][a-z_]*\)	.*/\1/p' "$abi")
[ ${#keys[@]} -ge 19 ] || fail "found only ${#keys[@]} keys in the contract"

# parse LINE: the grammar to the letter, the values into $field
declare -A field
parse() {
	local words i
	[[ $1 =~ ^0\ [0-9]+\ blockcopy\ [0-9]+\ [a-z]+\ [0-9]+/[0-9]+\ [0-9]+\ [0-9]+(\ [a-z_]+\ [^ ]+)+$ ]] ||
		fail "no status line: $1"
	read -ra words <<< "$1"
	field=([version]=${words[3]} [state]=${words[4]} [synced]=${words[5]%/*} [total]=${words[5]#*/}
		[region]=${words[6]})
	[ $((8 + 2 * words[7])) = ${#words[@]} ] || fail "number of pairs: $1"
	for ((i = 8; i < ${#words[@]}; i += 2)); do
		[ -z "${field[${words[i]}]+x}" ] || fail "key ${words[i]} twice: $1"
		field[${words[i]}]=${words[i + 1]}
	done
	local key
	for key in "${keys[@]}"; do
		[ -n "${field[$key]+x}" ] || fail "key $key is missing: $1"
	done
	[ "${field[version]}" = 1 ] || fail "version: $1"
	[ "${field[synced]}" -le "${field[total]}" ] || fail "synced above total: $1"
	[ "${field[ready]}" = 1 ] || [ "${field[synced]}" -lt "${field[total]}" ] || fail "synced, but not ready: $1"
	[[ ${field[state]} != @(ready|completing|pivoted|finished) ]] || [ "${field[ready]}" = 1 ] || fail "not ready: $1"
}

check "every sample of a copy is well formed and never says done before ready (${#keys[@]} keys)"
# Not clearing the whole last bit of the work is what the samples look for: many, near the end as well. However slow they are to
# take, there are some before it goes fast.
start_job "$disk" "/dev/mapper/$lower" "$dst" bandwidth $((1 << 20))
last=0 samples=0
while parse "$(dmsetup status "$disk")" && [ "${field[state]}" = copying ]; do
	[ "${field[synced]}" -ge "$last" ] || fail "went back without a write: $last, then ${field[synced]}"
	last=${field[synced]}
	samples=$((samples + 1))
	[ $samples != 10 ] || msg "$disk" set bandwidth $(((32 << 20) / case_slow))
done
echo "  $samples samples"
[ "$samples" -gt 5 ] || fail "too few samples"
expect "state" "${field[state]}" ready
expect "synced" "${field[synced]}" "${field[total]}"
expect "total" "${field[total]}" 65536
expect "region" "${field[region]}" 128
expect "copied" "${field[copied_bytes]}" $((32 << 20))
expect "dirtied" "${field[dirtied_bytes]}" 0
expect "event" "${field[event]} ${field[events]}" "ready 1"
expect "words" "${field[copy_mode]} ${field[actively_synced]} ${field[io_status]} ${field[error]}" "auto 0 ok -"

check "dirty and paused numbers are exact"
msg "$disk" pause
bio write "/dev/mapper/$disk" 0 4k 2
bio write "/dev/mapper/$disk" 1020k 8k 2
parse "$(dmsetup status "$disk")"
expect "dirty" "${field[dirty_bytes]}" $((3 * 65536))
expect "dirtied" "${field[dirtied_bytes]}" $((3 * 65536))
expect "synced" "${field[synced]}" $((65536 - 3 * 128))
expect "paused" "${field[paused]}" 1
expect "event" "${field[event]} ${field[events]}" "paused 2"
msg "$disk" resume

check "status and table do no I/O: they answer while source and destination hang"
wait_for 10 status_is "$disk" dirty_bytes 0
stop_job "$disk" "/dev/mapper/$lower"
linear_on dlower "$dst"
start_job "$disk" "/dev/mapper/$lower" "/dev/mapper/$dlower" bandwidth 4194304
wait_for 10 status_above "$disk" copied_bytes 0
dmsetup suspend --noflush "$lower"
dmsetup suspend --noflush "$dlower"
for how in "status" "status --noflush" "table" "info"; do
	# shellcheck disable=SC2086
	timeout $((5 * case_slow)) dmsetup $how "$disk" > /dev/null || fail "dmsetup $how: hangs"
done
trace_on block:block_bio_queue
dmsetup status "$disk" > /dev/null
dmsetup table "$disk" > /dev/null
trace_off
expect "requests while status was read" "$(grep -c "$(trace_dev "/dev/mapper/$disk") " "$trace" || true)" 0
dmsetup resume "$lower"
dmsetup resume "$dlower"

check "a loaded table that never ran has a line, too"
dmsetup load "$disk" --table "$(job_table "/dev/mapper/$lower" "/dev/mapper/$dlower" 65536 paused)"
[[ $(dmsetup table --inactive "$disk") == *" paused" ]] || fail "$(dmsetup table --inactive "$disk")"
dmsetup clear "$disk"

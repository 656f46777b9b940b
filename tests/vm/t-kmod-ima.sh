#!/bin/bash
# description: the line that the kernel measures at load
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 120
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

policy=/sys/kernel/security/ima/policy
measurements=/sys/kernel/security/ima/ascii_runtime_measurements
if ! mountpoint -q /sys/kernel/security && mount -t securityfs securityfs /sys/kernel/security 2> /dev/null; then
	case_mounts+=(/sys/kernel/security)
fi
[ -w $policy ] || skip "this kernel has no IMA, or its policy is fixed"
echo 'measure func=CRITICAL_DATA label=device-mapper' > $policy || skip "IMA refuses a policy"

null_disk src 16
null_disk dst 16
linear_on disk "$src"
len=$(sectors "$src")

# The last load that was measured; the data is the sixth word, in hexadecimal digits.
measured() {
	grep ' dm_table_load ' $measurements | tail -n 1 | cut -d ' ' -f 6 | xxd -r -p
}
command -v xxd > /dev/null || measured() {
	grep ' dm_table_load ' $measurements | tail -n 1 | cut -d ' ' -f 6 | sed 's/../\\x&/g' | xargs -0 printf '%b'
}

version=$(dmsetup targets | sed -n 's/^blockcopy *v//p')
[ -n "$version" ] || fail "no version: $(dmsetup targets)"

check "a job that never ran is measured"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len" bandwidth 1000)"
line=$(measured)
echo "  $line"
[[ $line == *"target_name=blockcopy,target_version=$version,source_device_name=$(devno "$src"),source_start=0,"* ]] ||
	fail "source: $line"
[[ $line == *",destination_device_name=$(devno "$dst"),destination_start=0,region_sectors=128,copy_mode=auto,"* ]] ||
	fail "destination: $line"
[[ $line == *",pivoted=n,finished=n;"* ]] || fail "end: $line"
dmsetup clear "$disk"

check "pivoted is part of it"
dmsetup load "$disk" --table "$(job_table "$src" "$dst" "$len" pivoted)"
[[ $(measured) == *",pivoted=y,finished=n;"* ]] || fail "$(measured)"
dmsetup clear "$disk"

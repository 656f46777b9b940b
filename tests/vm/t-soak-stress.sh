#!/bin/bash
# description: the same as t-soak-failslab with stress-ng --vm, which verifies its memory
# kernels: uml-debug
# check: none
# tier: full
# timeout: 600
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
command -v stress-ng > /dev/null || skip "no stress-ng"
# shellcheck source=pressure.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/pressure.sh"

hogs_begin() {
	(
		enter_group
		exec stress-ng --vm 2 --vm-bytes 32M --vm-keep --verify --oomable --timeout 0 --temp-path "$case_dir"
	) > "$case_dir/stress" 2>&1 &
	stress=$!
}
hogs_alive() {
	! gone "$stress" || fail "stress-ng ended: $(cat "$case_dir/stress")"
}
hogs_end() {
	local status=0
	hogs_alive
	kill -INT "$stress"
	wait "$stress" || status=$?
	[ $status = 0 ] || fail "stress-ng: exit status $status: $(cat "$case_dir/stress")"
	! grep -i 'fail\|error\|killed' "$case_dir/stress" || fail "stress-ng is not content: $(cat "$case_dir/stress")"
}
went() {
	swapped_mib
}

pressed

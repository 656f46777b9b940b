#!/bin/bash
# description: a job on the swap device of processes under memory pressure, while its own allocations fail: forward progress, nothing lost
# kernels: uml-debug
# tier: full
# timeout: 400
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
# shellcheck source=pressure.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/pressure.sh"

# hog NR MIB: writes to that much memory, round and round, and looks whether it is there; "$case_dir/went-NR" grows with each MiB.
hog() {
	enter_group
	exec python3 -c '
import sys
memory = bytearray(int(sys.argv[1]) << 20)
out = open(sys.argv[2], "w", buffering=1)
n = 0
while True:
    for i in range(0, len(memory), 4096):
        if memory[i] != n:
            sys.exit("page %d: found %d, wanted %d" % (i >> 12, memory[i], n))
        memory[i] = (n + 1) % 256
        if not i % (1 << 20):
            out.write(".\n")
    n = (n + 1) % 256
' "$2" "$case_dir/went-$1"
}
hogs_begin() {
	rm -f "$case_dir"/went-*
	touch "$case_dir/went-1" "$case_dir/went-2"
	hog 1 32 &
	one=$!
	hog 2 32 &
	two=$!
}
hogs_alive() {
	if gone "$one" || gone "$two"; then
		fail "a process ended: its memory was lost, or it was killed"
	fi
}
hogs_end() {
	hogs_alive
	kill "$one" "$two"
	wait "$one" "$two" || true
}
went() {
	echo $((($(stat -c %s "$case_dir/went-1") + $(stat -c %s "$case_dir/went-2")) / 2))
}

pressed

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# probe.sh DIR OUT COMPILER FLAGS...
#
# Compile each DIR/probe_<what>.c and write OUT: "#define BC_HAVE_<WHAT> 1" where that works, a
# comment where it does not. What the compiler said is kept in probe.log beside OUT.
#
# A probe that does not compile is believed only because two controls were right before: one that
# must compile and one that must not. Else a missing package would silently select the oldest
# kernel's branch of everything.
set -eu

dir=$1
out=$2
shift 2
log=${out%/*}/probe.log
tmp=${out%/*}/.probe.$$

mkdir -p "${out%/*}"
trap 'rm -f "$tmp.o" "$tmp.h" "$tmp.log"' EXIT
trap 'exit 1' HUP INT TERM

# compile FILE COMPILER FLAGS...: its messages go to the log, and to $tmp.log
compile()
{
	file=$1
	shift
	status=0
	"$@" -Werror=incompatible-pointer-types -Werror=int-conversion \
		-c -o "$tmp.o" "$file" > "$tmp.log" 2>&1 || status=$?
	{
		echo "== ${file##*/}: exit status $status"
		cat "$tmp.log"
	} >> "$log"
	return $status
}

fail()
{
	echo "$1" >&2
	echo "The compiler's command was: $command" >&2
	echo "It said:" >&2
	cat "$tmp.log" >&2
	exit 1
}

command="$*"
echo "$command" > "$log"

compile "$dir/control_compiles.c" "$@" ||
	fail "compat: no probe can be believed: control_compiles.c does not compile."

if compile "$dir/control_fails.c" "$@"; then
	fail "compat: no probe can be believed: control_fails.c compiles."
fi
grep -q bc_no_such_function "$tmp.log" ||
	fail "compat: no probe can be believed: control_fails.c fails for another reason."

echo "/* Made by probe.sh; see probe.log for why. */" > "$tmp.h"
for probe in "$dir"/probe_*.c; do
	name=${probe##*/probe_}
	name=BC_HAVE_$(echo "${name%.c}" | tr '[:lower:]' '[:upper:]')
	if compile "$probe" "$@"; then
		echo "#define $name 1" >> "$tmp.h"
	else
		echo "/* $name not found */" >> "$tmp.h"
	fi
done

mv "$tmp.h" "$out"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Keep compat/ small and the only place of its kind: LINUX_VERSION_CODE nowhere, BC_HAVE_ only in
# compat.h, a probe for each BC_HAVE_ and a use for each probe, no probe over 15 lines of code.
set -eu

cd "$(dirname "$0")/.."
status=0

complain()
{
	echo "compat: $*" >&2
	status=1
}

if grep -n 'LINUX_VERSION_CODE\|KERNEL_VERSION' ./*.[ch] compat/*.[ch]; then
	complain "version numbers lie, write a probe"
fi
if grep -n 'BC_HAVE_' ./*.[ch]; then
	complain "BC_HAVE_ belongs into compat.h"
fi

have=$(grep -o 'BC_HAVE_[A-Z0-9_]\+' compat/compat.h | sort -u | tr '[:upper:]' '[:lower:]')
for name in $have; do
	[ -e "compat/probe_${name#bc_have_}.c" ] || complain "$name has no probe"
done
for probe in compat/probe_*.c; do
	name=${probe#compat/probe_}
	name=bc_have_${name%.c}
	echo "$have" | grep -qx "$name" || complain "$probe is not used"
	lines=$(grep -vc '^ \*\|^/[/*]\|^$' "$probe")
	[ "$lines" -le 15 ] || complain "$probe has $lines lines"
done

exit $status

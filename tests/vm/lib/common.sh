# shellcheck shell=bash
# What every part of the harness needs: where things are, and how to give up.

# Exit statuses of the harness itself; any other is the script's own.
EXIT_TIMEOUT=124
EXIT_HARNESS=125

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
checkout=$(cd "$vm_dir/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dm-blockcopy
export vm_dir checkout cache EXIT_TIMEOUT EXIT_HARNESS

note() {
	echo "vm: $*" >&2
}

die() {
	echo "vm: $*" >&2
	exit "$EXIT_HARNESS"
}

# is_uml KERNEL
is_uml() {
	[[ $1 == uml* ]]
}

#!/bin/bash
# The machine of tests/host/packages: a job with the installed files only, while they are upgraded, and removed. The packages, and the
# module that DKMS has made of them for this kernel, are in $BLOCKCOPY_SHARED.
# shellcheck disable=SC2154
set -euo pipefail
# shellcheck source=packages-trace.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/packages-trace.sh"
unset LD_LIBRARY_PATH
packages=(blockcopy libblockcopy0 python3-blockcopy dm-blockcopy-dkms)
# Where the package of a module looks for one that is made already.
version=$(dpkg-deb -f "$BLOCKCOPY_SHARED"/dm-blockcopy-dkms_*.deb Version)
tarball=/usr/share/dm-blockcopy-dkms/dm-blockcopy-${version%-*}.dkms.tar.gz

# All of the root takes minutes here; tests/host/packages looks at that.
places=(/etc /lib/udev /usr/sbin /var/lib/dkms "/lib/modules/$(uname -r)/")
export DEBIAN_FRONTEND=noninteractive

# dpkg_quiet ARG...: what it says is in $said.
dpkg_quiet() {
	said=$(dpkg "$@" 2>&1) || { echo "FAILED: dpkg $*: $said"; exit 1; }
}

# debs DIRECTORY PACKAGE...: sets files.
debs() {
	local dir=$1 package
	shift
	files=()
	for package; do
		files+=("$dir/$package"_*.deb)
	done
}

echo "- installed, with the module that DKMS made"
others_do_nothing
trace "${places[@]}" > /dev/shm/before
if type -p blockcopy || modinfo -n dm-blockcopy 2> /dev/null; then
	echo "FAILED: above, what was there before"
	exit 1
fi
mkdir "${tarball%/*}"
cp "$BLOCKCOPY_SHARED/$(uname -r).tar.gz" "$tarball"
debs "$BLOCKCOPY_SHARED" "${packages[@]}"
dpkg_quiet -i "${files[@]}"
modinfo -n dm-blockcopy > /dev/null || { echo "FAILED: no module: $said"; exit 1; }
hash -r

# The case proper: it loads the module.
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"
unset DM_DISABLE_UDEV
udev_on
name=$case_id-vm1

# has_said TEXT: dpkg has.
has_said() {
	grep -A 1 "$1" <<< "$said" || fail "no \"$1\": $said"
}

# goes_on STATE: the job, and the device takes writes.
goes_on() {
	expect "the job" "$(job_state "$name")" "$1"
	dd if=/dev/urandom of="/dev/mapper/$name" bs=64k count=16 oflag=direct status=none
}

expect "the command" "$(type -p blockcopy)" /usr/sbin/blockcopy
expect "the module" "$(modinfo -n dm-blockcopy | sed 's/\.ko.*//')" "/lib/modules/$(uname -r)/updates/dkms/dm-blockcopy"
expect "the one loaded" "$(cat /sys/module/dm_blockcopy/srcversion)" "$(modinfo -F srcversion dm-blockcopy)"
[[ $(ldd /usr/sbin/blockcopy) == *"libblockcopy.so.0 => /lib/"* ]] || fail "another library: $(ldd /usr/sbin/blockcopy)"

check "a job, as autopkgtest has it"
bash "$BLOCKCOPY_SHARED/job" || fail "exit status $?"

check "upgraded with a job: it goes on, and what to do is said"
null_disk a 16
null_disk b 16
blockcopy attach "$a" "$name"
blockcopy start "$name" "$b" --bandwidth 4K > /dev/null
debs "$BLOCKCOPY_SHARED/new" "${packages[@]}"
dpkg_quiet -i "${files[@]}"
has_said 'modprobe -r dm-blockcopy'
goes_on copying
blockcopy set "$name" bandwidth=0
blockcopy wait "$name"
blockcopy pivot "$name"
modprobe -r dm-blockcopy

check "upgraded without a job: the old module is unloaded"
modprobe dm-blockcopy
debs "$BLOCKCOPY_SHARED/new" dm-blockcopy-dkms
dpkg_quiet -i "${files[@]}"
[ ! -e /sys/module/dm_blockcopy ] || fail "it is loaded: $said"
[[ $said != *"has jobs"* ]] || fail "$said"

check "purged with a job: it goes on, and no file is left"
blockcopy start "$name" "$a" --force --wait > /dev/null 2>&1
rm -r "${tarball%/*}"
dpkg_quiet --purge blockcopy
has_said "jobs, which go on: $name"
dpkg_quiet --purge "${packages[@]:1}"
has_said 'rmmod dm_blockcopy'
goes_on ready
dmsetup load "$name" --table "0 $(sectors "/dev/mapper/$name") linear $(devno "$b") 0"
dmsetup resume "$name"
dmsetup remove --retry "$name"
rmmod dm_blockcopy
trace "${places[@]}" > /dev/shm/after
diff /dev/shm/before /dev/shm/after || fail "above, < before it was installed, > after it was purged"

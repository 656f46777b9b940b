#!/bin/bash
# description: the Python module and its examples: copy, events, speed, pivot, a copy of one instant
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 240
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

command -v python3 > /dev/null || skip "no python3"
modprobe -q loop || skip "this kernel has no loop"
export PYTHONPATH=$BLOCKCOPY_CHECKOUT/lib/python PYTHONDONTWRITEBYTECODE=1
examples=$PYTHONPATH/examples
mib=32
null_disk src $mib
null_disk dst $mib
noise "$src" $mib
linear_on vm "$src"
home=$case_dir/home
mkdir "$home"
mount -t tmpfs -o size=128m none "$home"
case_mounts+=("$home")

check "a live snapshot, as nova takes it, under a guest that writes"
guest_on guest "$vm"
said "$((mib << 20)) bytes" python3 "$examples/live-snapshot.py" "$vm" "$home/copy"
guest_off "$guest" "$vm"
plain "$vm" "$src"
python3 "$examples/live-snapshot.py" "$vm" "$home/copy2" > /dev/null
drop_caches "$src"
cmp "$src" "$home/copy2"

check "moved, with events"
python3 "$examples/migrate.py" "$vm" "$dst" > "$case_dir/events"
expect "events" "$(cut -d: -f2 "$case_dir/events" | xargs)" "ready completed"
plain "$vm" "$dst"

check "calls and their errors"
needs_target error
null_disk third $mib
dm_new bad "0 32768 linear $third 0
32768 32768 error"
python3 - "$vm" "$src" "$home" "/dev/mapper/$bad" <<'P'
import os, sys, blockcopy as b
vm, src, home, bad = sys.argv[1:]
d = b.Disks()
block = f"<disk type='block'><source dev='{src}'/></disk>"

def raises(kind, text, call, *args, **more):
    try:
        call(*args, **more)
    except b.BlockcopyError as e:
        assert e.kind == kind and text in str(e), (e.kind, e)
        return
    raise AssertionError(f"{call} raised nothing")

assert d.blockJobInfo(vm) == {}
raises(3, "no copy job", d.blockJobAbort, vm)
raises(2, "<disk>: found dir", d.blockCopy, vm, "<disk type='dir'><source dir='/'/></disk>")
raises(2, "granularity", d.blockCopy, vm, block, {"granularity": 5})
raises(2, "colour", d.blockCopy, vm, block, {"colour": 5})
raises(3, "no such file", d.blockCopy, vm, f"<disk type='file'><source file='{home}/none'/></disk>",
       flags=b.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT)
d.blockCopy(vm, block, {"bandwidth": 1 << 20, "granularity": 1 << 17, "force": True},
            flags=b.VIR_DOMAIN_BLOCK_COPY_SHALLOW)
raises(4, "", d.blockCopy, vm, block)
raises(4, "ready", d.blockJobAbort, vm, b.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
raises(5, "", d.waitReady, vm, timeout=0.1)
i = d.blockJobInfo(vm)
assert i["bandwidth"] == 1 and i["cur"] < i["end"] == 32 << 20 and not i["ready"], i
d.blockJobSetSpeed(vm, 3)
assert d.blockJobInfo(vm, b.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)["bandwidth"] == 3 << 20
d.blockJobSetSpeed(vm, 0)
events = d.blockJobEvents(vm, timeout=60)
assert next(events) == (vm, src, b.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY, b.VIR_DOMAIN_BLOCK_JOB_READY)
assert d.blockJobInfo(vm)["ready"]
with b.Disks() as other:
    other.blockJobAbort(vm)
end = [e[3] for e in events]
assert end in ([b.VIR_DOMAIN_BLOCK_JOB_COMPLETED], [b.VIR_DOMAIN_BLOCK_JOB_CANCELED]), end
assert d.blockJobInfo(vm) == {}
raises(2, "needed COPY", d.blockRebase, vm, f"{home}/rebased")
raises(6, "only a part", d.blockRebase, vm, f"{home}/rebased", 0,
       b.VIR_DOMAIN_BLOCK_REBASE_COPY | b.VIR_DOMAIN_BLOCK_REBASE_SHALLOW)
raises(6, "needed a block device", d.blockRebase, vm, f"{home}/rebased", 0,
       b.VIR_DOMAIN_BLOCK_REBASE_COPY | b.VIR_DOMAIN_BLOCK_REBASE_COPY_DEV)
d.blockRebase(vm, f"{home}/re'based", 2, b.VIR_DOMAIN_BLOCK_REBASE_COPY)
assert d.blockJobInfo(vm)["bandwidth"] == 2
d.blockJobSetSpeed(vm, 0)
d.waitReady(vm, timeout=60)
d.blockJobAbort(vm)
assert os.path.getsize(f"{home}/re'based") == 32 << 20
d.blockCopy(vm, block, {"bandwidth": 1 << 20, "force": True})
events = d.blockJobEvents(vm, timeout=60)
d.blockJobSetSpeed(vm, 0)
next(events)
d.blockJobSetSpeed(vm, 1)
with b.Disks() as other:
    other._check(b._lib.blockcopy_abort(other._handle, vm.encode(), False))
assert [e[3] for e in events] == [b.VIR_DOMAIN_BLOCK_JOB_CANCELED]

d.blockCopy(vm, f"<disk type='block'><source dev='{bad}'/></disk>", {"force": True})
events = d.blockJobEvents(vm, timeout=60)
assert next(events)[3] == b.VIR_DOMAIN_BLOCK_JOB_FAILED
raises(1, "could not be written", d.waitReady, vm, timeout=60)
d.blockJobAbort(vm)
P

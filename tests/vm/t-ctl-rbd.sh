#!/bin/bash
# description: copies to images of a Ceph cluster: mapped, pivoted to, released; servers and commands that are killed
# kernels: 6.1 6.12 uml
# check: uml
# tier: full
# timeout: 300
# log-ok: (libceph|rbd): .*
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=ceph.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/ceph.sh"

modprobe -q rbd || skip "this kernel has no RBD client"
command -v rbd > /dev/null || skip "no rbd"
command -v ceph-osd > /dev/null || skip "no ceph-osd"
mib=16
null_disk src $mib
noise "$src" 6
linear_on vm "$src"
dev=/dev/mapper/$vm

# ids: of the devices that are mapped.
ids() {
	ls /sys/bus/rbd/devices
}
none_mapped() {
	[ -z "$(ids)" ]
}
# is_mapped IMAGE: it, and nothing else.
is_mapped() {
	[ "$(cat /sys/bus/rbd/devices/*/name)" = "$1" ]
}
start() {
	blockcopy start "$vm" "$@" > /dev/null
}
# same IMAGE: it is the device.
same() {
	local copy
	copy=$(rbd map -o noudev "rbd/$1")
	compare_legs "$src" "$copy" $((mib << 20))
	rbd unmap -o noudev "$copy"
}
recovered() {
	blockcopy recover > /dev/null && none_mapped
}
no_rbd_runs() {
	! pgrep -x rbd > /dev/null
}

check "names that are none, and a cluster that does not answer"
refuses 2 "found no name of an image" start rbd:pool
refuses 2 "found no name of an image" start rbd:pool//image
refuses 2 "found a snapshot" start rbd:rbd/image@snap
refuses 2 "found key, needed conf, id" start rbd:rbd/image:key=x
refuses 2 "found id, needed a value" start rbd:rbd/image:id=
refuses 2 "found an option twice" start rbd:rbd/image:id=a:id=b
refuses 2 "needed raw" start rbd:rbd/image --format qcow2
refuses 6 "needed a block device with --blockdev" start rbd:rbd/image --blockdev
null_disk elsewhere $mib
linear_on other "$elsewhere"
blockcopy start "$other" rbd:rbd/image:conf=/dev/null:mon_host=127.0.0.1\\:1 2> "$case_dir/unanswered" &
unanswered=$!

check "cephx: an image is created, pivoted to, and stays until nobody uses it"
ceph_up
refuses 3 "cannot map it: rbd: error opening image none" start rbd:rbd/none --reuse-external
refuses 3 "cannot create it: rbd: error opening pool 'none'" start rbd:none/image
[[ $(blockcopy start "$vm" rbd:rbd/image --dry-run) == "attach as DEVICE rbd:rbd/image"* ]] || fail "dry-run"
guest_on guest "$vm"
start rbd:rbd/image --wait
is_mapped image || fail "mapped: $(ids)"
expect "destination in info" "$(info "$vm" destination_spec)" rbd:rbd/image
expect "size" "$(rbd info --format json rbd/image | jq .size)" $((mib << 20))
blockcopy pivot "$vm" > /dev/null
is_mapped image || fail "the device lost it"
guest_off "$guest" "$vm"
bio write "$dev" 1m 64k 7
blockcopy recover > /dev/null
is_mapped image || fail "recover took it away"
linear_on third "$elsewhere"
refuses 6 "found it held by" blockcopy start "$third" rbd:rbd/image --reuse-external --force
is_mapped image || fail "what was refused took it away"
exec 7< "/dev/rbd$(ids)"
dmsetup remove "$vm" "$third"
blockcopy recover > /dev/null
is_mapped image || fail "recover took it away from somebody who has it open"
exec 7<&-
blockcopy recover > "$case_dir/recovered"
none_mapped || fail "left: $(ids): $(cat "$case_dir/recovered")"
copy=$(rbd map -o noudev rbd/image)
bio verify "$copy" 1m 64k 7
blockcopy recover > /dev/null
is_mapped image || fail "recover took away what somebody else has mapped"
rbd unmap -o noudev "$copy"

check "as a user with a key of his own: finished, aborted, and what a refusal has made is gone"
linear_on vm "$src"
dev=/dev/mapper/$vm
ceph auth get-or-create client.guest mon 'profile rbd' osd 'profile rbd' > "$case_dir/guest key" 2> /dev/null
spec="rbd:rbd/a\\:b:id=guest:conf=/dev/null:mon_host=v1\\:127.0.0.1\\:6789:keyring=$case_dir/guest key"
refuses 1 "cannot create it: rbd: couldn't connect" start rbd:rbd/image:id=nobody
start "$spec" --finish
none_mapped || fail "left: $(ids)"
same a:b
refuses 6 "found an image that is not empty" start "$spec"
start "$spec" --reuse-external --force --bandwidth 1
blockcopy abort "$vm" > /dev/null
none_mapped || fail "left: $(ids)"
refuses 6 "found it in use" start rbd:rbd/new --metadata "$src"
none_mapped || fail "left: $(ids)"
[[ $(rbd ls) != *new* ]] || fail "an image is left"
rbd create --size 8M rbd/small
refuses 6 "found 8388608 bytes, needed at least" start rbd:rbd/small
none_mapped || fail "left: $(ids)"
blockcopy start "$vm" rbd:rbd/image --print-xml > "$case_dir/xml"
blockcopy start "$vm" --xml "$case_dir/xml" --reuse-external --force --wait --pivot > /dev/null
blockcopy start "$vm" "$src" --force --wait --pivot > /dev/null
none_mapped || fail "pivoted back, and left: $(ids)"

check "the server killed: the guest does not notice, and the job goes on when it is back"
start rbd:rbd/image --reuse-external --force --bandwidth 1
guest_on guest "$vm"
osd_down
bio write "$dev" 9m 64k 8
blockcopy set "$vm" bandwidth=0
expect "state" "$(job_state "$vm")" copying
osd_up
wait_for 60 status_is "$vm" state ready
guest_off "$guest" "$vm"
blockcopy finish "$vm" > /dev/null
none_mapped || fail "left: $(ids)"
same image

check "or the job fails, when it was ready, where the cluster's options say so; aborted"
echo "rbd default map options = osd_request_timeout=5" >> "$CEPH_CONF"
start rbd:rbd/image --reuse-external --force --wait
guest_on guest "$vm"
osd_down
wait_for 60 status_is "$vm" state failed
osd_up
wait_for 60 answers "/dev/rbd$(ids)"
blockcopy resume "$vm"
wait_for 60 status_is "$vm" state ready
osd_down
blockcopy abort --async "$vm" > "$case_dir/abort" 2>&1
guest_off "$guest" "$vm"
plain "$vm" "$src"
osd_up
# The kernel lets the device go when what was under way is over.
wait_for 60 recovered
sed -i '/map options/d' "$CEPH_CONF"
start rbd:rbd/image --reuse-external --force --finish
same image

check "killed while it attaches: recover leaves nothing, and the same command goes on"
command -v strace > /dev/null || skip "no strace to kill the tool at a given call"
# Without -f: what rbd does goes on.
strace -q -o "$case_dir/strace" blockcopy start "$vm" rbd:rbd/killed > /dev/null
blockcopy abort "$vm" > /dev/null
tries=0
for call in clone wait4 openat ioctl; do
	made=$(grep -c "^$call(" "$case_dir/strace") || true
	for ((n = made; n > 0 && n > made - 2; n--)); do
		rbd rm --no-progress rbd/killed 2> /dev/null || true
		status=0
		{ strace -q -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" \
			blockcopy start "$vm" rbd:rbd/killed > /dev/null 2>&1; } 2> /dev/null || status=$?
		[ $status = 0 ] || tries=$((tries + 1))
		serves "$vm"
		wait_for 20 no_rbd_runs
		blockcopy recover > "$case_dir/recovered" 2>&1
		if ! is_job "$vm"; then
			none_mapped || fail "$call $n: left: $(ids): $(cat "$case_dir/recovered")"
			start rbd:rbd/killed
		fi
		blockcopy abort "$vm" > /dev/null
		none_mapped || fail "$call $n: left: $(ids)"
	done
done
echo "  killed $tries times"
[ $tries -ge 6 ] || fail "killed only $tries times"
plain "$vm" "$src"

check "without cephx"
without_cephx
start rbd:rbd/open --wait --pivot
start "$src" --force --wait --pivot
none_mapped || fail "left: $(ids)"
expect "showmapped" "$(rbd showmapped)" ""
same open
osd_down
mon_down
status=0
wait $unanswered || status=$?
expect "exit status without an answer" "$status $(< "$case_dir/unanswered")" \
	"1 blockcopy: rbd:rbd/image:conf=/dev/null:mon_host=127.0.0.1\\:1: cannot create it: rbd: couldn't connect to the cluster!"

#!/bin/bash
# description: copies to a disk of another machine by iSCSI; the connection is cut
# kernels: 6.1 6.12
# check: 6.12
# tier: full
# timeout: 300
# log-ok: .*(iSCSI|iscsi|scsi |sd [0-9]|session[0-9]|connection[0-9]|target_core|I/O error, dev sd|TARGET_CORE|CORE_).*
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=remote.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/remote.sh"

for module in iscsi_target_mod target_core_iblock iscsi_tcp sd_mod; do
	modprobe -q $module || skip "this kernel has no $module"
done
command -v iscsid > /dev/null || skip "no iscsid"
remote_legs

# The other machine.
iqn=iqn.2026-11.example:$case_id
core=/sys/kernel/config/target/core/iblock_0/$case_id
fabric=/sys/kernel/config/target/iscsi
group=$fabric/$iqn/tpgt_1
mkdir -p "$core"
echo "udev_path=$far" > "$core/control"
echo 1 > "$core/enable"
mkdir -p "$group/lun/lun_0" "$group/np/127.0.0.1:3260"
ln -s "$core" "$group/lun/lun_0/"
echo 0 > "$group/attrib/authentication"
echo 1 > "$group/attrib/generate_node_acls"
echo 0 > "$group/attrib/demo_mode_write_protect"
sever() {
	echo 0 > "$group/enable"
}
restore() {
	echo 1 > "$group/enable"
}

# This one.
echo "InitiatorName=$iqn-initiator" > /etc/iscsi/initiatorname.iscsi
# It ends its whole process group with itself.
setsid iscsid -f > "$case_dir/iscsid" 2>&1 &
iscsid=$!
# login SECONDS: requests wait so long for a connection that is cut; $there is the disk.
login() {
	iscsiadm -m node -T "$iqn" -p 127.0.0.1 -o new > /dev/null
	iscsiadm -m node -T "$iqn" -p 127.0.0.1 -o update -n node.session.timeo.replacement_timeout -v "$1"
	iscsiadm -m node -T "$iqn" -p 127.0.0.1 --login > /dev/null
	wait_for 10 has_disk
}
has_disk() {
	there=$(echo /sys/class/iscsi_session/session*/device/target*/*:0/block/sd*)
	there=/dev/${there##*/}
	[ -b "$there" ]
}
logout() {
	iscsiadm -m node -T "$iqn" -p 127.0.0.1 --logout > /dev/null
}
iscsid_answers() {
	iscsiadm -m session > /dev/null 2>&1 || [ $? = 21 ] # no sessions
}

restore
wait_for 10 iscsid_answers
login 600
remote_waits "$there"
logout
login 1
remote_fails "$there"
logout
kill $iscsid
wait $iscsid || true
sever
rm "$group/lun/lun_0/$case_id"
rmdir "$group/np/127.0.0.1:3260" "$group/lun/lun_0" "$group" "$fabric/$iqn" "$core"

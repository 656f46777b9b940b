#!/bin/bash
# description: copies to a disk of another machine by NVMe over TCP; the connection is cut
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 120
# log-ok: (nvme|nvmet|block nvme).*
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=remote.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/remote.sh"

shopt -s extglob
for module in nvmet-tcp nvme-tcp; do
	modprobe -q $module || skip "this kernel has no $module"
done
remote_legs

# The other machine.
nqn=nqn.2026-11.example:$case_id
nvmet=/sys/kernel/config/nvmet
subsystem=$nvmet/subsystems/$nqn
port=$nvmet/ports/1
mkdir "$subsystem" "$subsystem/namespaces/1" $port
echo 1 > "$subsystem/attr_allow_any_host"
echo "$far" > "$subsystem/namespaces/1/device_path"
echo 1 > "$subsystem/namespaces/1/enable"
echo tcp > $port/addr_trtype
echo ipv4 > $port/addr_adrfam
echo 127.0.0.1 > $port/addr_traddr
echo 4420 > $port/addr_trsvcid
sever() {
	rm "$port/subsystems/$nqn"
}
restore() {
	ln -s "$subsystem" "$port/subsystems/"
}

# What `nvme connect` does. connect [,OPTION=VALUE...]: $controller is the connection, $there its disk.
connect() {
	echo "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn,reconnect_delay=1$1" > /dev/nvme-fabrics
	controller=$(grep -lFx "$nqn" /sys/class/nvme/*/subsysnqn)
	controller=${controller%/*}
	wait_for 10 has_disk
}
has_disk() {
	there=$(echo "$controller"/nvme*n1)
	there=/dev/${there##*/}
	# With multipath the disk is the subsystem's.
	there=${there/c+([0-9])n/n}
	[ -b "$there" ]
}
disconnect() {
	echo 1 > "$controller/delete_controller"
}
restore
connect ,ctrl_loss_tmo=600
remote_waits "$there"
disconnect
connect ,ctrl_loss_tmo=600,fast_io_fail_tmo=1
remote_fails "$there"
disconnect
sever
echo 0 > "$subsystem/namespaces/1/enable"
rmdir $port "$subsystem/namespaces/1" "$subsystem"

# shellcheck shell=bash disable=SC2154,SC2034 # see use() in lib.sh
# QEMU's mirror in qemu-storage-daemon. The variant is the copy mode. If $qemu_export is set, the guest has the source
# by NBD.

prepare() {
	local node file args=()
	for node in src dst; do
		file=${!node}
		args+=(--blockdev "driver=host_device,node-name=$node,filename=$file,cache.direct=on,aio=native,discard=unmap")
	done
	if [ -n "${qemu_export:-}" ]; then
		args+=(--nbd-server "addr.type=unix,addr.path=$bench_tmp/nbd" --export "type=nbd,id=export,node-name=src,name=src,writable=on")
	fi
	qemu-storage-daemon "${args[@]}" --chardev "socket,id=qmp,path=$bench_tmp/qmp,server=on,wait=off" --monitor chardev=qmp \
		--daemonize --pidfile "$bench_tmp/qsd.pid"
	if [ -n "${qemu_export:-}" ]; then
		dev=/dev/nbd0
		nbd-client -unix "$bench_tmp/nbd" -N src $dev > /dev/null
	fi
}

copy() {
	clock qmp "$bench_tmp/qmp" src dst "${variant:-background}"
}

down() {
	local pid
	[ -z "${qemu_export:-}" ] || nbd-client -d /dev/nbd0 > /dev/null
	pid=$(< "$bench_tmp/qsd.pid")
	kill "$pid"
	wait_for 20 test ! -d "/proc/$pid"
	rm -f "$bench_tmp"/{qmp,nbd,qsd.pid}
}

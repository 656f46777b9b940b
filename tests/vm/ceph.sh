# shellcheck shell=bash disable=SC2154
# A Ceph cluster of one monitor and one server (OSD) on loopback, all of it in memory, up in some seconds. For t-ctl-*.sh, on top of
# ctl.sh.

# ceph_up: with cephx; sets $ceph, its directory; CEPH_CONF names it to all of Ceph's programs.
ceph_up() {
	local fsid=6d1c5a3e-7a3e-4f0e-9d3b-0c8f0a5b1a11 entity
	ceph=$case_dir/ceph
	rm -rf "$ceph"
	mkdir -p "$ceph/mon" "$ceph/osd"
	export CEPH_CONF=$ceph/ceph.conf
	cat > "$CEPH_CONF" <<- EOF
		[global]
		fsid = $fsid
		mon host = [v1:127.0.0.1:6789]
		ms bind msgr2 = false
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		auth cluster required = cephx
		auth service required = cephx
		auth client required = cephx
		keyring = $ceph/keyring
		mon allow pool size one = true
		paxos propose interval = 0.05
		osd pool default size = 1
		osd pool default min size = 1
		osd crush chooseleaf type = 0
		bluestore block size = 1073741824
		bluestore fsck on mount = false
		osd memory target = 939524096
		run dir = $ceph
		admin socket = $ceph/\$name.asok
		log file = $ceph/\$name.log
		pid file = $ceph/\$name.pid
		mon data = $ceph/mon
		osd data = $ceph/osd
	EOF
	for entity in mon. client.admin osd.0; do
		ceph_key "$entity" 'mon = "allow *"' 'osd = "allow *"'
	done > "$ceph/keyring"
	{
		monmaptool --create --fsid $fsid --addv a '[v1:127.0.0.1:6789]' "$ceph/monmap"
		osdmaptool --createsimple 1 "$ceph/osdmap"
		ceph-mon -i a --mkfs --monmap "$ceph/monmap" --osdmap "$ceph/osdmap" --keyring "$ceph/keyring"
		ceph-osd -i 0 --no-mon-config --mkfs
	} > "$ceph/up.log" 2>&1 || fail "no Ceph: $(head -n 20 "$ceph/up.log")"
	mon_up
	osd_up
	timeout 60 ceph osd pool create rbd 8 > "$ceph/up.log" 2>&1 || fail "no pool: $(cat "$ceph/up.log")"
}

# ceph_key ENTITY CAP...: an entry of a keyring, with a new key.
ceph_key() {
	local entity=$1 cap
	shift
	echo "[$entity]"
	printf '\tkey = %s\n' "$({ printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c 16 /dev/urandom; } | base64)"
	for cap in "$@"; do
		printf '\tcaps %s\n' "$cap"
	done
}

mon_up() {
	ceph-mon -i a > "$ceph/up.log" 2>&1 || fail "no monitor: $(head -n 20 "$ceph/up.log")"
}

# A monitor that has just begun and wants no cephx may refuse its first client.
osd_up() {
	wait_for 30 osd_starts
}

osd_starts() {
	ceph-osd -i 0 > "$ceph/up.log" 2>&1
}

# osd_down, mon_down: as by a power cut.
osd_down() {
	kill_daemon osd.0
}

mon_down() {
	kill_daemon mon.a
}

kill_daemon() {
	local pid
	pid=$(< "$ceph/$1.pid")
	kill -KILL "$pid"
	wait_for 10 gone "$pid"
}

# without_cephx: started again, whoever comes.
without_cephx() {
	osd_down
	mon_down
	sed -i '/^auth /s/cephx/none/' "$CEPH_CONF"
	mon_up
	osd_up
}

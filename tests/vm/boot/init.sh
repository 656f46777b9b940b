# shellcheck shell=bash disable=SC2154
# Before systemd begins: what `make install` and an administrator would have put there, and a destination that is not plugged in.
install -m 755 "$here/bin/blockcopy" /usr/local/sbin/blockcopy
install -D -m 755 "$BLOCKCOPY_CHECKOUT/ctl/blockcopy-generator" /usr/lib/systemd/system-generators/blockcopy-generator
make -s -C "$BLOCKCOPY_CHECKOUT/udev" install SBINDIR=/usr/local/sbin
cp "$shared/blockcopytab" /etc/blockcopytab

# What uses the device: it may rely on its job.
cat > /etc/systemd/system/guest.service << 'EOF'
[Unit]
Wants=blockcopy.target
After=blockcopy.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '/usr/local/sbin/blockcopy info --json vm-1 > /run/guest-saw; dd if=/dev/zero of=/dev/mapper/vm-1 bs=4k count=1 oflag=direct'
EOF
cat > /etc/systemd/system/events.service << 'EOF'
[Unit]
After=blockcopy-attach@vm\x2d1.service
Before=blockcopy.target
[Service]
ExecStart=/usr/local/sbin/blockcopy monitor --exec 'echo "$BLOCKCOPY_NAME $BLOCKCOPY_EVENT" >> /run/events'
EOF
# The hand that plugs it in: not before everything else has come so far.
cat > /etc/systemd/system/plug.service << 'EOF'
[Unit]
After=blockcopy-attach@vm\x2d1.service events.service
[Service]
Type=oneshot
ExecStart=/bin/sh -ec 'test ! -e /dev/disk/by-id/virtio-DST; test ! -e /run/guest-saw; echo 1 > /sys/bus/pci/rescan'
EOF
modprobe virtio_blk
for disk in /sys/block/vd*; do
	if [ "$(cat "$disk/serial")" = DST ]; then
		echo 1 > "$(realpath "$disk/device/..")/remove"
	fi
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# description: a QEMU guest writes and verifies while its disk is copied and pivoted: no error, no stall over the blackout
# kernels: uml
# tier: full
# timeout: 600
# mem: 2G
#
# A stock kernel under QEMU in the guest of the lab; its disk is a dm device, cache=none. It runs bc-journal alone. At the end it
# verifies its whole disk, of which only the last destination is left.
#
# BLOCKCOPY_GUEST_PIVOTS	how many
# BLOCKCOPY_GUEST_MIB		size of the disk
# BLOCKCOPY_GUEST_SECONDS	how long stalls are measured without a job
# BLOCKCOPY_GUEST_AIO		native or io_uring
# shellcheck source=cases.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

pivots=${BLOCKCOPY_GUEST_PIVOTS:-4} mib=${BLOCKCOPY_GUEST_MIB:-64} seconds=${BLOCKCOPY_GUEST_SECONDS:-15}
aio=${BLOCKCOPY_GUEST_AIO:-native}
command -v qemu-system-x86_64 > /dev/null || skip "qemu-system-x86 is not installed"

# A stock kernel: $image, and $modules, the directory above lib/modules/$release.
find_kernel() {
	local dir
	for dir in "${XDG_CACHE_HOME:-$HOME/.cache}"/dm-blockcopy/kernels/*; do
		if [ -e "$dir/done" ]; then
			image=$dir/vmlinuz modules=$dir release=${dir##*/}
		fi
	done
	[ -z "${image:-}" ] || return 0
	for image in /boot/vmlinuz-*; do
		release=${image#/boot/vmlinuz-} modules=/
		[ ! -d "/lib/modules/$release/kernel" ] || return 0
	done
	skip "no stock kernel to boot: neither in the cache of tests/vm/run nor in /boot"
}

# The guest's memory disk: busybox, the modules for its disk, bc-journal, and an init that takes orders from the serial line.
make_guest() {
	local dir=$case_dir/rd module name
	mkdir -p "$dir"/{bin,mods,proc,sys,dev,tmp}
	cp "$(command -v busybox)" "$(command -v bc-journal)" "$dir/bin/"
	modprobe -d "$modules" -S "$release" --show-depends -a virtio_pci virtio_blk 2> /dev/null |
		awk '/^insmod/ && !seen[$2]++ { print $2 }' > "$case_dir/modules"
	while read -r module; do
		name=$((100 + $(find "$dir/mods" -type f | wc -l)))-$(basename "$module" .xz)
		case $module in
		*.xz) xz -dc "$module" > "$dir/mods/$name" ;;
		*) cp "$module" "$dir/mods/$name" ;;
		esac
	done < "$case_dir/modules"
	cat > "$dir/init" << 'INIT'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
for m in /mods/*; do insmod "$m"; done
stty -echo
bc-journal write --threads 1 --depth 16 --max 65536 --rate 6000000 --sweep --records 1000000 /tmp/journal /dev/vda &
writer=$!
while read -r order; do
	case $order in
	stat*)
		echo "$order: $(bc-journal stat --reset /tmp/journal)"
		;;
	end)
		kill -TERM $writer
		wait $writer
		echo "writer: $?"
		bc-journal verify /tmp/journal /dev/vda
		echo "verify: $?"
		sync
		poweroff -f
		;;
	esac
done
INIT
	chmod +x "$dir/init"
	(cd "$dir" && find . | cpio --quiet -o -H newc) > "$case_dir/initrd"
	rm -rf "$dir"
}

boot_guest() {
	mkfifo "$case_dir/orders"
	qemu-system-x86_64 -accel tcg,tb-size=64 -M q35 -cpu max -m 192 -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$image" -initrd "$case_dir/initrd" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable" \
		-drive "file=/dev/mapper/$vm,if=none,id=disk,format=raw,cache=none,aio=$aio,werror=report,rerror=report" \
		-device virtio-blk-pci,drive=disk -serial stdio < "$case_dir/orders" > "$case_dir/serial" 2>&1 &
	guest=$!
	exec 9> "$case_dir/orders"
	wait_for 180 guest_says running
}

guest_says() {
	grep -q "^$1" "$case_dir/serial" && return
	! gone "$guest" || fail "the guest is gone: $(tail -n 20 "$case_dir/serial")"
	return 1
}

# guest_stat: what the guest saw since the last time; $stall is its slowest write in ms.
stats=0
guest_stat() {
	local line
	stats=$((stats + 1))
	echo "stat$stats" >&9
	# The whole line: what comes from the serial line comes in pieces.
	wait_for 120 guest_says "stat$stats: .*max_ms=[0-9]*[.]"
	line=$(grep "^stat$stats: " "$case_dir/serial" | tr -d '\r')
	stall=${line##*max_ms=}
	stall=${stall%.*}
	[[ $line == *" errors=0 mismatches=0 "* ]] || fail "the guest: $(tail -n 20 "$case_dir/serial")"
	writes=${line##* writes=} writes=${writes%% *}
}

find_kernel
# A disk that takes its time, so that writes are in flight when they are to be held.
null_disk a "$mib" irqmode=2 completion_nsec=2000000
null_disk b "$mib" irqmode=2 completion_nsec=3000000
linear_on vm "$a"
make_guest
legs=("$a" "$b")

check "boot $release from QEMU's disk /dev/mapper/$vm (cache=none, aio=$aio)"
boot_guest

guest_stat
sleep "$seconds"
guest_stat
baseline=$stall
[ "$writes" -gt 0 ] || fail "the guest does not write"
check "without a job: slowest write of $seconds s $baseline ms"

for ((i = 0; i < pivots; i++)); do
	from=${legs[i % 2]} to=${legs[(i + 1) % 2]}
	before=$writes
	blockcopy start "$vm" "$to" --force --wait > /dev/null 2> "$case_dir/start" || fail "start: $(cat "$case_dir/start")"
	tries=1
	until blockcopy pivot --json "$vm" > "$case_dir/pivot" 2> "$case_dir/pivot.err"; do
		[ $tries -lt 20 ] || fail "no pivot in $tries attempts: $(cat "$case_dir/pivot.err")"
		tries=$((tries + 1))
		blockcopy wait "$vm"
	done
	blackout=$(jq .blackout_us "$case_dir/pivot")
	bc-journal noise "$from"
	sleep 1
	guest_stat
	bound=$((blackout / 1000 + 3 * baseline + 500))
	check "pivot $i ($tries attempts): blackout $blackout us, slowest write since the start $stall ms (bound $bound), $((writes - before)) writes"
	[ "$stall" -le $bound ] || fail "the guest was stalled for $stall ms"
	[ "$writes" -gt "$before" ] || fail "the guest does not write any more"
done

check "the guest verifies its disk"
echo end >&9
wait_for 120 gone "$guest"
exec 9>&-
tr -d '\r' < "$case_dir/serial" | grep -aE '^(end:|writer:|verify:|WRONG|MISMATCH|ERROR)|I/O error|Buffer I/O' | sed 's/^/  /'
grep -q '^writer: 0' "$case_dir/serial" || fail "the guest's writer failed: $(tail -n 30 "$case_dir/serial")"
grep -q '^verify: 0' "$case_dir/serial" || fail "the guest's disk is wrong: $(tail -n 30 "$case_dir/serial")"
! grep -qaiE 'I/O error|hung_task|blocked for more|reset' "$case_dir/serial" || fail "the guest's kernel: $(cat "$case_dir/serial")"

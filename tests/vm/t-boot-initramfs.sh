#!/bin/bash
# description: the hook of initramfs-tools takes what lines with "initramfs" need, and its script brings up their layers from there alone
# kernels: uml
# tier: full
# timeout: 120
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

command -v mkinitramfs > /dev/null || skip "no initramfs-tools"
mib=8
null_disk src $mib
null_disk dst $mib
null_disk meta 1
new_name vm
new_name vm2

# Other cases follow in this guest.
put_back() {
	make -s -C "$BLOCKCOPY_CHECKOUT/udev" uninstall
	rm -f /usr/local/sbin/blockcopy /etc/blockcopytab "/boot/config-$(uname -r)"
}
trap 'status=$?; trap - ERR; set +e; put_back; (exit $status); teardown' EXIT
install -m 755 "$(command -v blockcopy)" /usr/local/sbin/blockcopy
make -s -C "$BLOCKCOPY_CHECKOUT/udev" install
printf '%s\n' "$vm $src $dst $meta initramfs,nofail # early" "$vm2 $dst" > /etc/blockcopytab
mkdir "$case_dir/conf"
cp -r /etc/initramfs-tools/. "$case_dir/conf/"
# It asks what the kernel can unpack.
echo CONFIG_RD_GZIP=y > "/boot/config-$(uname -r)"
printf 'COMPRESS=gzip\n' >> "$case_dir/conf/initramfs.conf"
echo MODULES=list >> "$case_dir/conf/initramfs.conf"

check "what is in it"
mkinitramfs -d "$case_dir/conf" -o "$case_dir/initrd" "$(uname -r)" 2> "$case_dir/said" || fail "mkinitramfs: $(cat "$case_dir/said")"
mkdir "$case_dir/root"
unmkinitramfs "$case_dir/initrd" "$case_dir/root"
root=$case_dir/root
[ ! -d "$root/main" ] || root=$root/main
for file in sbin/blockcopy sbin/dmsetup etc/blockcopytab scripts/local-top/blockcopy; do
	[ -e "$root/$file" ] || [ -e "$root/usr/$file" ] || fail "not in the initramfs: $file"
done
expect "its lines" "$(cat "$root/etc/blockcopytab")" "$vm $src $dst $meta initramfs,nofail "
grep -q blockcopy "$root/scripts/local-top/ORDER" || fail "its script would not run"

check "the script, in there: the layer; then the job that was cut off goes on"
blockcopy boot attach "$vm"
blockcopy start "$vm" "$dst" --force --metadata "$meta" --wait > /dev/null
wait_for 30 info_is "$vm" intent_bytes 0
blockcopy pause "$vm"
bio write "/dev/mapper/$vm" 1m 4k 1
dmsetup remove "$vm"
# In a mount namespace of its own: nothing of the machine is to be below the case's directory when that is removed.
# shellcheck disable=SC2016
unshare --mount --propagation private bash -ec '
	for d in dev sys proc run; do
		mkdir -p "$1/$d"
		mount --rbind "/$d" "$1/$d"
	done
	chroot "$1" /scripts/local-top/blockcopy' bash "$root" > "$case_dir/said" 2>&1 || fail "the script: $(cat "$case_dir/said")"
plain "$vm" "$src"
said "$vm: its job goes on" blockcopy boot resume "$vm"
wait_ready "$vm"
expect "copied" "$(info "$vm" copied_bytes)" 65536
! dmsetup info "$vm2" > /dev/null 2>&1 || fail "a line without \"initramfs\" was attached"
blockcopy abort "$vm" > /dev/null

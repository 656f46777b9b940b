# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run
# Boot a stock kernel under QEMU. TCG always: where KVM exists but cannot run a guest it says so only in the middle of a boot.

# make_initrd: sets initrd, built once for each kernel and version of this recipe.
make_initrd() {
	local recipe
	recipe=$(cat "$vm_dir/guest/initrd-init" "$vm_dir/lib/qemu.sh" | sha256sum | cut -c 1-16)
	initrd=$cache/kernels/$kernel_release/initrd-$recipe
	[ ! -e "$initrd" ] || return 0
	local dir
	dir=$(mktemp -d)
	mkdir -p "$dir"/{bin,mods,proc,sys,dev}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	cp "$vm_dir/guest/initrd-init" "$dir/init"
	chmod +x "$dir/init"
	initrd_modules | nl -n rz -w 2 | while read -r n mod; do
		cp "$mod" "$dir/mods/$n-$(basename "$mod")"
	done
	(cd "$dir" && find . | cpio -o -H newc 2> /dev/null | gzip -1) > "$initrd.$$"
	mv "$initrd.$$" "$initrd"
	rm -rf "$dir"
}

# Paths of the modules that mount the root, in loading order.
initrd_modules() {
	modprobe -d "${kernel_modules%/lib/modules/*}" -S "$kernel_release" --show-depends -a \
		virtio_pci 9p 9pnet_virtio overlay virtio_console virtio_blk virtio_rng 2> /dev/null |
		awk '/^insmod/ && !seen[$2]++ { print $2 }'
}

# tsc_khz: what the guest's counter runs at. TCG passes the machine's own through, and a guest that measures it at boot, on a
# busy machine, gets it wrong: its clock then runs at several times the speed.
tsc_khz() {
	local program=$cache/tsc-khz
	if [ "$vm_dir/lib/tsc-khz.c" -nt "$program" ]; then
		gcc -O2 -o "$program.$$" "$vm_dir/lib/tsc-khz.c" && mv "$program.$$" "$program"
	fi
	"$program"
}

# boot_qemu DIR: run until the guest is gone; console to DIR/console.log, the script's output to the pipes DIR/out and DIR/err.
boot_qemu() {
	local dir=$1 args disk n=0
	# shellcheck disable=SC2054
	args=(-accel "tcg,thread=multi,tb-size=512" -cpu max -smp 2 -m "$vm_mem"
		-nodefaults -no-user-config -display none -no-reboot
		-serial "file:$dir/console.log"
		-device virtio-serial-pci
		-chardev "file,id=out,path=$dir/out" -device virtserialport,chardev=out,name=out
		-chardev "file,id=err,path=$dir/err" -device virtserialport,chardev=err,name=err
		-device virtio-rng-pci
		-fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
		-device virtio-9p-pci,fsdev=root,mount_tag=root
		-fsdev "local,id=lab,path=$(realpath "$dir/shared"),security_model=none"
		-device virtio-9p-pci,fsdev=lab,mount_tag=lab
		-kernel "$kernel_image" -initrd "$initrd"
		-append "console=ttyS0 panic=-1 mitigations=off ignore_loglevel printk.devkmsg=on \
			tsc_early_khz=$(tsc_khz) rcupdate.rcu_cpu_stall_timeout=120 lab=$dir vm=qemu ${BLOCKCOPY_VM_APPEND:-}")
	for disk in "${vm_disk_files[@]}"; do
		args+=(-drive "file=$disk,if=none,id=disk$n,format=raw,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=disk$n")
		n=$((n + 1))
	done
	exec timeout -k 5 "$vm_timeout" qemu-system-x86_64 "${args[@]}" "${vm_extra[@]}" < /dev/null > "$dir/vmm.log" 2>&1
}

qemu_disk_name() {
	printf '/dev/vd%b' "\\x$(printf %x $((97 + $1)))"
}

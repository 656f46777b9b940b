# shellcheck shell=bash
# What a root and a guest of tests/host/packages share.

# The triggers of man-db and initramfs-tools take minutes on an emulated processor.
others_do_nothing() {
	rm -f /var/lib/man-db/auto-update
	[ ! -d /etc/initramfs-tools ] || echo 'update_initramfs=no' > /etc/initramfs-tools/update-initramfs.conf
}

# trace DIRECTORY...: the files there; with checksums where somebody could have changed them. Not what dpkg, apt, ldconfig and depmod note
# for themselves, nor the key that DKMS makes for its first module.
trace() {
	find -H "$@" \( -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path '/var/lib/dpkg/*-old' \
		-o -path '/var/lib/dkms/mok.*' -o -path '*/lib/modules/*/modules.*' \) -prune -o -printf '%p %y %l\n' | sort
	find /run /dev/shm -maxdepth 1 -name 'blockcopy*'
	find /etc -type f -exec sha256sum {} +
	grep -rl dm.blockcopy /lib/modules/*/modules.* || true
}

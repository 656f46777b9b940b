# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run
# Kernels to boot: which release, where its headers, image and modules are.
#
# kernel_prepare NAME sets
#	kernel_release	what uname -r says in the guest
#	kernel_headers	KDIR to compile modules against
#	kernel_image	what to boot
#	kernel_modules	the directory lib/modules/RELEASE with modules and their index

# Directories of a stock kernel's modules that a storage test can want. The rest (graphics, sound, most of
# the network) would only make depmod and the cache slow.
module_dirs=(arch block crypto lib mm fs virt net/9p net/ceph net/core net/key net/sunrpc net/tls net/unix
	drivers/acpi drivers/ata drivers/block drivers/cdrom drivers/char drivers/crypto drivers/dax drivers/md
	drivers/message drivers/nvdimm drivers/nvme drivers/scsi drivers/target drivers/vhost drivers/virtio)
# Single ones.
module_files=(drivers/net/veth)

kernel_prepare() {
	case $1 in
	6.1) prepare_stock 'linux-headers-6.1.0-*-amd64' ;;
	6.12) prepare_stock 'linux-headers-6.12.*-amd64' ;;
	uml) prepare_uml fast ;;
	uml-debug) prepare_uml debug ;;
	*) die "no kernel '$1': give 6.1, 6.12, uml or uml-debug" ;;
	esac
}

# The release of the newest installed headers package whose name matches the pattern $1, flavours left out.
newest_headers() {
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$1" 2> /dev/null |
		sed -n 's/^ii *linux-headers-//p' | grep -Ev -- '-(rt|cloud)-' | sort -V | tail -n 1
}

prepare_stock() {
	kernel_release=$(newest_headers "$1")
	[ -n "$kernel_release" ] || die "no package $1 is installed: run 'make deps'"
	kernel_headers=/usr/src/linux-headers-$kernel_release
	local version
	version=$(dpkg-query -W -f '${Version}' "linux-headers-$kernel_release")
	local dir=$cache/kernels/$kernel_release
	kernel_image=$dir/vmlinuz
	kernel_modules=$dir/lib/modules/$kernel_release
	# A rebuilt package can keep its release name; modules go by the very build. And so does what is collected of them.
	local want="$version ${module_dirs[*]} ${module_files[*]}"
	[ "$(cat "$dir/done" 2> /dev/null)" = "$want" ] && return
	mkdir -p "$cache/kernels"
	(
		flock 9
		[ "$(cat "$dir/done" 2> /dev/null)" = "$want" ] && exit
		rm -rf "$dir" && mkdir -p "$dir/lib/modules"
		trap 'rm -rf "$dir/unpacked"' EXIT
		unpack_image "$dir/unpacked" "$version"
		collect_modules "$dir/unpacked"
		echo "$want" > "$dir/done"
	) 9> "$cache/kernels/lock"
	[ -e "$dir/done" ] || die "could not prepare the kernel $kernel_release"
}

# unpack_image DIR VERSION: boot/vmlinuz-* and lib/modules of kernel_release in DIR, of the installed package
# if it is the right one, else from the archive.
unpack_image() {
	local package=linux-image-$kernel_release
	if [ "$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$package" 2> /dev/null)" = "ii $2" ] &&
		[ -r "/boot/vmlinuz-$kernel_release" ]; then
		mkdir -p "$1/boot" "$1/lib/modules"
		cp "/boot/vmlinuz-$kernel_release" "$1/boot/"
		ln -s "/lib/modules/$kernel_release" "$1/lib/modules/"
		return
	fi
	note "fetching $package $2, once"
	mkdir -p "$1"
	(cd "$1" && apt-get -q download "$package=$2" >&2) ||
		die "cannot download $package $2: is the package list fresh? (apt-get update)"
	dpkg -x "$1"/*.deb "$1"
	# Unpacked packages of merged-/usr releases have their modules below usr.
	[ -e "$1/lib/modules/$kernel_release" ] || ln -sfn usr/lib "$1/lib"
}

# collect_modules DIR: the modules worth having, unpacked (decompressing them is slow in the guest).
collect_modules() {
	local from=$1/lib/modules/$kernel_release d
	mkdir -p "$kernel_modules"
	cp "$1/boot/vmlinuz-$kernel_release" "$kernel_image"
	cp "$from"/modules.{order,builtin,builtin.modinfo} "$kernel_modules/"
	for d in "${module_dirs[@]}"; do
		[ -d "$from/kernel/$d" ] || continue
		mkdir -p "$kernel_modules/kernel/$d"
		cp -r "$from/kernel/$d/." "$kernel_modules/kernel/$d/"
	done
	for d in "${module_files[@]}"; do
		install -D -t "$kernel_modules/kernel/${d%/*}" "$from/kernel/$d".ko*
	done
	find "$kernel_modules" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "${kernel_modules%/lib/modules/*}" "$kernel_release"
}

prepare_uml() {
	"$vm_dir/uml-build" "$1" "$cache" >&2 || die "cannot build User Mode Linux ($1)"
	local dir=$cache/uml-$1
	kernel_headers=$dir
	kernel_image=$dir/linux
	kernel_release=$(cat "$dir/include/config/kernel.release")
	kernel_modules=$dir/mods/lib/modules/$kernel_release
}

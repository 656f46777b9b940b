# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run
# What is under test, built for one kernel: the module out of tree in build/kmod-KERNEL, then library and tool.

# kmod_sources: paths of the module's sources relative to kmod/, without what a build leaves there.
kmod_sources() {
	if git -C "$checkout" rev-parse --git-dir > /dev/null 2>&1; then
		git -C "$checkout/kmod" ls-files -co --exclude-standard
	else
		(cd "$checkout/kmod" && find . -type f ! -name '.*' ! -name '*.o' ! -name '*.ko' ! -name '*.mod*' -printf '%P\n')
	fi
}

# mirror_kmod DIR: DIR holds a link to each source. Kbuild writes beside the sources, and one directory cannot
# serve four kernels.
mirror_kmod() {
	local f
	mkdir -p "$1"
	find "$1" -xtype l -delete
	while IFS= read -r f; do
		[ -e "$checkout/kmod/$f" ] || continue
		[ -L "$1/$f" ] && continue
		mkdir -p "$(dirname "$1/$f")"
		ln -sfn "$checkout/kmod/$f" "$1/$f"
	done < <(kmod_sources)
}

# build_module KERNEL OUT: compile for the prepared kernel and copy dm-blockcopy.ko to OUT.
build_module() {
	local dir=$checkout/build/kmod-$1 log
	mkdir -p "$dir"
	log=$dir/build.log
	(
		flock 9
		mirror_kmod "$dir"
		arch=()
		! is_uml "$1" || arch=(ARCH=um)
		make -C "$kernel_headers" "${arch[@]}" M="$dir" modules > "$log" 2>&1 &&
			cp "$dir/dm-blockcopy.ko" "$2"
	) 9> "$dir/.lock" || {
		cat "$log" >&2
		die "the module does not build for $1 (log: $log)"
	}
	! grep -i 'warning:' "$log" >&2 || note "the module builds with warnings for $1"
}

# build_userland DIR: make the cases' helpers, the library and the tool, and copy the latter two to DIR/{bin,lib}, so that a build that goes on beside us cannot
# change them under the guest.
build_userland() {
	local part log=$checkout/build/userland.log
	mkdir -p "$1/bin" "$1/lib" "$checkout/build"
	(
		flock 9
		for part in lib ctl tests/vm/tools; do
			[ -e "$checkout/$part/Makefile" ] || continue
			make -C "$checkout/$part" all > "$log" 2>&1 || exit 1
		done
		find "$checkout/lib" -maxdepth 1 -name 'libblockcopy.so*' -exec cp -P {} "$1/lib/" \;
		[ ! -x "$checkout/ctl/blockcopy" ] || cp "$checkout/ctl/blockcopy" "$1/bin/"
	) 9> "$checkout/build/.userland.lock" || {
		cat "$log" >&2
		die "library or tool do not build (log: $log)"
	}
}

# guest_modules DIR: DIR/modules becomes what the guest sees as /lib/modules/RELEASE: the kernel's, and ours in updates.
guest_modules() {
	local root=$1/depmod dir
	dir=$root/lib/modules/$kernel_release
	mkdir -p "$dir"
	ln -s "$kernel_modules/kernel" "$dir/kernel"
	cp "$kernel_modules"/modules.{order,builtin,builtin.modinfo} "$dir/"
	ln -s "$dir" "$1/modules"
	if [ -e "$1/dm-blockcopy.ko" ]; then
		mkdir -p "$dir/updates"
		cp "$1/dm-blockcopy.ko" "$dir/updates/"
		depmod -b "$root" "$kernel_release"
	else
		cp "$kernel_modules"/modules.*.bin "$kernel_modules"/modules.{dep,alias,symbols,softdep} "$dir/"
	fi
}

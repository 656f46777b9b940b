# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run
# Boot User Mode Linux: the kernel is a process of ours, its root is the machine's over hostfs.

# boot_uml DIR: as boot_qemu.
boot_uml() {
	local dir=$1 args disk n=0
	# shellcheck disable=SC2054
	args=("mem=$vm_mem" root=/dev/root rootfstype=hostfs rootflags=/ ro "init=$vm_dir/guest/uml-init"
		"uml_dir=$dir" umid=vm con=null ssl=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4
		panic=-1 ignore_loglevel printk.devkmsg=on "lab=$dir" vm=uml)
	for disk in "${vm_disk_files[@]}"; do
		args+=("ubd$n=$disk")
		n=$((n + 1))
	done
	# The guest's memory is a file in TMPDIR: on a disk it would be written back all the time; the default is /dev/shm.
	# UML likes to abort while it exits, when all is said and done.
	ulimit -c 0
	exec timeout -k 5 "$vm_timeout" env -u TMPDIR -u TMP -u TEMP "$kernel_image" "${args[@]}" "${vm_extra[@]}" \
		< /dev/null > "$dir/console.log" 2>&1 3> "$dir/out" 4> "$dir/err"
}

uml_disk_name() {
	printf '/dev/ubd%b' "\\x$(printf %x $((97 + $1)))"
}

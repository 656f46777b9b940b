# shellcheck shell=bash disable=SC2154
# What a disk of another machine must do as a destination, whatever the network's protocol. For t-ctl-*.sh, on top of ctl.sh: the
# case has a device $vm on $src, $dev, and functions `sever` and `restore` for the connection.

# remote_legs: the device $vm on $src, and the disk $far of the other machine.
remote_legs() {
	null_disk src 16
	null_disk far 16
	noise "$src" 6
	linear_on vm "$src"
	dev=/dev/mapper/$vm
}

# remote_waits DEVICE: requests wait for a connection that was cut. Copied to, pivoted to, finished, aborted.
remote_waits() {
	check "cut mid-copy and restored: the guest does not notice, and the job goes on"
	blockcopy start "$vm" "$1" --force --bandwidth 1 > /dev/null
	guest_on guest "$vm"
	sever
	bio write "$dev" 9m 64k 8
	blockcopy set "$vm" bandwidth=0
	expect "state" "$(job_state "$vm")" copying
	restore
	wait_for 60 status_is "$vm" state ready

	check "pivoted to, the guest goes on; and back"
	blockcopy pivot "$vm" > /dev/null
	plain "$vm" "$1"
	guest_off "$guest" "$vm"
	bio write "$dev" 9m 64k 7
	blockcopy start "$vm" "$src" --force --wait --pivot > /dev/null
	bio verify "$dev" 9m 64k 7
	plain "$vm" "$src"

	check "finished, aborted"
	blockcopy start "$vm" "$1" --force --finish > /dev/null
	compare_legs "$src" "$1"
	blockcopy start "$vm" "$1" --force --bandwidth 1 > /dev/null
	blockcopy abort "$vm" > /dev/null
	plain "$vm" "$src"
	wait_for 10 can_be_claimed "$1"
}

# remote_fails DEVICE: requests fail when the connection is cut for some seconds.
remote_fails() {
	check "cut for too long when ready: the job fails, the guest does not notice; restored, it goes on"
	blockcopy start "$vm" "$1" --force --wait > /dev/null
	guest_on guest "$vm"
	sever
	wait_for 60 status_is "$vm" state failed
	restore
	wait_for 60 answers "$1"
	blockcopy resume "$vm"
	wait_for 60 status_is "$vm" state ready

	check "and cut again: aborted"
	sever
	blockcopy abort --async "$vm" > /dev/null
	guest_off "$guest" "$vm"
	plain "$vm" "$src"
	restore
	wait_for 60 can_be_claimed "$1"
}

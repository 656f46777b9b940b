#!/bin/bash
# description: the examples of the manual pages, the README, the target's document and the library, as they stand
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 300
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
# shellcheck source=examples.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/examples.sh"

pages=$BLOCKCOPY_CHECKOUT/ctl/man/obj
null_disk sdb 16
null_disk sdc 16
null_disk sdd1 8
null_disk sde 8
null_disk sdf 20
noise "$sdb"
size=$(sectors "$sdb")
dmsetup create vm1 --table "0 $size linear $sdb 0"
printf 'vm2 %s\n' "$sde" > /etc/blockcopytab
# Where node_exporter has it.
mkdir -p /var/lib/prometheus/node-exporter

# ours: with our devices.
ours() {
	sed "s,/dev/sdb\\b,$sdb,g;s,/dev/sdc\\b,$sdc,g;s,/dev/sdd1\\b,$sdd1,g;s,/dev/sde\\b,$sde,g;s,/dev/sdf\\b,$sdf,g"
}
# again: vm1 is where it was, without a job.
again() {
	is_job vm1 && blockcopy abort vm1 > /dev/null
	swap_table vm1 "0 $size linear $sdb 0"
	drop_caches "$sdb" "$sdc" "$sdf"
	wait_for 10 can_be_claimed "$sdc"
	# What was copied last is no reason to refuse the next copy.
	wipefs -qa "$sdc" "$sdd1" "$sdf"
}
# run NAME < COMMANDS: all of them, and the device serves.
run() {
	cat > "$case_dir/example"
	[ -s "$case_dir/example" ] || fail "no examples in $1"
	sed 's/^/  | /' "$case_dir/example"
	bash -eu "$case_dir/example" > "$case_dir/said" 2>&1 || fail "an example of $1 failed: $(cat "$case_dir/said")"
	serves vm1
}

while read -r page; do
	name=$(basename "$page")
	check "$name"
	examples_of_page "$page" | ours | run "$name"
	again
done < <(find "$pages" -name 'blockcopy*.8' -o -name dm-blockcopy.7 | sort)

check "blockcopytab(5)"
sed -n '/^\.SH EXAMPLES/,/^\.SH SEE/{/^vm/p}' "$pages/blockcopytab.5" | ours > "$case_dir/tab"
expect "lines" "$(blockcopy boot list --tab "$case_dir/tab" | cut -f 1 | xargs)" "vm1 vm2"
expect "options" "$(blockcopy boot list --tab "$case_dir/tab" | head -n 1 | cut -f 5)" "bandwidth=100M"

check "dm-blockcopy.rst"
examples_of_target | ours | run dm-blockcopy.rst
expect "table" "$(dmsetup table vm1)" "0 $size linear $(devno "$sdc") 0"
again

# What the README tells of a crash is a table that is lost.
while IFS='|' read -r begin end before; do
	check "README, from \"$begin\""
	{
		[ -z "$before" ] || echo "$before"
		examples_of_range "$begin" "$end"
	} | ours | sed "s,^# .*the machine goes down.*,dmsetup load vm1 --table '0 $size linear $sdb 0' \&\& dmsetup resume vm1," | run README.md
	again
done < <(examples_ranges)
sed -n '/^### At boot/,/^### To\|^## /s/^    \(vm[12] .*\)/\1/p' "$BLOCKCOPY_CHECKOUT/README.md" > "$case_dir/tab"
expect "lines" "$(blockcopy boot list --tab "$case_dir/tab" | cut -f 1 | xargs)" "vm1 vm2"

check "libblockcopy(3): a program"
said "writes were held for" switch-over vm1 "$sdc"
plain vm1 "$sdc"
compare_legs "$sdb" "$sdc"
status=0
switch-over vm1 /dev/nosuch > /dev/null 2>&1 || status=$?
expect "exit status" $status 3

rm /etc/blockcopytab
dmsetup remove vm1

#!/bin/bash
# The demo, in a guest: a disk with a file system, a database and verified writes is copied to another disk and switched to it, live.
# Then the old disk is filled with noise, and everything has to be right: it can only come from the copy.
#
# demo.sh SUMS: SUMS is md5sum's list of the files that go into the file system, relative to /. Takes two disks in $BLOCKCOPY_DISKS.
set -euo pipefail
read -r old new <<< "$BLOCKCOPY_DISKS"
sums=$1
top=/mnt/vm1
work=/run/demo
begin=$SECONDS

say() {
	printf '\n[%3d s] %s\n' $((SECONDS - begin)) "$*"
}

run() {
	echo "+ $*"
	"$@"
}

fail() {
	echo "demo: FAILED: $*" >&2
	exit 1
}

make_device() {
	say "a device vm1 on $old, with ext4"
	run dmsetup create vm1 --table "0 $(blockdev --getsz "$old") linear $old 0"
	run mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 /dev/mapper/vm1
	mkdir -p $top $work
	run mount /dev/mapper/vm1 $top
}

fill_files() {
	say "more than 500 MB of this machine's own files"
	mkdir $top/files
	tar -C / -cf - --no-recursion --verbatim-files-from -T <(cut -c 35- "$sums") | tar -C $top/files -xf -
	run sync -f $top
	echo "$(wc -l < "$sums") files, $(du -sm $top/files | cut -f 1) MB"
	[ "$(du -sm $top/files | cut -f 1)" -ge 500 ] || fail "this machine has too few files"
}

# A transaction at a time; what SQLite has acknowledged is counted outside of the device.
database_loop() {
	local n=0
	while [ ! -e $work/stop ]; do
		n=$((n + 1))
		sqlite3 $top/bank.db "BEGIN IMMEDIATE; UPDATE account SET amount = amount - $n WHERE id = $n % 97;
			UPDATE account SET amount = amount + $n WHERE id = $n % 89 + 100;
			INSERT INTO journal VALUES ($n, hex(randomblob(200))); COMMIT;" || fail "SQLite"
		echo $n > $work/committed
	done
}

start_database() {
	say "an SQLite database, under a transaction loop (synchronous=FULL)"
	sqlite3 $top/bank.db "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER);
		CREATE TABLE journal (n INTEGER PRIMARY KEY, text TEXT);
		WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 199) INSERT INTO account SELECT i, 1000 FROM c;"
	database_loop &
	database=$!
}

# Each block is written once, at a rate that lasts beyond the switch; when all is written fio reads it back and compares.
start_fio() {
	say "fio: random writes, checksummed, past the page cache; it reads all of them back at its end"
	run fio --name=verify --filename=$top/fio.data --size=160M --rw=randwrite --bsrange=4k-64k --direct=1 --ioengine=libaio \
		--iodepth=8 --rate=1600k --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=none --randrepeat=0 \
		--output-format=json --output=$work/fio.json &
	fio=$!
	sleep 3
}

copy() {
	say "the copy to $new, and the switch, while all this goes on"
	echo "+ dmsetup table vm1"
	dmsetup table vm1
	run blockcopy start vm1 "$new" --wait --verbose --pivot || fail "blockcopy"
	run dmsetup table vm1
	local major minor
	read -r major minor < <(stat -L -c '0x%t 0x%T' "$new")
	[[ "$(dmsetup table vm1)" == *" linear $((major)):$((minor)) "* ]] || fail "vm1 is not on $new"
	committed_then=$(cat $work/committed)
	kill -0 $fio || fail "fio did not last until the switch"
}

spoil_source() {
	say "the old disk $old is overwritten with noise"
	local mb offset
	mb=$(($(blockdev --getsize64 "$old") / 1048576))
	dd if=/dev/urandom of=$work/noise bs=1M count=10 status=none
	for ((offset = 0; offset < mb; offset += 10)); do
		dd if=$work/noise of="$old" bs=10M oflag=direct,seek_bytes seek=${offset}M status=none
	done
	rm $work/noise
	echo "$mb MiB written"
}

# A pause of the device shows as the largest latency of a single write.
check_fio() {
	say "fio writes on from the copy, then reads everything back"
	wait $fio || fail "fio found a difference or an error, see above"
	echo "fio: $(jq -r '.jobs[0] | "\(.write.total_ios) writes verified, errors: \(.error); longest write of all: " +
		"\(.write.clat_ns.max / 1e6 | round) ms, 99.9th percentile \(.write.clat_ns.percentile["99.900000"] / 1e6 | round) ms"' $work/fio.json)"
	[ "$(jq '.jobs[0].error' $work/fio.json)" = 0 ] || fail "fio reports an error"
}

check_database() {
	say "the database"
	touch $work/stop
	wait $database || fail "the transaction loop"
	echo "transactions: $committed_then by the switch, $(cat $work/committed) in the end"
	[ "$(cat $work/committed)" -gt "$committed_then" ] || fail "no transaction after the switch"
}

check_disk() {
	say "from the copy, with nothing left in memory: fsck, checksums, integrity"
	run umount $top
	sync
	echo 3 > /proc/sys/vm/drop_caches
	run fsck.ext4 -fn /dev/mapper/vm1 || fail "fsck"
	run mount -o ro /dev/mapper/vm1 $top
	(cd $top/files && md5sum --quiet -c "$sums") || fail "files differ"
	echo "$(wc -l < "$sums") files with the checksums they have on the host"
	[ "$(run_sql 'PRAGMA integrity_check')" = ok ] || fail "the database is damaged"
	[ "$(run_sql 'SELECT count(*) FROM journal')" = "$(cat $work/committed)" ] || fail "transactions are missing"
	[ "$(run_sql 'SELECT sum(amount) FROM account')" = 200000 ] || fail "the balance is wrong"
	echo "PRAGMA integrity_check: ok; each acknowledged transaction is there, the balance is right"
	umount $top
}

# The file system is read-only: SQLite must not look for a journal to roll back.
run_sql() {
	sqlite3 "file:$top/bank.db?mode=ro&immutable=1" "$1"
}

clean_up() {
	local status=$?
	touch $work/stop
	[ -z "${fio:-}" ] || kill "$fio" 2> /dev/null || true
	wait
	umount $top 2> /dev/null || true
	dmsetup remove vm1 2> /dev/null || true
	exit $status
}

trap clean_up EXIT
make_device
fill_files
start_database
start_fio
copy
spoil_source
check_fio
check_database
check_disk
say "done: the device was copied and switched under its users, and all is right"

#!/bin/bash
# description: top and progress on terminals of several sizes: what is seen, keys, signals, and the terminal afterwards
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 180
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
python3 -c 'import pyte' 2> /dev/null || skip "no python3-pyte"
export TERMINAL_TIMEOUT=$((60 * case_slow))

# on SIZE COMMAND... < LINES: on a terminal of that size.
on() {
	"$BLOCKCOPY_CHECKOUT/tests/vm/terminal" "$@" > "$case_dir/screen" 2>&1 || fail "$(cat "$case_dir/screen")"
	sed 's/^/  /' "$case_dir/screen"
}

null_disk a 32
null_disk b 32
noise "$a"
linear_on one "$a"
others=()
for n in 1 2 3 4 5 6; do
	null_disk c 1
	null_disk d 1
	linear_on two "$c"
	blockcopy start "$two" "$d" --wait > /dev/null
	others+=("$two")
done

check "no terminal: once, plainly"
blockcopy start "$one" "$b" --bandwidth 1 > /dev/null
blockcopy top > "$case_dir/plain"
expect "lines" "$(wc -l < "$case_dir/plain")" 8
grep -Eq "^$one +copying +[0-9]+ % +[0-9.]+ [KM]?i?B/s +[0-9.]+ MiB +[0-9:-]+ auto$" "$case_dir/plain" || fail "$(cat "$case_dir/plain")"
[[ $(script -qefc "blockcopy top --once" /dev/null) != *$'\e'* ]] || fail "--once is not plain"

check "80x24: keys pause, resume and limit the job that is selected"
on 80x24 blockcopy top << X
see ^7 jobs, 6 ready, 0 failed
see ^$one +copying +[0-9]+ % .* auto
see ^$one: copying, .* dirty, time left .*, limit 1.0 MiB/s
key p
see ^$one +paused
see ^$one: paused
show
key k
see ^$one: copying, paused
key p
see ^$one +copying
key b
see ^Limit of $one .* 0 is none:$
key 20X\\x7fM
see : 20M$
key \\n
see ^$one: limited
key b
key nonsense\\n
see found "nonsense", needed MiB/s
key P
see ^$one: found it copying, needed it ready to pivot
key b
key 1M
key \\x1b
gone Limit of
key q
end 0
X
expect "limit" "$(info "$one" speed)" $((20 << 20))
blockcopy wait "$one"

check "40x10: a job further down is found, and switched when that is confirmed"
mapfile -t others < <(printf '%s\n' "${others[@]}" | LC_ALL=C sort)
last=${others[5]}
on 40x10 blockcopy top << X
see ^7 jobs
see Rate$
key jjj
key jjj
see ^$last: ready
gone ^$one
show
key P
see ^Switch $last to its destination
show
key n
gone Switch
key P
see ^Switch $last
key y
see switched, writes were held for [0-9.]+ ms
see ^6 jobs
size 100x30
see ^$one +ready .* auto
show
key q
end 0
X
expect "table" "$(dmsetup table "$last" | cut -d ' ' -f 3)" linear
is_job "${others[4]}" || fail "another one was switched, too"

check "it follows jobs that come and go"
on 60x12 blockcopy top << X
see ^6 jobs
run blockcopy abort $one
see ^5 jobs
run blockcopy start $one $b --force --bandwidth 200K
see ^6 jobs
key q
end 0
X

check "the terminal is as it was, however it ends"
for how in 'key q|0' 'key \x03|-2' 'kill TERM|-15' 'kill HUP|-1' 'kill QUIT|-3'; do
	on 80x24 blockcopy top << X
see ^6 jobs
key b
see Limit
key \\x1b
gone Limit
${how%|*}
end ${how#*|}
X
done
ulimit -c 0
status=0
TERM=nosuch script -qefc "TERM=nosuch blockcopy top" /dev/null > "$case_dir/out" || status=$?
expect "exit status with an unknown terminal" $status 1
grep -q 'found the terminal "nosuch"' "$case_dir/out" || fail "$(cat "$case_dir/out")"

check "progress: a line of 40 columns is not broken, nor is one of 80"
for columns in 40 80; do
	on ${columns}x10 blockcopy wait "$one" --verbose << X
see %.*copying$
see [0-9] [KM]?i?B/s
show
kill TERM
end -15
X
	expect "lines on a terminal of $columns columns" "$(grep -c '[^ |+-]' "$case_dir/screen")" 1
done

check "progress: paused, with a rate of zero"
blockcopy pause "$one"
wait_for 30 info_is "$one" rate 0
on 40x10 blockcopy wait "$one" --verbose << X
see ^\\[ +[0-9]+ %\\]  0 B/s, --:-- left, copying, paused|^\\[ +[0-9]+ %\\]  --:-- left, copying, paused
show
kill TERM
end -15
X
for name in "$one" "${others[@]:0:5}"; do
	blockcopy abort "$name" > /dev/null
done

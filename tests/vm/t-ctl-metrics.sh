#!/bin/bash
# description: metrics of all jobs, as Prometheus reads them
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 120
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"
lint=$BLOCKCOPY_CHECKOUT/tests/vm/metrics-lint
python3 -c 'import prometheus_client' 2> /dev/null || skip "no python3-prometheus-client"

# sound: what is in $case_dir/metrics; by promtool too, where somebody has put one.
sound() {
	"$lint" < "$case_dir/metrics" > "$case_dir/lint" || fail "$(cat "$case_dir/lint")"
	sed 's/^/  /' "$case_dir/lint"
	if command -v promtool > /dev/null; then
		expect "promtool" "$(promtool check metrics < "$case_dir/metrics" 2>&1)" ""
	fi
}
# value METRIC NAME [LABEL]
value() {
	sed -n "s/^blockcopy_$1{name=\"$2\"${3:+,$3}} //p" "$case_dir/metrics"
}

null_disk a 16
null_disk b 16
null_disk c 16
null_disk d 16
noise "$a"
linear_on one "$a"
linear_on two "$c"

check "no job"
blockcopy metrics > "$case_dir/metrics"
sound
expect jobs "$(grep -v '^#' "$case_dir/metrics")" "blockcopy_jobs 0"

check "two jobs: every value is that of info, in base units"
blockcopy start "$one" "$b" --wait > /dev/null
blockcopy start "$two" "$d" --bandwidth 500K --write-timeout 1500 > /dev/null
blockcopy pause "$two"
blockcopy metrics > "$case_dir/metrics"
sound
expect jobs "$(sed -n 's/^blockcopy_jobs //p' "$case_dir/metrics")" 2
while read -r metric key; do
	for name in "$one" "$two"; do
		expect "$metric of $name" "$(value "$metric" "$name")" "$(info "$name" "$key | if type == \"boolean\" then (if . then 1 else 0 end) else . end")"
	done
done << 'X'
size_bytes len
dirty_bytes dirty_bytes
region_size_bytes region_size
bandwidth_limit_bytes_per_second speed
inflight_limit_bytes buf_size
ready ready
paused paused
suspended suspended
copied_bytes_total copied_bytes
write_timeouts_total timeouts
events_total events
X
expect "timeout in seconds" "$(value write_timeout_seconds "$two")" 1.5
expect "time left of what is paused" "$(value eta_seconds "$two")" ""
expect "state" "$(grep '^blockcopy_state.* 1$' "$case_dir/metrics")" "blockcopy_state{name=\"$one\",state=\"ready\"} 1
blockcopy_state{name=\"$two\",state=\"copying\"} 1"
grep -q "^blockcopy_job_info{name=\"$one\",uuid=\"\",source=\"$a\",destination=\"$b\",copy_mode=\"auto\"} 1$" "$case_dir/metrics" ||
	fail "$(grep job_info "$case_dir/metrics")"

check "every number that info has is there"
while read -r key; do
	case $key in
	# By other names, or of which the words are told.
	len | speed | buf_size | rate | region_size | write_timeout | timeouts | eta_s | blackout_us | verify_ranges | verify_*) ;;
	*) grep -q "^blockcopy_$key\(_total\)\?{" "$case_dir/metrics" || grep -q "^blockcopy_${key/offset/offset_bytes}{" "$case_dir/metrics" || fail "no metric for $key" ;;
	esac
done < <(blockcopy info --json "$one" | jq -r 'to_entries[] | select(.value | type == "number") | .key')

check "a file's name that wants escaping, and is no UTF-8"
modprobe -q loop || skip "this kernel has no loop"
blockcopy abort "$two" > /dev/null
file=$case_dir/$(printf 'we"ird\\\xff.img')
blockcopy start "$two" "$file" > /dev/null
blockcopy metrics > "$case_dir/metrics"
sound
grep -qF "destination=\"$case_dir/we\\\"ird\\\\\\\\xff.img\"" "$case_dir/metrics" || fail "$(grep "job_info.*$two" "$case_dir/metrics")"
blockcopy abort "$two" > /dev/null

check "--textfile: whole, readable for the collector, and nothing beside it"
mkdir "$case_dir/collector"
umask 077
blockcopy metrics --textfile "$case_dir/collector/blockcopy.prom"
umask 022
expect "files" "$(ls "$case_dir/collector")" blockcopy.prom
expect "mode" "$(stat -c %a "$case_dir/collector/blockcopy.prom")" 644
cp "$case_dir/collector/blockcopy.prom" "$case_dir/metrics"
sound
refuses 1 "cannot be written" blockcopy metrics --textfile /nosuch/blockcopy.prom
mkdir "$case_dir/collector/x.prom"
refuses 1 "cannot be written" blockcopy metrics --textfile "$case_dir/collector/x.prom"
expect "files" "$(find "$case_dir/collector" -type f | wc -l)" 1
blockcopy abort "$one" > /dev/null

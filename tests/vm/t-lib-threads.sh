#!/bin/bash
# description: the library: fifty jobs from eight threads, also under the thread sanitizer and valgrind; what it exports
# kernels: 6.1 6.12 uml uml-debug
# check: uml
# tier: full
# timeout: 600
# shellcheck source=ctl.sh disable=SC2154
. "$BLOCKCOPY_CHECKOUT/tests/vm/ctl.sh"

tools=$BLOCKCOPY_CHECKOUT/build/tools
jobs=50 mib=2
null_disk src $((jobs * mib))
null_disk dst $((jobs * mib))
noise "$src"
args=() names=()
for ((i = 0; i < jobs; i++)); do
	linear_on a "$src" $((mib * 2048)) $((i * mib * 2048))
	linear_on b "$dst" $((mib * 2048)) $((i * mib * 2048))
	args+=("$a" "/dev/mapper/$b")
	names+=("$a")
done
# back: those that have pivoted stand on their source again.
back() {
	local i
	for ((i = 0; i < jobs; i++)); do
		swap_table "${names[i]}" "0 $((mib * 2048)) linear $src $((i * mib * 2048))"
	done
}
# all_copied: but for those that were aborted.
all_copied() {
	local i
	drop_caches "$src" "$dst"
	for ((i = 0; i < jobs; i++)); do
		[ $((i % 3)) != 2 ] || continue
		cmp -i $((i * mib << 20)) -n $((mib << 20)) "$src" "$dst" || fail "job $i"
	done
}

check "plain"
said "$jobs jobs, 0 failures" "$tools/many-jobs" 8 "${args[@]}"
all_copied
for ((i = 0; i < jobs; i += 3)); do
	[[ $(dmsetup deps -o devname "${names[i]}") != *"${src#/dev/}"* ]] || fail "job $i has not pivoted"
done
back

check "under the thread sanitizer"
# Without arguments it says how it is used, unless the sanitizer does not find the memory it wants.
if { "$tools/many-jobs-tsan"; } > /dev/null 2>&1 || [ $? = 2 ]; then
	TSAN_OPTIONS="exitcode=66 log_path=$case_dir/tsan" said "$jobs jobs, 0 failures" "$tools/many-jobs-tsan" 8 "${args[@]}"
	back
else
	echo "  it does not run on this kernel"
fi

check "under valgrind, for memory and for races"
if command -v valgrind > /dev/null; then
	said "20 jobs, 0 failures" valgrind -q --error-exitcode=66 --leak-check=full --errors-for-leak-kinds=definite,possible \
		"$tools/many-jobs" 4 "${args[@]:0:40}"
	back
	said "20 jobs, 0 failures" valgrind -q --tool=helgrind --error-exitcode=66 \
		"--suppressions=$BLOCKCOPY_CHECKOUT/tests/vm/helgrind.supp" "$tools/many-jobs" 4 "${args[@]:0:40}"
	back
fi

check "each symbol that is exported is declared, and has a version"
nm -D --defined-only "$LD_LIBRARY_PATH/libblockcopy.so.0" | awk '$2 == "T" { print $3 }' | sort > "$case_dir/exported"
! grep -v '@@LIBBLOCKCOPY_' "$case_dir/exported" || fail "without a version"
grep -oE '\bblockcopy_[a-z0-9_]+\(' "$BLOCKCOPY_CHECKOUT/lib/blockcopy.h" | tr -d '(' | sort -u > "$case_dir/declared"
sed 's/@@.*//' "$case_dir/exported" | comm -3 - "$case_dir/declared" > "$case_dir/differ"
[ ! -s "$case_dir/differ" ] || fail "exported or declared only: $(xargs < "$case_dir/differ")"
echo "  $(wc -l < "$case_dir/exported") symbols"

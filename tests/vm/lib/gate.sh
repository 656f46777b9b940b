# shellcheck shell=bash
# The kernel log gate: lines that no test may cause.

gate_words=(
	'WARNING[: ]' 'BUG[: ]' 'Oops' 'Kernel panic' 'general protection' 'Unable to handle' 'Call Trace'
	'KASAN' 'KFENCE' 'UBSAN' 'kmemleak: .*(new suspected|unreferenced|[Cc]annot)' 'unreferenced object'
	'INFO: (task|rcu|trying|possible)' 'rcu: .*stall' 'soft lockup' 'hard LOCKUP' 'hung_task'
	'possible (circular|recursive|irq|deadlock)' 'inconsistent lock state' 'suspicious RCU'
	'bad unlock balance' 'held lock freed' 'still held' 'lockdep' 'DEBUG_LOCKS_WARN' 'sleeping function called'
	'scheduling while atomic' 'refcount_t' 'ODEBUG' 'list_(add|del) corruption' 'Slab corruption' 'Poison overwritten'
	'Object (padding|already free)' 'Redzone' 'page allocation failure' 'Out of memory' 'nobody cared' 'blocked for more than'
	'double free' 'use-after-free'
)

# gate_filter: those lines of a kernel log that offend; succeeds when there are any. Lines that match the expression in
# BLOCKCOPY_VM_LOG_OK are forgiven (a case that provokes a report has to name it).
gate_filter() {
	local words
	words=$(IFS='|'; echo "${gate_words[*]}")
	grep -aE -- "$words" | grep -avE -- "${BLOCKCOPY_VM_LOG_OK:-^\$}"
}

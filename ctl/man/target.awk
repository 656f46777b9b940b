# SPDX-License-Identifier: GPL-2.0-only
# The manual page of the target out of the comment at the head of blockcopy-abi.h: what table line, messages and status mean.

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	sub(/^\./, "\\\\\\&.", s)
	return s
}

# One line of a table: "WORDS<tabs>what they mean", or more of the meaning. A grammar begins with "<" and goes on with the next line.
function row(s,	words) {
	if (s ~ /^</) {
		print ".PP\n.nf\n" escape(s)
		grammar = 1
		return
	}
	if (grammar) {
		sub(/^\t/, "    ", s)
		print escape(s) "\n.fi"
		grammar = 0
		return
	}
	if (s !~ /^\t/) {
		words = s
		sub(/\t.*/, "", words)
		print ".TP\n.B \"" escape(words) "\""
		sub(/^[^\t]*/, "", s)
	}
	sub(/^\t+/, "", s)
	if (s != "")
		print escape(s)
}

function end_grammar() {
	if (grammar)
		print ".fi"
	grammar = 0
}

BEGIN {
	printf ".\\\" Made from kmod/blockcopy-abi.h.\n.TH DM\\-BLOCKCOPY 7 \"\" \"dm\\-blockcopy %s\" \"Copying block devices in use\"\n", version
	print ".SH NAME\ndm\\-blockcopy \\- device\\-mapper target that copies the device under it"
	print ".SH SYNOPSIS\n.nf\n.B modprobe dm\\-blockcopy"
	print "\\fBdmsetup load\\fP \\fINAME\\fP \\fB\\-\\-table\\fP \\(dq\\fITABLE LINE\\fP\\(dq"
	print ".B dmsetup message \\fINAME\\fP 0 \\fIMESSAGE\\fP\n.B dmsetup status \\fINAME\\fP\n.fi"
	print ".SH DESCRIPTION"
	print "It is put under a device by a table swap, watches the writes, copies in the background what is not equal yet, and flips to the"
	print "copy in one short moment in which writes are held."
	print ".BR blockcopy (8)\nloads the tables; here is what it is made of. Sizes are in 512\\-byte sectors unless they are said to be bytes."
}

/^ \*\/$/ { exit }
!/^ \*/ { next }
/^ \* (Table line|Messages|Status line)$/ { end_grammar(); begun = 1; print ".SH " toupper(substr($0, 4)); next }
!begun { next }
/^ \*$/ { end_grammar(); after_blank = 1; next }
/^ \*\t/ { after_blank = 0; sub(/^ \*\t/, ""); row($0); next }
{ if (after_blank) print ".PP"; after_blank = 0; sub(/^ \* /, ""); print escape($0) }

END {
	print ".SH EXIT STATUS\nThat of\n.BR dmsetup (8);\nwhy a table or a message was refused is in the kernel log."
	print ".SH FILES\n.TP\n.I /sys/kernel/tracing/events/blockcopy\ntracepoints"
	print ".SH EXAMPLES\nThe job by hand, for\n.I vm1\nthat is one\n.I linear\nline over\n.IR /dev/sdb :\n.PP\n.EX"
	print "# size=$(blockdev \\-\\-getsz /dev/mapper/vm1)"
	print "# dmsetup load vm1 \\-\\-table \"0 $size blockcopy /dev/sdb 0 /dev/sdc 0 128\""
	print "# dmsetup resume vm1"
	print "# until dmsetup status vm1 | grep \\-q ' ready 1 '; do timeout 1 dmsetup wait vm1 || true; done"
	print "# dmsetup message vm1 0 complete 500"
	print "# while dmsetup status vm1 | grep \\-q ' completing '; do timeout 1 dmsetup wait vm1 || true; done"
	print "# dmsetup status vm1 | grep ' pivoted '"
	print "# dmsetup load vm1 \\-\\-table \"0 $size linear /dev/sdc 0\""
	print "# dmsetup resume vm1\n.EE"
	print ".SH SEE ALSO\n.BR blockcopy (8),\n.BR libblockcopy (3),\n.BR dmsetup (8)\n.PP\nThe whole of it is in\n.IR kmod/dm\\-blockcopy.rst ."
}

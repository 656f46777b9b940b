# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual page of the library out of blockcopy.h. A comment belongs to the declarations that follow it without a blank line; one
# behind a declaration to that. A function that has none is an error.

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	sub(/^\./, "\\\\\\&.", s)
	return s
}

# What was gathered: the declarations, and what is said about them.
function put() {
	if (code != "")
		printf ".PP\n.nf\n%s.fi\n", code
	if (text != "")
		printf code == "" ? ".PP\n%s" : ".RS 4\n%s.RE\n", text
	text = code = ""
}

function add_text(s) {
	sub(/^[ \t]*\/?\*+\/?[ \t]?/, "", s)
	sub(/[ \t]*\*\/.*$/, "", s)
	sub(/^ +- +/, ".PP\n", s)
	sub(/^ +/, "", s)
	if (s == "" && text == "")
		return
	if (s ~ /^\.PP\n/)
		text = text ".PP\n" escape(substr(s, 5)) "\n"
	else
		text = text (s == "" ? ".PP" : escape(s)) "\n"
}

# With blanks to the next multiple of eight in place of a tab.
function expand(s,	i) {
	while ((i = index(s, "\t")))
		s = substr(s, 1, i - 1) substr("        ", 1, 8 - (i - 1) % 8) substr(s, i + 1)
	return s
}

function add_code(s,	n, bare) {
	s = expand(s)
	code = code escape(s) "\n"
	bare = s
	sub(/\/\*.*/, "", bare)
	if (bare ~ /[(].*$/ && bare !~ /^ /) {
		n = bare
		sub(/[(].*/, "", n)
		sub(/.*[ *]/, "", n)
		if (bare !~ /^typedef/ && text == "" && s !~ /\/\*/) {
			print "library-page: " n " is not documented" > "/dev/stderr"
			bad = 1
		}
	}
}

BEGIN {
	printf ".\\\" Made from lib/blockcopy.h.\n.TH LIBBLOCKCOPY 3 \"\" \"dm\\-blockcopy %s\" \"Copying block devices in use\"\n", version
	print ".SH NAME\nlibblockcopy \\- copy a device\\-mapper device in use, and switch to the copy"
	print ".SH SYNOPSIS\n.nf\n.B #include <blockcopy.h>\n.PP\n.B cc \\fIFILE\\fP.c $(pkg\\-config \\-\\-cflags \\-\\-libs libblockcopy)\n.fi"
	print ".SH DESCRIPTION"
}

# The head, up to the include guard.
/^#ifndef BLOCKCOPY_H/ { put(); print ".SH FUNCTIONS"; body = 1; next }
/^\/\* SPDX/ || /^#/ || /^extern "C"/ || /^[}]$/ { next }
!body && /^\/\*$/ { head = 1; next }
!body && /^ \*\/$/ { head = 0; next }
!body { if (!/^ \* libblockcopy: / && !/^ \* copy\.$/ && !/^ \* Conventions$/) add_text($0); next }

/^\/\* ---- .* ---- \*\/$/ { put(); gsub(/^\/\* ---- | ---- \*\/$/, ""); print ".SS " toupper(substr($0, 1, 1)) substr($0, 2); next }
/^[ \t]*$/ { put(); next }
# A comment of its own begins what follows; within a struct or enum it is code.
!inside && /^\/\*/ { if (code != "") put(); add_text($0); comment = !/\*\//; next }
comment { add_text($0); comment = !/\*\//; next }
{ add_code($0); if (/[{]$/) inside = 1; if (/^[}]/) inside = 0 }

END {
	put()
	print ".SH EXIT STATUS\nA program that ends with what"
	print ".I blockcopy_error()\nsays has the exit statuses of"
	print ".BR blockcopy (8)."
	print ".SH FILES\n.TP\n.I /run/blockcopy\nlocks; no state\n.TP\n.I /var/lib/blockcopy\nmetadata that is not to be believed after a crash"
	print ".SH EXAMPLES\n.EX"
	while ((getline < example) > 0) {
		if (/^#include/)
			shown = 1
		if (shown)
			print escape(expand($0))
	}
	print ".EE"
	print ".SH SEE ALSO\n.BR blockcopy (8),\n.BR dm\\-blockcopy (7)"
	exit bad
}

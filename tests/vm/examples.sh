# shellcheck shell=bash
# The examples of the documents, for those who execute them (t-manual.sh) and who see to it that somebody does (tests/host/examples).

# examples_of_page FILE: the commands of a manual page, or of the source of one.
examples_of_page() {
	sed -n '/^\.SH EXAMPLES/,/^\.SH SEE/{s/^# //p};/^@EXAMPLES/,/^@SEE/{s/^# //p}' "$1" | sed 's,\\-,-,g;s,\\e,\\,g'
}

# examples_of_target: those of the document of the target.
examples_of_target() {
	sed -n '/^Examples$/,/^Known limits$/s/^\t//p' "$BLOCKCOPY_CHECKOUT/kmod/dm-blockcopy.rst"
}

# What t-manual executes of the README: between a line that begins so and one that begins so; and what has to be there before.
examples_ranges() {
	cat <<- 'X'
		## Using it|or in one line|
		### Watching|`blockcopy top` redraws|
		### Are they equal|The kernel reads both|blockcopy start vm1 /dev/sdc --wait
		### Where do they differ|### From a failing disk|
		### From a failing disk|Everything that|
		### Going back|`--keep-source` turns|
		## After a crash|The second `start`|
		A finished copy can be refreshed|`abort --keep-tracking`|
	X
}

# examples_of_range FROM TO: its lines, with what they tell of the machine.
examples_of_range() {
	sed -n "/^$1/,/^$2/{s/^    //p}" "$BLOCKCOPY_CHECKOUT/README.md" | sed -n '/^\(blockcopy\|#\) /p'
}

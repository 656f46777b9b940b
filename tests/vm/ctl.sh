# shellcheck shell=bash disable=SC2154
# What the cases t-ctl-*.sh share, on top of cases.sh.
# shellcheck source=cases.sh
. "$BLOCKCOPY_CHECKOUT/tests/vm/cases.sh"

# with_udev: a machine as most are. It takes its time on emulated processors, so not every case does it.
with_udev() {
	unset DM_DISABLE_UDEV
	udev_on
	udevadm settle
}

# everything: all that a refusal must leave as it was; the attributes tell of an inactive table.
everything() {
	dmsetup info -c --noheadings -o name,uuid,attr,open 2> /dev/null
	dmsetup table 2> /dev/null
}

# refuses STATUS TEXT COMMAND...: this exit status, one line on standard error with this text in it, nothing changed. What is
# refused for its words alone (2) has not looked at any device: emulated processors are spared the comparison.
refuses() {
	local want=$1 text=$2 status=0 before='' after=''
	shift 2
	[ "$want" = 2 ] || before=$(everything)
	refusal=$("$@" 2>&1 > /dev/null) || status=$?
	[ "$want" = 2 ] || after=$(everything)
	[ $status = "$want" ] || fail "exit status $status, wanted $want: $* ($refusal)"
	[[ $refusal == "blockcopy: "*"$text"* ]] || fail "no \"$text\" in: $refusal"
	[[ $refusal != *$'\n'* ]] || fail "not one line: $refusal"
	[ "$before" = "$after" ] || fail "$* changed something: $(diff <(echo "$before") <(echo "$after"))"
	echo "  $refusal"
}

# info NAME KEY: a value of `info --json`.
info() {
	blockcopy info --json "$1" | jq -r ".$2"
}

info_is() {
	[ "$(info "$1" "$2" 2> /dev/null)" = "$3" ]
}

# plain NAME DEVICE: one linear line over the start of it.
plain() {
	expect "table of $1" "$(dmsetup table "$1")" "0 $(sectors "/dev/mapper/$1") linear $(devno "$2") 0"
}

# no_helper NAME
no_helper() {
	! dmsetup info "$1-blockcopy" > /dev/null 2>&1 || fail "$1-blockcopy is left"
}

# identity NAME: what must survive every swap.
identity() {
	dmsetup info -c --noheadings -o name,uuid,major,minor "$1"
}

# No cookie may stay in the system: each is a semaphore that nobody frees.
no_cookies() {
	expect "udev cookies" "$(dmsetup udevcookies | tail -n +2)" ""
}

noise() {
	dd if=/dev/urandom of="$1" bs=1M oflag=direct ${2:+count=$2} status=none 2> /dev/null || true
}

sum() {
	drop_caches "$1"
	head -c "${2:-$(blockdev --getsize64 "$1")}" "$1" | md5sum
}

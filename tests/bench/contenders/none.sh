# shellcheck shell=bash # see use() in lib.sh
# For a measure that makes its own devices.

prepare() {
	:
}

down() {
	:
}

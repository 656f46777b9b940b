# SPDX-License-Identifier: GPL-2.0-only
# Programs for the pure parts of lib/ and ctl/: the very .c of library and controller.

lib-cflags := -D_GNU_SOURCE -I$(TOP)/lib -I$(TOP)/kmod

TESTS += test-lib-table test-lib-status test-lib-util test-lib-options test-lib-size \
	 test-lib-job test-lib-format test-ctl-options test-ctl-background test-ctl-tab test-ctl-map test-lib-xml test-lib-rbd

# What the library shares with the kernel.
test-lib-format-src := tests/unit/test-lib-format.c kmod/bc-format.c
test-lib-format-cflags := $(lib-cflags)

test-lib-table-src := tests/unit/test-lib-table.c lib/table.c lib/util.c
test-lib-table-cflags := $(lib-cflags)

test-lib-status-src := tests/unit/test-lib-status.c lib/status.c lib/table.c lib/util.c
test-lib-status-cflags := $(lib-cflags)

test-lib-util-src := tests/unit/test-lib-util.c lib/util.c
test-lib-util-cflags := $(lib-cflags)

test-lib-options-src := tests/unit/test-lib-options.c lib/handle.c lib/table.c lib/util.c
test-lib-options-cflags := $(lib-cflags)

test-lib-xml-src := tests/unit/test-lib-xml.c lib/xml.c lib/xml-node.c lib/xml-rbd.c \
		    lib/destination/rbd-name.c lib/handle.c lib/table.c lib/util.c
test-lib-xml-cflags := $(lib-cflags) $(shell $(PKG_CONFIG) --cflags libxml-2.0)
test-lib-xml-libs := $(shell $(PKG_CONFIG) --libs libxml-2.0)

test-lib-rbd-src := tests/unit/test-lib-rbd.c lib/destination/rbd-name.c lib/handle.c lib/table.c lib/util.c
test-lib-rbd-cflags := $(lib-cflags)

test-lib-size-src := tests/unit/test-lib-size.c ctl/size.c
test-lib-size-cflags := $(lib-cflags) -I$(TOP)/ctl

# What talks to the kernel is in the test.
test-ctl-options-src := tests/unit/test-ctl-options.c ctl/options.c ctl/settings.c ctl/size.c ctl/tab.c \
			lib/handle.c lib/table.c lib/util.c
test-ctl-options-cflags := $(lib-cflags) -I$(TOP)/ctl

test-ctl-background-src := tests/unit/test-ctl-background.c ctl/background.c
test-ctl-background-cflags := $(lib-cflags) -I$(TOP)/ctl

test-ctl-tab-src := tests/unit/test-ctl-tab.c ctl/tab.c
test-ctl-tab-cflags := $(lib-cflags) -I$(TOP)/ctl

test-ctl-map-src := tests/unit/test-ctl-map.c ctl/map.c ctl/size.c
test-ctl-map-cflags := $(lib-cflags) -I$(TOP)/ctl

test-lib-job-src := tests/unit/test-lib-job.c lib/events.c lib/pivot.c lib/info.c lib/handle.c \
		    lib/status.c lib/table.c lib/util.c lib/metadata-info.c ctl/json.c ctl/utf8.c
test-lib-job-cflags := $(lib-cflags) -I$(TOP)/ctl $(shell $(PKG_CONFIG) --cflags json-c)
test-lib-job-libs := $(shell $(PKG_CONFIG) --libs json-c)

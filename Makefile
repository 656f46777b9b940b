# dm-blockcopy: module, library and command. Every task is a target; "make help" lists them.

PREFIX ?= /usr/local
KDIR ?= $(shell tests/kdir)

parts := $(patsubst %/Makefile,%,$(wildcard lib/Makefile ctl/Makefile udev/Makefile))
install_args = PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
kver = $(shell cat $(KDIR)/include/config/kernel.release)
module_dir = $(DESTDIR)/lib/modules/$(kver)/updates

##   all        the module for KDIR (this machine's kernel, else the newest with headers), library, command
all: module $(parts)

##   deps       install the packages that are missing (Debian; root)
deps:
	@tests/deps

module:
	@test -n "$(KDIR)" || { echo "no kernel headers are installed: make deps, or give KDIR=" >&2; exit 1; }
	@echo "module for $(KDIR)"
	$(MAKE) -C kmod KDIR=$(KDIR)

$(parts):
	$(MAKE) -C $@ all
ctl: $(filter lib,$(parts))

##   demo       copy a device in use and switch to the copy, in a virtual machine with Debian's 6.12
demo: deps
	@tests/vm/demo

##   check      the tests, each on at least one kernel, a core of them on all
check: deps
	@tests/check

##   check-all  each test on every kernel that it can run on, which takes hours
check-all: deps
	@tests/check -a

##   check-fast what takes seconds: unit tests, the core of the cases on one kernel
check-fast: deps
	@tests/check -f

##   lint       what the code must pass before it is committed
lint: deps
	@tests/lint

##   bench      speed beside QEMU, md, dm-clone, dm-mirror: build/bench/table.md
bench: deps
	@tests/bench/run

##   bench-quick the same once and smaller, on one kernel, in five minutes
bench-quick: deps
	@tests/bench/run -q

##   install    below PREFIX (/usr/local); the module into the tree of KDIR's kernel; DESTDIR= for packaging
install: all
	install -D -m 644 kmod/dm-blockcopy.ko $(module_dir)/dm-blockcopy.ko
	$(if $(DESTDIR),,depmod $(kver))
	$(foreach part,$(parts),$(MAKE) -C $(part) install $(install_args) &&) true
	$(if $(DESTDIR),,ldconfig)

##   uninstall  what install put there
uninstall:
	rm -f $(module_dir)/dm-blockcopy.ko
	$(if $(DESTDIR),,depmod $(kver))
	$(foreach part,$(parts),$(MAKE) -C $(part) uninstall $(install_args) &&) true
	$(if $(DESTDIR),,ldconfig)

##   deb        Debian's packages, in build/deb
deb: deps
	@.packaging/build deb

##   rpm        packages for rpm, in build/rpm
rpm: deps
	@.packaging/build rpm

##   clean      what was built, not the cached kernels
clean:
	$(foreach part,$(parts),$(MAKE) -C $(part) clean &&) true
	$(if $(wildcard $(KDIR)),-$(MAKE) -C kmod KDIR=$(KDIR) clean)
	rm -rf build

##   help       this list
help:
	@echo "make [TARGET] [KDIR=kernel build tree] [PREFIX=/usr/local] [DESTDIR=]"
	@sed -n 's/^##//p' Makefile

.PHONY: all deps module $(parts) demo check check-all check-fast lint bench bench-quick install uninstall deb rpm clean help

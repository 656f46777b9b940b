# SPDX-License-Identifier: GPL-2.0-only
#
# Included by Kbuild: makes compat_config.h from the probe_*.c here.
#
# Each probe is compiled with the very command that kbuild has for a file of the module, so that the
# compiler, its flags and the headers are those that count, whoever called: make, dkms, clang,
# another ARCH. kbuild's if_changed runs it again when a probe or that command changes, and when
# other headers came to the same place.

bc-probes := $(wildcard $(src)/compat/probe_*.c) $(wildcard $(src)/compat/control_*.c)
bc-headers = $(wildcard $(addprefix $(objtree)/,Module.symvers include/generated/autoconf.h \
		include/generated/utsrelease.h include/generated/utsversion.h \
		include/generated/compile.h))

quiet_cmd_bc_probe = PROBE   $@
      cmd_bc_probe = : $(shell cat $(bc-headers) /dev/null | cksum); \
		$(CONFIG_SHELL) $(src)/compat/probe.sh $(src)/compat $@ $(CC) $(c_flags)

# As files of a module are compiled.
$(obj)/compat/compat_config.h: part-of-module := y

$(obj)/compat/compat_config.h: $(src)/compat/probe.sh $(bc-probes) FORCE
	$(call if_changed,bc_probe)

targets += compat/compat_config.h
clean-files += compat/compat_config.h compat/probe.log

# SPDX-License-Identifier: GPL-2.0-only

# For make modules, dkms-install and dkms-remove: the kernel to build for.
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

# For make test, where no kernel is asked for: all suites on one kernel but one of the longest, whose
# formats others have too, and the pool's, which knows no kernel from another; on the oldest and the
# newest those of what differs most between kernels, and between releases of DKMS; on a kernel that
# looks for mistakes what reaches most of the code.
ifeq ($(origin KERNELS)$(origin KERNEL),undefinedundefined)
TESTED := 6.12:-foreign,pool 6.12/debug:pool,io=combination+suspend+removed+shared \
	6.1:io,pool 7.3:dkms,io,pool
endif
# Otherwise, and for make conformance and make fuzz: the kernels, one after the other. For make
# bench: one of them.
KERNELS ?= $(or $(KERNEL_GIVEN),6.1 6.12)
KERNEL_GIVEN := $(KERNEL)
KERNEL ?= 6.1
CLOCK ?= instructions
MODE ?= quick
DEVICE ?= ram
FUZZ_SECONDS ?= 600
FUZZ_LINES ?= 100000

dkms_value = $(shell sed -n 's/^$(1)="\(.*\)"$$/\1/p' dkms.conf)
NAME := $(call dkms_value,PACKAGE_NAME)
VERSION := $(call dkms_value,PACKAGE_VERSION)
DKMS_TREE := /usr/src/$(NAME)-$(VERSION)
# The place of a distribution's package, while it is built.
DESTDIR ?=
PREFIX ?= /usr/local
DKMS_SOURCES := Makefile Kbuild dkms.conf LICENSE dm-crypt-bulk mempool-bulk

help:
	@echo 'make dkms-install   install the module with DKMS, for kernel KVER=$(KVER)'
	@echo 'make dkms-remove    remove it again, all versions, from all kernels'
	@echo 'make deb            build Debian packages, in dist/; make rpm builds RPM packages there'
	@echo 'make modules        build the module in this tree, without installing it'
	@echo 'make tools          build the program crypt-bulk'
	@echo 'make install-tools  install it, its man page and completion: PREFIX=/usr/local, DESTDIR='
	@echo 'make bench          compare crypt-bulk with the stock target, in a VM of'
	@echo '                    KERNEL=6.1 (6.12, 7.3), CLOCK=instructions|wall, MODE=quick|full,'
	@echo '                    DEVICE=ram|null'
	@echo 'make bench-all      measure everything, also fragmented memory, memory held and more: hours'
	@echo 'make bench-report   write docs/benchmarks.md and its pictures from the results of these'
	@echo 'make test           run the tests on a 6.12 kernel, and some on 6.1, 7.3 and a debug kernel;'
	@echo '                    KERNELS="6.1 7.2/rt" runs all on these; WHOLE=1: all cases, no samples'
	@echo 'make matrix         run them on every kernel and flavour of tests/vm/kernels.tbl: hours;'
	@echo '                    MATRIX=--load only builds and loads the module on each'
	@echo 'make test-protections  take one protection after the other out, and see the tests fail,'
	@echo '                    in VMs of KERNEL=6.12'
	@echo 'make test-package   install, upgrade and remove the packages, and boot encrypted roots, in VMs'
	@echo 'make conformance    compare thousands of table lines with the stock target, in VMs of'
	@echo '                    KERNELS="6.1 6.12"; SEED=N repeats a run'
	@echo 'make fuzz           random lines and messages: FUZZ_SECONDS=600 in user space, then'
	@echo '                    FUZZ_LINES=100000 in VMs of KERNELS="6.1 6.12", stock beside them'
	@echo 'make check          check style, and the code without running it'
	@echo 'make clean          remove what was built here, but not the VM images'
	@echo 'make distclean      remove these too'

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools:
	$(MAKE) -C tools/crypt-bulk

install-tools:
	$(MAKE) -C tools/crypt-bulk install

dkms-install:
	@command -v dkms >/dev/null || { echo >&2 'dkms is missing: apt install dkms'; exit 1; }
	@test -e $(KDIR)/Makefile || { \
		echo >&2 'no headers for kernel $(KVER): apt install linux-headers-$(KVER)'; exit 1; }
	@if dkms status -m $(NAME) -v $(VERSION) -k $(KVER) | grep -q .; then \
		dkms remove -m $(NAME) -v $(VERSION) -k $(KVER); fi
	rm -rf $(DKMS_TREE)
	$(MAKE) install-source
	@# DKMS would keep a newer version, and say that the older one is installed.
	dkms install --force -m $(NAME) -v $(VERSION) -k $(KVER)

# What DKMS builds from, without anything that an earlier build left in the tree.
install-source:
	mkdir -p $(DESTDIR)$(DKMS_TREE)
	cp -r $(DKMS_SOURCES) $(DESTDIR)$(DKMS_TREE)
	find $(DESTDIR)$(DKMS_TREE) -type f ! -name '*.[ch]' ! -name 'Kbuild*' ! -name Makefile \
		! -name dkms.conf ! -name LICENSE -delete

# The module's package in whatever format: its source, and what calls DKMS and goes into initramfs.
install-package: install-source
	rm $(DESTDIR)$(DKMS_TREE)/LICENSE
	cd packaging/dkms && \
	install -D -t $(DESTDIR)/usr/lib/dm-crypt-bulk build-modules update-initramfs && \
	install -D -t $(DESTDIR)/usr/sbin dm-crypt-bulk-replace && \
	install -D -m 644 -t $(DESTDIR)/usr/share/man/man8 dm-crypt-bulk-replace.8 && \
	install -D -m 644 -t $(DESTDIR)/usr/share/dm-crypt-bulk replace-stock.conf && \
	install -D initramfs-hook $(DESTDIR)/usr/share/initramfs-tools/hooks/dm-crypt-bulk && \
	install -D initramfs-script \
		$(DESTDIR)/usr/share/initramfs-tools/scripts/init-premount/dm-crypt-bulk && \
	install -D dracut-module-setup.sh \
		$(DESTDIR)/usr/lib/dracut/modules.d/90dm-crypt-bulk/module-setup.sh && \
	install -D kernel-postinst $(DESTDIR)/etc/kernel/postinst.d/dm-crypt-bulk && \
	install -D kernel-header-postinst $(DESTDIR)/etc/kernel/header_postinst.d/dm-crypt-bulk

install-bench:
	install -D -t $(DESTDIR)$(PREFIX)/share/crypt-bulk-tools tools/crypt-bulk-bench
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/crypt-bulk-tools/bench tools/bench/*.py
	mkdir -p $(DESTDIR)$(PREFIX)/sbin
	ln -sf ../share/crypt-bulk-tools/crypt-bulk-bench $(DESTDIR)$(PREFIX)/sbin/crypt-bulk-bench
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/crypt-bulk-bench.8

deb:
	packaging/build-deb dist

rpm:
	packaging/build-rpm dist

# Every version that DKMS knows, not only the one of this tree: after an update there may be two.
dkms-remove:
	@command -v dkms >/dev/null || { echo >&2 'dkms is missing: apt install dkms'; exit 1; }
	@for version in $$(dkms status -m $(NAME) | sed -n 's|^$(NAME)[/, ]*\([^,: ]*\).*|\1|p' | \
			sort -u); do \
		dkms remove -m $(NAME) -v $$version --all || exit; \
		rm -rf /usr/src/$(NAME)-$$version; \
	done
	rm -rf $(DKMS_TREE)
	@! grep -qs '^dm_crypt_bulk ' /proc/modules || \
		echo 'The module stays loaded, and mappings of it in use, until: rmmod dm_crypt_bulk'

test:
	tests/run $(or $(TESTED),$(KERNELS))

matrix:
	tests/run $(MATRIX) all

test-package:
	tests/package/run

test-protections:
	KERNEL=$(or $(KERNEL_GIVEN),6.12) tests/protections/run

# on_each_kernel VARIABLE=VALUE... COMMAND
on_each_kernel = @status=0; for kernel in $(KERNELS); do \
		echo "== kernel $$kernel"; \
		$(1) KERNEL=$$kernel $(2) || status=1; \
	done; exit $$status

conformance:
	@tests/vm/host-deps
	$(call on_each_kernel,WHOLE=1 SEED=$(SEED),tests/t/lines.t)

bench-all:
	KERNEL=$(KERNEL) tools/bench-all

bench-report:
	@tests/vm/host-deps python3:python3 gnuplot:gnuplot-nox
	tools/bench-report

bench:
	KERNEL=$(KERNEL) CLOCK=$(CLOCK) MODE=$(MODE) DEVICE=$(DEVICE) tools/bench-vm

# First the parsers in user space, then lines and messages on the live target.
fuzz:
	tests/fuzz/run $(FUZZ_SECONDS)
	@tests/vm/host-deps
	$(call on_each_kernel,FUZZ_LINES=$(FUZZ_LINES) SEED=$(SEED),tests/t/mutants.t)

check:
	tests/check

clean:
	find . \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name Module.symvers -o -name modules.order \
		-o -name .tmp_versions -o -name __pycache__ \) -exec rm -rf {} +
	$(MAKE) -C tools/crypt-bulk clean

distclean: clean
	rm -rf dist
	. tests/lib/cache.sh && rm -rf "$$CACHE"

.PHONY: help modules tools install-tools dkms-install dkms-remove install-source install-package \
	install-bench deb rpm test test-package test-protections matrix conformance fuzz bench bench-all \
	bench-report check clean distclean
.DEFAULT_GOAL := help

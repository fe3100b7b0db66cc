# Every target prepares what it needs, as root on a bare Debian 12; the second time that costs nothing.

SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

VENV := .venv
L3CTL := $(VENV)/bin/l3ctl
# bcc exists only as Debian's python3-bpfcc, so the environment is made by the system's Python and sees its packages.
PYTHON := /usr/bin/python3
PACKAGES := python3-venv python3-bpfcc libbpf1 iproute2 bird2 iputils-ping ethtool
# Whom the benchmarks measure beside l3ctl.
BENCH_PACKAGES := nftables xdp-tools iptables gobgpd python3-grpcio
# Clocks and lost segments, for tests/faults, what attackers use, for tests/evasion, another BGP daemon, for tests/bgp, which run GoBGP too,
# a database, for tests/sources, and for tests/unit who reads the manual page and the alerts.
TEST_PACKAGES := $(BENCH_PACKAGES) faketime groff-base thc-ipv6 ipv6toolkit arping python3-scapy frr postgresql-15 postgresql-client-15 prometheus
# What builds the Debian package, and a bare Debian with a systemd of its own to try it on, for tests/package.
DEB_PACKAGES := debhelper dpkg-dev mmdebstrap systemd-container
LINT_PACKAGES := clang
# For jobs in stock kernels under QEMU, for tests/vm.
VM_PACKAGES := qemu-system-x86 kmod cpio xz-utils busybox-static
# For the lab of virtual machines, and for Vagrant.
BOX_PACKAGES := mmdebstrap extlinux e2fsprogs qemu-system-x86 qemu-utils openssh-client
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-system libvirt-clients dnsmasq-base iptables rsync
# What would come up with the machine, of the packages above: package:unit.
DAEMONS := bird2:bird.service prometheus:prometheus.service frr:frr.service gobgpd:gobgpd.service postgresql-common:postgresql.service \
	$(addprefix libvirt-daemon-system:,libvirtd.service libvirt-guests.service $(foreach daemon,libvirtd virtlogd virtlockd,$(daemon).socket $(daemon)-admin.socket) libvirtd-ro.socket)

.PHONY: help setup demo test bench bench-quick bench-compare bench-plots vm vm-packages deb-packages evasion netbox dashboard screenshots deb faults soak fuzz lint box lab lab-down vagrant-validate vagrant-test clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

# Install what is missing of $(1). No daemon is started on this machine by it, now or later: a router may be configured, and a second
# BGP daemon would come up. One that was here before is left as it is.
define install_packages
missing=$$(for package in $(1); do dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; done); \
if [ -n "$$missing" ]; then \
	missing=$$(echo $$missing); \
	if [ "$$(id -u)" != 0 ]; then echo "make: without root, left out: Debian packages $$missing (mend: apt-get install $$missing)" >&2; \
	else \
		echo "installing Debian packages: $$missing"; \
		if [ ! -e /usr/sbin/policy-rc.d ]; then \
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
			printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
		fi; \
		log=$$(mktemp); \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; } > $$log 2>&1 \
			|| { cat $$log >&2; echo "make: apt-get failed; its output is above" >&2; exit 1; }; \
		rm -f $$log; \
		for daemon in $(DAEMONS); do \
			case " $$missing " in *" $${daemon%%:*} "*) systemctl disable --quiet $${daemon##*:} 2>/dev/null || true;; esac; \
		done; \
	fi; \
fi
endef

setup: ## Install Debian packages and make .venv
	@$(call install_packages,$(PACKAGES) $(TEST_PACKAGES))
	@$(MAKE) --no-print-directory $(VENV)/.complete

$(VENV)/.complete: pyproject.toml constraints.txt
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then echo "make: python3-venv is missing (mend: apt-get install python3-venv)" >&2; exit 1; fi
	@echo "making $(VENV)"
	@[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv --system-site-packages $(VENV)
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[dev]' 2> $(VENV)/pip.log \
		|| { cat $(VENV)/pip.log >&2; exit 1; }
	@touch $@

demo: setup ## Tell the story of l3ctl in about half a minute
	@$(L3CTL) lab demo

vm-packages:
	@$(call install_packages,$(VM_PACKAGES))

deb-packages:
	@$(call install_packages,$(DEB_PACKAGES))

WORKERS ?= 2
test: setup vm-packages deb-packages ## Run the tests, WORKERS=2 files at a time; without root, those that need none
	@$(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile

evasion: setup ## Run real attack tools against the lab, and print what came of each
	@rm -f .make/evasion.txt
	@$(VENV)/bin/python -m pytest -q tests/evasion && status=0 || status=$$?; cat .make/evasion.txt; exit $$status

KERNEL ?= bookworm backports trixie
vm: setup vm-packages ## The tests of VLANs and VRFs in stock Debian kernels; KERNEL=trixie for one of bookworm, backports, trixie
	@$(VENV)/bin/python -m tests.vm $(addprefix --kernel ,$(KERNEL))

netbox: setup ## The NetBox source against a real NetBox, which takes some minutes to make the first time
	@$(call install_packages,mmdebstrap)
	@L3CTL_NETBOX=1 $(VENV)/bin/python -m pytest -q tests/netbox

dashboard: setup ## Write configs/grafana-dashboard.json anew
	@$(VENV)/bin/python configs/dashboard.py

screenshots: setup ## Draw what `status`, `top` and `explain` look like in a lab, into docs/screenshots
	@$(VENV)/bin/python -m tests.screenshots docs/screenshots

deb: deb-packages ## Build the Debian package of this tree, into dist/
	@configs/debian/build.sh

faults: setup ## Every fault of the matrix, as a table, which docs/FAULTS.md then is
	@rm -f .make/faults.txt .make/faults.md
	@L3CTL_FAULTS=all $(VENV)/bin/python -m pytest -q tests/faults && status=0 || status=$$?; \
		cat .make/faults.txt; [ $$status != 0 ] || cp .make/faults.md docs/FAULTS.md; exit $$status

RESULTS ?= bench/results/$(shell date +%Y-%m-%d).json
bench: setup ## Measure everything beside peers and limits, about an hour, into RESULTS=bench/results/DATE.json; or one TABLE=agent of it anew
	@$(call install_packages,$(BENCH_PACKAGES))
	@$(L3CTL) bench all $(TABLE:%=--table %) --output $(RESULTS)

bench-quick: setup ## The same small and once, in two minutes: whether it works
	@$(call install_packages,$(BENCH_PACKAGES))
	@$(L3CTL) bench all --quick

bench-compare: setup ## Whether the ratios of the two newest results are alike, or of FIRST= and SECOND=
	@$(VENV)/bin/python -m tests.bench.twice $(FIRST) $(SECOND)

bench-plots: setup ## Draw the newest results, and write README's numbers and docs/BENCHMARKS.md of them
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[plots]'
	@$(VENV)/bin/python -m tests.bench.figures
	@$(VENV)/bin/python -m tests.bench.document

MINUTES ?= 30
PORTS ?= 1000
soak: setup ## Faults, flaps, attacks and changes of the inventory together, for MINUTES=30 at PORTS=1000
	@$(VENV)/bin/python -m tests.faults.soak --minutes $(MINUTES) --ports $(PORTS)

SECONDS ?= 60
fuzz: setup ## The filter against the model of its contract, for SECONDS=60
	@$(VENV)/bin/python -m tests.xdp.fuzz --seconds $(SECONDS) --processes $$(nproc)

lint: setup ## ruff, mypy --strict, clang -Wall -Wextra
	@$(call install_packages,$(LINT_PACKAGES))
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@for variant in PLAIN SOURCE_GUARD; do clang -target bpf -std=gnu11 -fsyntax-only -Wall -Wextra -Werror -Wno-unused-function \
		-D$$variant -Ibpf -Ibpf/headers/include -include tests/xdp/bcc_macros.h bpf/l3ctl.bpf.c; done
	@echo "lint: clean"

box: ## Make the lab's Debian box, if it is not there yet
	@$(call install_packages,$(BOX_PACKAGES))
	@vagrant/build-box.sh

lab: setup box ## Two routers with real VLANs and their upstreams in virtual machines: the story; KEEP=1 leaves it running
	@KEEP=$(KEEP) vagrant/qemu-lab.sh run

lab-down: ## End what `make lab KEEP=1` left
	@vagrant/qemu-lab.sh down

vagrant-validate: ## Whether Vagrant takes the Vagrantfile
	@$(call install_packages,$(VAGRANT_PACKAGES))
	@home=$$(mktemp -d); trap 'rm -rf "$$home"' EXIT; cd vagrant && VAGRANT_HOME=$$home vagrant validate

vagrant-test: box ## The same with `vagrant up`, libvirt and `vagrant destroy`, in namespaces of its own
	@$(call install_packages,$(VAGRANT_PACKAGES))
	@vagrant/vagrant-test.sh

clean: ## Remove what make made
	rm -rf $(VENV) .make .mypy_cache .pytest_cache .ruff_cache .hypothesis

#!/usr/bin/env bash
# The lab's three machines in QEMU, without libvirt and without touching this machine's network: `make lab`.
#
#   qemu-lab.sh run                      box, machines, provisioning, the story of lab-test.sh, and all of it away again; with KEEP=1 it stays
#   qemu-lab.sh up | provision | test    each of that alone
#   qemu-lab.sh ssh MACHINE [COMMAND]    into r1, r2 or site
#   qemu-lab.sh link MACHINE ethN up|down   plug or pull a cable
#   qemu-lab.sh kvm-works                whether KVM runs a guest here
#   qemu-lab.sh down                     end the machines and remove what they left
#
# Cables are pairs of sockets in a folder of /run, eth0 is QEMU's own user network with ssh on a port of 127.0.0.1. The disks are copies in
# files without names, which are gone with their QEMU. KVM is used where a trial shows that it works; L3CTL_KVM=1 or 0 says so without one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
state=${L3CTL_LAB_DIR:-/run/l3ctl-lab}
machines=(r1 r2 site)
# machine.netdev and the other end
cables=(r1.eth1=site.eth1 r2.eth1=site.eth2 r1.eth2=site.eth3 r2.eth2=site.eth4)

fail() { echo "lab: $1 (mend: $2)" >&2; exit 1; }
tell() { printf 'lab: %4d s  %s\n' "$SECONDS" "$1"; }
on() { local machine=$1; shift; ssh -F "$state/ssh_config" "$machine" "$@"; }

is_ours() { # whether a QEMU of ours runs under the number in that file
	[ -s "$state/$1.pid" ] && grep -qa "guest=l3ctl-lab-$1" "/proc/$(< "$state/$1.pid")/cmdline" 2> /dev/null
}

kvm_works() {
	case "${L3CTL_KVM:-}" in 1) return 0 ;; 0) return 1 ;; esac
	[ -w /dev/kvm ] || return 1
	# A boot sector that says 49 to QEMU's debug port, which makes 99 of it.
	local trial said=0
	trial=$(mktemp)
	printf '\xba\x01\x05\xb0\x31\xee\xf4\xeb\xfd' > "$trial"
	truncate -s 510 "$trial"
	printf '\x55\xaa' >> "$trial"
	# shellcheck disable=SC2016  # in a shell of its own, so that a QEMU that aborts is not told of here
	timeout 10 bash -c '"$@"; exit $?' - qemu-system-x86_64 -accel kvm -cpu host -m 32 -display none -nodefaults -device isa-debug-exit \
		-drive "file=$trial,format=raw,if=ide" > /dev/null 2>&1 || said=$?
	rm -f "$trial"
	[ "$said" = 99 ]
}

start() { # MACHINE NUMBER SSH_PORT BOX ACCELERATOR...
	local machine=$1 number=$2 port=$3 box=$4 cable mine other position=0 nics=()
	shift 4
	for cable in "${cables[@]}"; do
		case "$cable" in
		"$machine".*=*) mine=${cable%%=*} other=${cable##*=} ;;
		*="$machine".*) mine=${cable##*=} other=${cable%%=*} ;;
		*) continue ;;
		esac
		position=$((position + 1))
		nics+=(-netdev "dgram,id=cable$position,local.type=unix,local.path=$state/$mine,remote.type=unix,remote.path=$state/$other")
		nics+=(-device "virtio-net-pci,id=eth$position,netdev=cable$position,mac=52:54:00:0$number:00:0$position,romfile=")
	done
	# Without ctrl_vlan=off the card drops every VLAN that has no device, and the filter would never see those.
	"${leash[@]}" qemu-system-x86_64 -name "guest=l3ctl-lab-$machine" "$@" -m 512 -smp 1 -display none -nodefaults -no-user-config \
		-global virtio-net-pci.ctrl_vlan=off -device virtio-rng-pci \
		-drive "file=$box/disk.qcow2,if=virtio,snapshot=on" -serial "file:$state/$machine.console" \
		-monitor "unix:$state/$machine.monitor,server=on,wait=off" -pidfile "$state/$machine.pid" \
		-netdev "user,id=management,hostfwd=tcp:127.0.0.1:$port-:22" \
		-device "virtio-net-pci,netdev=management,mac=52:54:00:0$number:00:00,romfile=" "${nics[@]}" \
		< /dev/null >> "$state/$machine.qemu" 2>&1 &
}

up() {
	[ ! -e "$state" ] || fail "a lab is there already" "make lab-down"
	local box accelerator ports number=0 machine
	box=$("$here/build-box.sh")
	mkdir -m 700 "$state"
	leash=(setpriv --pdeathsig KILL) # nothing outlives this script,
	[ -z "${KEEP:-}" ] || leash=(setsid) # unless it is to
	if kvm_works; then accelerator=(-accel kvm -cpu host); else accelerator=(-accel "tcg,thread=multi,tb-size=512" -cpu Nehalem); fi
	tell "three machines, ${accelerator[1]%%,*}"
	ports=$(python3 -c 'import socket; all = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]; print(*(one.getsockname()[1] for one in all))')
	cp "$box/ssh-key" "$state/ssh-key"
	cat > "$state/ssh_config" <<-CONF
		Host *
		  HostName 127.0.0.1
		  User vagrant
		  IdentityFile $state/ssh-key
		  IdentitiesOnly yes
		  UserKnownHostsFile $state/known_hosts
		  StrictHostKeyChecking accept-new
		  LogLevel ERROR
		  ConnectTimeout 120
		  ControlMaster auto
		  ControlPath $state/%n.ssh
		  ControlPersist 30
	CONF
	for machine in "${machines[@]}"; do
		number=$((number + 1))
		printf 'Host %s\n  Port %s\n' "$machine" "$(cut -d' ' -f$number <<< "$ports")" >> "$state/ssh_config"
		start "$machine" "$number" "$(cut -d' ' -f$number <<< "$ports")" "$box" "${accelerator[@]}"
	done
	# KVM is fast enough for the machines to compile the filter themselves, as they do under Vagrant.
	if [ "${accelerator[1]}" = kvm ]; then mkdir "$state/compiled"; else compile_here; fi
	for machine in "${machines[@]}"; do
		until ssh -F "$state/ssh_config" -o ConnectTimeout=20 "$machine" true 2> /dev/null; do
			[ "$SECONDS" -lt "${L3CTL_BOOT_SECONDS:-300}" ] || fail "$machine does not answer" "its console is $state/$machine.console; KEEP=1 keeps it"
			is_ours "$machine" || [ "$SECONDS" -lt 5 ] || fail "the QEMU of $machine ended: $(tail -n 1 "$state/$machine.qemu")" "see there"
			sleep 0.5
		done
	done
	tell "ssh is up"
}

all_at_once() { # FUNCTION, for each machine; what it says is shown when it fails
	local machine process failed='' processes=()
	for machine in "${machines[@]}"; do "$1" "$machine" > "$state/$machine.log" 2>&1 & processes+=("$machine=$!"); done
	for process in "${processes[@]}"; do wait "${process#*=}" || { failed=${process%=*}; sed "s/^/$failed: /" "$state/$failed.log" >&2; }; done
	[ -z "$failed" ] || fail "$failed was not provisioned" "see above"
}

compile_here() { # what takes seconds here, and an emulated machine minutes: the filter, where this machine can, and Python, where it is the box's
	rm -rf "$state/tree" && mkdir "$state/tree"
	tar -C "$tree" --exclude __pycache__ --exclude .vagrant -c README.md LICENSE pyproject.toml constraints.txt l3ctl bpf configs vagrant | tar -C "$state/tree" -x
	# Checked by the source's hash: its time is another there. What another Python has compiled, Python passes over.
	! [ -x /usr/bin/python3 ] || /usr/bin/python3 -m compileall -q --invalidation-mode checked-hash "$state/tree/l3ctl"
	! [ -x "$tree/.venv/bin/python" ] || [ -e "$state/compiled" ] \
		|| L3CTL_CACHE="$state/compiled" "$tree/.venv/bin/python" -c 'from l3ctl.xdp.cache import bytecode; bytecode(source_guard=False)' || true
	mkdir -p "$state/compiled"
}

provision_one() {
	[ -z "$(ls "$state/compiled")" ] || tar -C "$state/compiled" --owner root --group root -cz . \
		| on "$1" 'sudo mkdir -p /var/cache/l3ctl && sudo tar -C /var/cache/l3ctl -xz'
	tar -C "$state/tree" -cz . | on "$1" 'rm -rf l3ctl && mkdir l3ctl && tar -C l3ctl -xz'
	on "$1" sudo l3ctl/vagrant/provision.sh "$1"
}

provision() {
	compile_here
	all_at_once provision_one
	tell "provisioned"
}

monitor() { # MACHINE COMMAND
	python3 - "$state/$1.monitor" "$2" <<-'PYTHON'
		import socket, sys
		with socket.socket(socket.AF_UNIX) as monitor:
		    monitor.settimeout(10)
		    monitor.connect(sys.argv[1])
		    said = b""
		    for command in (sys.argv[2], "info status"):  # the second, so that its answer shows the first to be carried out
		        while not said.endswith(b"(qemu) "):
		            said += monitor.recv(4096)
		        said = b""
		        monitor.sendall(command.encode() + b"\n")
		    while b"VM status" not in said:
		        said += monitor.recv(4096)
	PYTHON
}

link() { # MACHINE ethN up|down
	case "$3" in up) monitor "$1" "set_link $2 on" ;; down) monitor "$1" "set_link $2 off" ;; *) fail "link '$3'?" "up or down" ;; esac
}

down() {
	local machine pid
	for machine in "${machines[@]}"; do
		is_ours "$machine" || continue
		pid=$(< "$state/$machine.pid")
		kill "$pid"
		for _ in {1..50}; do is_ours "$machine" || break; sleep 0.1; done
		! is_ours "$machine" || kill -KILL "$pid"
		# QEMU takes its pid file away first, and is gone when its memory is given back.
		for _ in {1..100}; do [ -e "/proc/$pid" ] || break; sleep 0.1; done
	done
	rm -rf "$state"
}

story() { "$here/lab-test.sh" --ssh-config "$state/ssh_config" --set-link "$here/qemu-lab.sh link"; }

needs_lab() { [ -e "$state/ssh_config" ] || fail "there is no lab" "make lab KEEP=1"; }

case "${1:-}" in
run)
	trap 'exit 130' INT TERM HUP
	[ ! -e "$state" ] || fail "a lab is there already" "make lab-down"
	trap '[ $? = 0 ] || tail -n 2 "$state"/*.qemu >&2 || true; [ -n "${KEEP:-}" ] || down' EXIT
	up
	provision
	story
	if [ -n "${KEEP:-}" ]; then
		tell "it stays, until \`make lab-down\`. To look around:"
		printf '  %s\n' "$here/qemu-lab.sh ssh r1 sudo l3ctl status" "$here/qemu-lab.sh ssh site sudo ip netns exec web1 ping fe80::1%eth0" \
			"$here/qemu-lab.sh ssh site sudo ip netns exec frr vtysh -c \"'show bgp ipv6'\"" "$here/qemu-lab.sh link r1 eth1 down"
	else
		down
		tell "done; nothing of it is left but the box in $(dirname "$("$here/build-box.sh" --where)")"
	fi
	;;
up) KEEP=1 up ;;
provision) needs_lab; provision ;;
test) needs_lab; story ;;
ssh) needs_lab; shift; on "$@" ;;
link) needs_lab; link "$2" "$3" "$4" ;;
down) down ;;
kvm-works) kvm_works ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

#!/usr/bin/env bash
# `vagrant up`, the story of lab-test.sh and `vagrant destroy`, with libvirt and all, on a machine that is left as it was: `make vagrant-test`.
#
# libvirtd, dnsmasq, the machines and Vagrant run in mount, network and process namespaces of their own; when the first process in there
# ends, however it does, the kernel ends the others. Their files are in one folder beside the box. There is no Internet in there.
#
#   vagrant-test.sh                         all of that
#   vagrant-test.sh link MACHINE ethN up|down   pull or plug a cable of a machine that `vagrant up` made
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "vagrant-test: $1 (mend: $2)" >&2; exit 1; }
tell() { printf '\nvagrant-test: %4d s  %s\n' "$SECONDS" "$1"; }
export LIBVIRT_DEFAULT_URI=qemu:///system

if [ "${1:-}" = link ]; then
	number=1
	for machine in r1 r2 site; do
		[ "$machine" != "$2" ] || exec virsh --quiet domif-setlink "l3ctl_$2" "52:54:00:0$number:00:0${3#eth}" "$4" > /dev/null
		number=$((number + 1))
	done
	fail "there is no machine '$2'" "r1, r2 or site"
fi

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" = 0 ] || fail "namespaces need root" "run as root"
	for program in vagrant libvirtd virsh dnsmasq rsync qemu-system-x86_64; do
		command -v "$program" > /dev/null || [ -x "/usr/sbin/$program" ] || fail "there is no $program" "make vagrant-test, which installs what this needs"
	done
	box=$("$here/build-box.sh")
	folder=$(dirname "$box")
	exec 9> "$folder/.vagrant-test.lock"
	flock -n 9 || fail "another one runs" "wait for it"
	rm -rf "$folder"/.vagrant-test-* # of one that was killed
	work="$folder/.vagrant-test-$$"
	inside=''
	trap '{ [ -z "$inside" ] || kill -KILL "$inside"; wait; } 2> /dev/null; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	mkdir "$work"
	seen() { # of what libvirt and Vagrant make, all that is here; what others do on this machine meanwhile is theirs
		ip -o addr | awk '$2 ~ /^(virbr|vnet|tap)/ { print "netdev", $2, $4 }'
		ip -o link | awk -F': ' '$2 ~ /^(virbr|vnet|tap)/ { print "netdev", $2 }'
		awk -v work="$work" '$5 ~ /libvirt/ || index($5, work) { print "mount", $5 }' /proc/self/mountinfo
		find /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /run/libvirt /run/dnsmasq "$HOME/.vagrant.d" "$here/.vagrant" -printf 'file %p %T@\n' 2> /dev/null || true
	}
	seen | sort > "$work/before"
	status=0
	setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
		"$here/vagrant-test.sh" inside "$box" "$work" < /dev/null 9>&- &
	inside=$!
	wait "$inside" || status=$?
	inside=''
	seen | sort > "$work/after"
	left=$(comm -13 "$work/before" "$work/after")
	namespace=$(cat "$work/pid-namespace")
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/ns/pid" 2> /dev/null || true)" != "$namespace" ] || left+=$'\n'"process $(tr '\0' ' ' < "$process/cmdline")"
	done
	rm -rf "$work"
	[ -z "$left" ] || fail "this was left behind: $left" "remove it, and report this"
	[ "$status" = 0 ] || fail "it failed, see above; nothing was left behind" "see above"
	tell "done; no process, mount, netdev or file is left but the box"
	exit
fi

# From here on: inside.
box=$2 work=$3
readlink /proc/self/ns/pid > "$work/pid-namespace"
ip link set lo up
cp -a /etc/libvirt "$work/etc"
mkdir -p "$work"/{lib,cache,log,home,dotfile}
cp -a /var/lib/libvirt/. "$work/lib/"
rm -rf "$work"/etc/qemu/{*.xml,networks/*,autostart/*} "$work/lib/images"
mount --bind "$work/etc" /etc/libvirt
for kind in lib cache log; do mkdir -p "/var/$kind/libvirt"; mount --bind "$work/$kind" "/var/$kind/libvirt"; done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys # that of this network namespace
cat > /etc/libvirt/qemu.conf <<-'CONF'
	user = "root"
	group = "root"
	dynamic_ownership = 0
	security_driver = "none"
	cgroup_controllers = []
	namespaces = []
	stdio_handler = "file"
CONF
printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n' > /etc/libvirt/libvirtd.conf

if [ -z "${L3CTL_KVM:-}" ]; then
	L3CTL_KVM=0
	! "$here/qemu-lab.sh" kvm-works || L3CTL_KVM=1
fi
export L3CTL_KVM VAGRANT_HOME="$work/home" VAGRANT_DOTFILE_PATH="$work/dotfile" VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_CWD="$here" HOME="$work/home"
unset L3CTL_BOX

libvirtd > "$work/libvirtd.log" 2>&1 &
until virsh --quiet list > /dev/null 2>&1; do
	kill -0 $! 2> /dev/null || { tail "$work/libvirtd.log" >&2; fail "libvirtd ended" "its last lines are above"; }
	[ "$SECONDS" -lt 60 ] || fail "libvirtd does not answer" "report this"
	sleep 0.2
done
tell "libvirt $(virsh version --daemon | sed -n 's/^Running against daemon: //p'), L3CTL_KVM=$L3CTL_KVM"
vagrant validate --no-tty
vagrant box add --no-tty --name l3ctl "$box/l3ctl.box" > "$work/box-add.log" 2>&1 || { cat "$work/box-add.log" >&2; fail "the box was not added" "see above"; }
tell "box added"
vagrant up --no-tty --provider libvirt 2>&1 | grep -vE ' -(-|>) |^[^ ]* +- Exclude'
tell "vagrant up"
vagrant ssh-config > "$work/ssh_config"
"$here/lab-test.sh" --ssh-config "$work/ssh_config" --set-link "$here/vagrant-test.sh link"
tell "the story is told"
vagrant destroy --no-tty -f
[ -z "$(virsh --quiet list --all --name | xargs)" ] || fail "vagrant destroy left machines" "report this"
tell "vagrant destroy"

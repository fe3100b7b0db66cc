#!/usr/bin/env bash
# Makes a Debian box for the lab, of this machine's own release and from its own apt sources, once for each state of what goes into it.
#
#   build-box.sh          make it if it is not there, and print the folder that holds it:
#                           disk.qcow2   a disk that boots by itself (no partitions, ext4, extlinux)
#                           l3ctl.box    the same for `vagrant box add`, provider libvirt
#                           ssh-key      whom its user `vagrant` lets in; the box has this one and no other
#                           packages.txt what is installed, with versions
#   build-box.sh --where  print that folder, whether it is there or not
#
# In the box: Debian's stock kernel, what vagrant/packages lists, and in /opt/l3ctl a Python environment with everything that l3ctl needs in
# the versions of constraints.txt, but not l3ctl itself, which provision.sh installs. Nothing in there needs the Internet.
#
# The folder is in L3CTL_BOX_CACHE (default /var/cache/l3ctl/box). Boxes of earlier states are removed when a new one is whole. Security
# updates of Debian make no new state: remove the folder to have them.
# shellcheck disable=SC2016  # what is in single quotes is for apt, dpkg or mmdebstrap to expand
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
source_tree=$(dirname "$here")
cache=${L3CTL_BOX_CACHE:-/var/cache/l3ctl/box}

fail() { echo "build-box: $1 (mend: $2)" >&2; exit 1; }
# What long programs say is shown only when they fail.
quietly() { "$@" > "$made/log" 2>&1 3>&- 4<&- || { cat "$made/log" >&2; fail "$1 failed" "see its output above"; }; }
tell() { printf 'box: %4d s  %s\n' "$SECONDS" "$1" >&2; }

# shellcheck source=/dev/null
[ -r /etc/os-release ] && . /etc/os-release
[ "${ID:-}" = debian ] || fail "this machine is not Debian" "build the box on one, or name a public box in L3CTL_BOX"
suite=$VERSION_CODENAME

dependencies() { # l3ctl's, one a line
	/usr/bin/python3 - "$source_tree/pyproject.toml" <<-'PYTHON'
		import sys, tomllib
		with open(sys.argv[1], "rb") as file:
		    read = tomllib.load(file)
		print(*sorted(read["project"]["dependencies"]), sep="\n")
	PYTHON
}

packages=$(sed 's/#.*//' "$here/packages" | xargs)
fingerprint=$({ echo "$suite"; dependencies; cat "$here/build-box.sh" "$here/packages" "$source_tree/constraints.txt"; } | sha256sum | cut -c1-16)
box="$cache/$suite-$fingerprint"

case "${1:-}" in
--where) echo "$box"; exit ;;
'') ;;
*) fail "unknown argument '$1'" "none, or --where" ;;
esac

if [ ! -d "$box" ] && [ "${L3CTL_BOX_INSIDE:-}" != yes ]; then
	[ "$(id -u)" = 0 ] || fail "a box is made by root" "run as root"
	for program in mmdebstrap extlinux qemu-img mkfs.ext4 ssh-keygen unshare; do
		command -v "$program" > /dev/null || fail "there is no $program" "make box, which installs what this needs"
	done
	mkdir -p "$cache"
	exec 9> "$cache/.lock"
	flock -n 9 || { tell "another build is under way, waiting for it"; flock 9; }
	if [ ! -d "$box" ]; then
		rm -rf "$cache"/.making-* # of a build that was killed
		made="$cache/.making-$$"
		inside=''
		trap '{ [ -z "$inside" ] || kill -KILL "$inside"; wait; } 2> /dev/null; rm -rf "$made"' EXIT
		trap 'exit 130' INT TERM HUP
		mkdir "$made"
		# In a mount and a process namespace of its own: however it ends, no mount, no loop device and no process is left.
		L3CTL_BOX_INSIDE=yes setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
			"$0" < /dev/null 3> "$made/.whole" 4<<< "$made" 9>&- >&2 &
		inside=$!
		wait "$inside"
		inside=''
		[ -s "$made/.whole" ] || fail "the box was not finished" "see above"
		rm "$made/.whole"
		mv "$made" "$box"
		trap - EXIT
		find "$cache" -mindepth 1 -maxdepth 1 -name "$suite-*" ! -path "$box" -exec rm -rf {} +
	fi
	exec 9>&-
fi
if [ "${L3CTL_BOX_INSIDE:-}" != yes ]; then echo "$box"; exit; fi

# From here on: inside, with the folder to fill on descriptor 4, and 3 to say so when it is full.
read -r made <&4
root="$made/root"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }
put() { mkdir -p "$(dirname "$root$1")"; cat > "$root$1"; }

tell "Python packages"
/usr/bin/python3 -m venv "$made/pip"
dependencies > "$made/wanted"
mkdir "$made/wheels"
quietly "$made/pip/bin/pip" --disable-pip-version-check wheel --constraint "$source_tree/constraints.txt" --requirement "$made/wanted" --wheel-dir "$made/wheels"

tell "Debian packages"
# Of this machine's sources those that are Debian's own: others may need keys, and nothing in the box is theirs.
apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' | grep -E " $suite(-updates|-security)? " | sort -u > "$made/sources" || true
[ -s "$made/sources" ] || fail "apt on this machine has no index of Debian $suite" "apt-get update"
apt-config dump Acquire | grep -iE '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)' > "$made/apt.conf" || true
truncate -s 3G "$made/disk.raw"
# What extlinux 6 cannot read is left out.
mkfs.ext4 -q -L l3ctl -m 0 -O '^64bit,^metadata_csum,^has_journal' "$made/disk.raw"
mkdir "$root"
mount -o loop "$made/disk.raw" "$root"
system="linux-image-amd64,systemd-sysv,udev,kmod,initramfs-tools,udhcpc,openssh-server,sudo,rsync,ca-certificates,less,nano"
# An initial RAM disk with the two modules that it takes to mount the disk, and without udev, which under an emulator costs ten seconds.
cat > "$made/initramfs" <<-'HOOK'
	#!/bin/sh -e
	mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
	echo MODULES=list > "$1/etc/initramfs-tools/conf.d/l3ctl"
	printf '%s\n' virtio_pci virtio_blk ext4 > "$1/usr/share/initramfs-tools/modules.d/l3ctl.conf"
	for at in top bottom; do # in place of the ones of the same name that udev brings
		mkdir -p "$1/etc/initramfs-tools/scripts/init-$at"
		printf '#!/bin/sh\nexit 0\n' > "$1/etc/initramfs-tools/scripts/init-$at/udev"
		chmod +x "$1/etc/initramfs-tools/scripts/init-$at/udev"
	done
HOOK
chmod +x "$made/initramfs"
left_out=(/usr/share/{doc,man,locale}/'*' /lib/modules/'*'/kernel/{sound,drivers/{gpu,media,infiniband,staging,iio,usb,scsi,ata,hid,input,bluetooth,net/wireless}}/'*')
quietly mmdebstrap --mode=root --variant=minbase --aptopt="$made/apt.conf" --include="$system,${packages// /,}" \
	"${left_out[@]/#/--dpkgopt=path-exclude=}" \
	--essential-hook="$made/initramfs" \
	"$suite" "$root" "$made/sources"
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
echo '# none: this box was made with everything that it needs' | put /etc/apt/sources.list

tell "system"
# The management interface is the first; the others are the lab's own.
put /etc/systemd/system/management.service <<-'UNIT'
	[Unit]
	Description=DHCP on eth0
	After=systemd-modules-load.service
	[Service]
	ExecStart=/sbin/udhcpc -f -S -t 30 -T 1 -A 2 -i eth0
	Restart=always
	[Install]
	WantedBy=multi-user.target
UNIT
echo l3ctl | put /etc/hostname
put /etc/hosts <<< $'127.0.0.1 localhost\n127.0.1.1 l3ctl\n::1 localhost'
echo '# the kernel mounts / as its command line says' | put /etc/fstab
put /etc/ssh/sshd_config.d/l3ctl.conf <<< $'PasswordAuthentication no\nUseDNS no\nHostKey /etc/ssh/ssh_host_ed25519_key'
rm -f "$root"/etc/ssh/ssh_host_*
# Every machine has a host key of its own.
put /etc/systemd/system/ssh.service.d/key.conf <<-'UNIT'
	[Service]
	ExecStartPre=
	ExecStartPre=/bin/sh -c 'test -s /etc/ssh/ssh_host_ed25519_key || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
UNIT
inside useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' | put /etc/sudoers.d/vagrant
chmod 440 "$root/etc/sudoers.d/vagrant"
ssh-keygen -q -t ed25519 -N '' -C l3ctl-box -f "$made/ssh-key"
put /home/vagrant/.ssh/authorized_keys < "$made/ssh-key.pub"
chmod 700 "$root/home/vagrant/.ssh"
inside chown -R vagrant:vagrant /home/vagrant
inside systemctl --quiet enable ssh.service management.service
inside systemctl --quiet disable bird.service frr.service
# Under an emulator each unit and each generator of units costs a second or so: without those that do nothing for a lab, and without udev
# looking at every device, a machine boots in a third of the time.
inside systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-{udev-trigger,logind,binfmt,update-utmp,update-utmp-runlevel,random-seed,machine-id-commit,remount-fs,pcrphase,pcrphase-sysinit}.service \
	systemd-{sysusers,tmpfiles-setup-dev,journal-flush,hwdb-update,ask-password-console,ask-password-wall,network-generator}.{service,path} \
	modprobe@{configfs,dm_mod,drm,efi_pstore,fuse,loop}.service kmod-static-nodes.service getty-static.service \
	dev-hugepages.mount dev-mqueue.mount sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount getty.target
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do ln -s /dev/null "$root/etc/systemd/system-generators/$(basename "$generator")"; done
put /etc/systemd/journald.conf.d/l3ctl.conf <<< $'[Journal]\nStorage=volatile'
: | put /etc/default/locale
inside systemctl --quiet set-default multi-user.target
printf '%s\n' virtio_net virtio_rng 8021q | put /etc/modules-load.d/l3ctl.conf
inside getcap /usr/bin/ping | grep -q cap_net_raw || fail "ping in the box lacks its capability" "report this"

tell "Python environment"
inside /usr/bin/python3 -m venv --system-site-packages /opt/l3ctl
mkdir "$root/wheels"
mount --bind "$made/wheels" "$root/wheels"
mapfile -t wanted < "$made/wanted"
quietly inside /opt/l3ctl/bin/pip --disable-pip-version-check install --no-index --find-links /wheels "${wanted[@]}"
# Where provision.sh lays l3ctl's own sources: installing them with pip would take a minute under an emulator.
inside /opt/l3ctl/bin/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "l3ctl.pth").write_text("/opt/l3ctl/src\n")'
printf '#!/opt/l3ctl/bin/python\nimport sys\nfrom l3ctl.cli import main\nsys.exit(main())\n' | put /opt/l3ctl/bin/l3ctl
chmod 755 "$root/opt/l3ctl/bin/l3ctl"
mkdir "$root/opt/l3ctl/src"
umount "$root/wheels"
rmdir "$root/wheels"
rm -rf "$root"/root/.cache "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
inside dpkg-query -W -f '${Package} ${Version}\n' > "$made/packages.txt"

tell "boot loader"
# norandmaps: where every process has its code at the same addresses, an emulator need not translate it anew for each.
put /extlinux.conf <<-'CONF'
	DEFAULT debian
	LABEL debian
	KERNEL /vmlinuz
	INITRD /initrd.img
	APPEND root=/dev/vda rw fsck.mode=skip net.ifnames=0 console=tty0 console=ttyS0 mitigations=off norandmaps cryptomgr.notests audit=0 apparmor=0 random.trust_cpu=on tsc=nowatchdog quiet
CONF
extlinux --install "$root" > /dev/null 2>&1 || fail "extlinux could not be installed" "extlinux --install says why"
umount "$root"
e2fsck -fp "$made/disk.raw" > /dev/null || fail "the file system of the box is not clean" "build again"

tell "images"
qemu-img convert -O qcow2 "$made/disk.raw" "$made/disk.qcow2"
mkdir "$made/vagrant"
ln "$made/disk.qcow2" "$made/vagrant/box.img"
cp "$made/ssh-key" "$made/vagrant/ssh-key"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 3}' > "$made/vagrant/metadata.json"
cat > "$made/vagrant/Vagrantfile" <<-'RUBY'
	# The box lets its own key in, and no other.
	Vagrant.configure("2") do |config|
	  config.ssh.private_key_path = File.expand_path("ssh-key", __dir__)
	  config.ssh.insert_key = false
	end
RUBY
tar -C "$made/vagrant" -cf "$made/l3ctl.box" metadata.json Vagrantfile ssh-key box.img
rm -rf "$made/disk.raw" "$made/vagrant" "$root" "$made/pip" "$made/wheels" "$made/wanted" "$made/sources" "$made/apt.conf" "$made/log" "$made/initramfs"
tell "made: $(du -h "$made/disk.qcow2" | cut -f1) disk"
echo whole >&3

#!/usr/bin/env bash
# Makes a machine of the lab what it is: provision.sh r1|r2|site, as root, from the source tree that it is in. Again at any time, for new sources.
#
# On the lab's own box everything is there. On another Debian 12, as a public box, it installs what vagrant/packages lists and what l3ctl
# needs from the Internet.
set -euo pipefail
umask 022
role=${1:-}
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
case "$role" in r1) number=2 ;; r2) number=3 ;; site) ;; *) echo "provision: which machine is this? (mend: r1, r2 or site)" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "provision: needs root (mend: sudo $0 $role)" >&2; exit 1; }
last=eth2
[ "$role" != site ] || last=eth4
ip link show "$last" > /dev/null 2>&1 \
	|| { echo "provision: there is no $last (mend: boot with net.ifnames=0, and give the machine its networks as the Vagrantfile does)" >&2; exit 1; }

unit() { # NAME, and its text
	cat > "/etc/systemd/system/$1.service"
	units+=("$1.service")
}
units=()

hostname "$role"
echo "$role" > /etc/hostname
sed -i "s/^127\.0\.1\.1 .*/127.0.1.1 $role/" /etc/hosts
grep -q "^127.0.1.1 $role" /etc/hosts || echo "127.0.1.1 $role" >> /etc/hosts

mapfile -t missing < <(comm -23 <(sed 's/#.*//; /^ *$/d' "$here/packages" | sort) \
	<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort))
if [ ${#missing[@]} != 0 ]; then
	echo "installing ${missing[*]}"
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" > /dev/null
	systemctl --quiet disable --now bird.service frr.service # they are started in namespaces, on `site` alone
fi
if [ -d /opt/l3ctl/src ]; then # the lab's own box
	rm -rf /opt/l3ctl/src/*
	cp -r "$tree/l3ctl" "$tree/bpf" /opt/l3ctl/src/
else
	[ -x /opt/l3ctl/bin/pip ] || /usr/bin/python3 -m venv --system-site-packages /opt/l3ctl
	/opt/l3ctl/bin/pip --quiet --disable-pip-version-check install --constraint "$tree/constraints.txt" "$tree"
	/opt/l3ctl/bin/pip --quiet --disable-pip-version-check install --force-reinstall --no-deps "$tree" # also where the version is the same
fi
ln -sf /opt/l3ctl/bin/l3ctl /usr/local/bin/l3ctl
install -m 755 "$here/network.sh" /usr/local/sbin/l3lab-network

unit l3lab-network <<-UNIT
	[Unit]
	Description=The network of the lab, on $role
	After=network.target
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/usr/local/sbin/l3lab-network $role
	[Install]
	WantedBy=multi-user.target
UNIT

if [ "$role" = site ]; then
	install -m 644 "$here/attack.py" /usr/local/lib/l3lab-attack.py
	install -m 644 "$tree/configs/bird-two-routers.conf" /etc/bird/lab.conf
	# The example is for one router; the second is the same.
	sed '/ffff::2/{p; s/ffff::2/ffff::3/}' "$tree/configs/frr.conf" > /etc/frr/lab.conf
	program() { # NAME NAMESPACE COMMAND [LINE]
		unit "l3lab-$1" <<-UNIT
			[Unit]
			Requires=l3lab-network.service
			PartOf=l3lab-network.service
			After=l3lab-network.service l3lab-zebra.service
			[Service]
			NetworkNamespacePath=/run/netns/$2
			ExecStart=$3
			${4:-}
			Restart=always
			[Install]
			WantedBy=multi-user.target
		UNIT
	}
	files='-f /dev/null -z /run/frr/zserv.api --vty_socket /run/frr --log stdout'
	install -d -o frr -g frr /run/frr
	echo 'd /run/frr 0755 frr frr' > /etc/tmpfiles.d/l3lab.conf
	program bird bird '/usr/sbin/bird -f -c /etc/bird/lab.conf -s /run/l3lab-bird.ctl'
	program zebra frr "/usr/lib/frr/zebra -i /run/frr/zebra.pid $files"
	program bgpd frr "/usr/lib/frr/bgpd -i /run/frr/bgpd.pid $files" \
		"ExecStartPost=/bin/sh -c 'until vtysh -d bgpd -c \"show version\" > /dev/null 2>&1; do sleep 0.2; done; exec vtysh -f /etc/frr/lab.conf'"
else
	id -u exabgp > /dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin exabgp
	install -d /etc/l3ctl
	install -m 644 "$here/inventory.yaml" /etc/l3ctl/
	sed "s/ROUTER/$role/; s/NUMBER/$number/" "$here/l3ctl.yaml" > /etc/l3ctl/l3ctl.yaml
	unit l3ctl-agent <<-UNIT
		[Unit]
		Wants=l3lab-network.service
		After=l3lab-network.service
		[Service]
		ExecStart=/opt/l3ctl/bin/l3ctl agent
		Restart=always
		RestartSec=2
		[Install]
		WantedBy=multi-user.target
	UNIT
	# What starts ExaBGP stands in the first line of the configuration that l3ctl makes for it.
	unit l3ctl-exabgp <<-'UNIT'
		[Unit]
		Wants=l3lab-network.service
		After=l3lab-network.service
		[Service]
		RuntimeDirectory=l3lab-exabgp
		TimeoutStartSec=600
		ExecStartPre=/opt/l3ctl/bin/l3ctl exabgp-config --output /run/l3lab-exabgp/exabgp.conf
		ExecStart=/bin/sh -c 'exec $(sed -n "1s/^# //p" /run/l3lab-exabgp/exabgp.conf)'
		Restart=always
		RestartSec=2
		[Install]
		WantedBy=multi-user.target
	UNIT
fi
systemctl daemon-reload
systemctl --quiet enable "${units[@]}"
systemctl restart "${units[@]}"
echo "provisioned: $role"

#!/usr/bin/env bash
# The lab's network on one machine, at every boot: network.sh r1|r2|site. eth0 is for ssh and is left alone.
#
# r1, r2   eth1      the trunk, with a VLAN device for each customer
#          eth2      the uplink, 2001:db8:ffff::2 or ::3
# site     eth1 eth2 the other ends of the trunks, in `customers`, a bridge that knows VLANs
#          eth3 eth4 the other ends of the uplinks, in `uplinks`, a bridge that knows none
#          namespaces web1 db1 rogue, each on an access port of `customers`, and bird frr, on `uplinks`
set -euo pipefail

set_up() { for netdev; do ip link set "$netdev" up; done; }

router() { # NUMBER of its addresses
	modprobe 8021q
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv6.conf.eth1.disable_ipv6=1
	# A host that moves does not see its own link go, and goes on sending to the MAC that it knows: the routers have the same one.
	ip link set eth1 down
	ip link set eth1 address 02:00:00:00:0e:01
	set_up eth1 eth2
	for vlan in 11 12 13; do
		# With `loose_binding` a VLAN device that is down stays down when the trunk is set up; otherwise all of them would come up with it.
		ip link show "eth1.$vlan" > /dev/null 2>&1 || ip link add link eth1 name "eth1.$vlan" type vlan id "$vlan" loose_binding on
		[ "$1" != 2 ] || set_up "eth1.$vlan" # every customer begins on r1
	done
	ip addr replace "198.51.100.$1/32" dev lo
	# Eight addresses and no more: of a whole on-link /64, each address that a customer sends to would be looked for.
	ip addr replace "2001:db8:ffff::$1/125" dev eth2 nodad
	for peer in 1 4; do ip route replace "198.51.100.$peer/32" via inet6 "2001:db8:ffff::$peer" dev eth2 onlink src "198.51.100.$1"; done
	ip -6 route replace default via 2001:db8:ffff::1 dev eth2 metric 10
	ip route replace default via inet6 2001:db8:ffff::1 dev eth2 onlink metric 10
}


namespace() { # NAME MAC of its eth0, whose other end is port-NAME
	ip netns del "$1" 2> /dev/null || true
	ip link del "port-$1" 2> /dev/null || true
	ip netns add "$1"
	ip link add "port-$1" type veth peer name eth0 netns "$1" address "$2"
	ip -n "$1" link set lo up
	ip -n "$1" link set eth0 up
}

upstream() { # NAME MAC NUMBER
	namespace "$1" "$2"
	ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0
	ip link set "port-$1" master uplinks up
	ip -n "$1" addr add "198.51.100.$3/32" dev lo
	ip -n "$1" addr add "2001:db8:ffff::$3/125" dev eth0 nodad
}

customer() { # NAME VLAN: configured as its owner would, with nothing but its own addresses and a default route
	namespace "$1" "$(printf '52:54:00:0a:00:%02x' "$2")"
	ip link set "port-$1" master customers up
	bridge vlan add dev "port-$1" vid "$2" pvid untagged
	bridge vlan add dev eth1 vid "$2" # to r1
	bridge vlan del dev eth2 vid "$2" 2> /dev/null || true
	ip -n "$1" addr add "203.0.113.$2/32" dev eth0
	ip -n "$1" addr add "2001:db8:$2::1/64" dev eth0 nodad
	ip -n "$1" route add default via fe80::1 dev eth0
	ip -n "$1" route add 203.0.113.1 dev eth0 scope link
	ip -n "$1" route add default via 203.0.113.1
}

site() {
	sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	for netdev in eth1 eth2 eth3 eth4; do sysctl -qw "net.ipv6.conf.$netdev.disable_ipv6=1"; done
	ip link del customers 2> /dev/null || true
	ip link del uplinks 2> /dev/null || true
	ip link add customers type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
	ip link add uplinks type bridge mcast_snooping 0
	for leg in eth1 eth2; do ip link set "$leg" master customers up; done
	for leg in eth3 eth4; do ip link set "$leg" master uplinks up; done
	set_up customers uplinks
	upstream bird 02:00:00:00:00:b1 1
	upstream frr 02:00:00:00:00:f4 4
	customer web1 11
	customer db1 12
	customer rogue 13
}

case "${1:-}" in
r1) router 2 ;;
r2) router 3 ;;
site) site ;;
*) echo "network.sh: whose network? (mend: r1, r2 or site)" >&2; exit 2 ;;
esac

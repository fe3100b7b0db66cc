"""Who speaks through the two routers.

    source 2001:db8:fffe::2 ── upstream ── router ── web1 2001:db8:11::1
           198.51.100.2                              192.0.2.11

The router has web1's routes in the way of l3ctl: a permanent neighbour, and each prefix through its link-local.
"""

from collections.abc import Callable
from ipaddress import IPv6Address

from l3ctl.lab.namespaces import Namespace
from tests.bgp.two_routers import TwoRouters

WEB1_LLADDR, WEB1_LINK_LOCAL = "52:54:00:0a:00:0b", IPv6Address("fe80::5054:ff:fe0a:b")
ADDRESSES = ("2001:db8:11::1", "192.0.2.11")


class Ends:
    """A host on the router's port, and somebody behind the upstream."""

    def __init__(self, routers: TwoRouters, upstream_link_local: IPv6Address, namespace: Callable[[], Namespace]) -> None:
        self.source, web1 = namespace(), namespace()
        router, upstream = routers.router, routers.upstream
        for forwarder in (router, upstream):
            forwarder.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        upstream.ip(
            f"link add down1 type veth peer name eth0 netns {self.source.name}",
            "link set down1 up",
            "addr add 2001:db8:fffe::1/64 dev down1 nodad",
            "addr add 198.51.100.1/24 dev down1",
        )
        self.source.ip(
            "link set eth0 up",
            "addr add 2001:db8:fffe::2/64 dev eth0 nodad",
            "addr add 198.51.100.2/24 dev eth0",
            "route add default via 2001:db8:fffe::1",
            "route add default via 198.51.100.1",
        )
        router.ip(
            f"link add port-web1 type veth peer name eth0 netns {web1.name} address {WEB1_LLADDR}",
            "link set port-web1 addrgenmode none",
            "link set port-web1 up",
            "addr add fe80::1/128 dev port-web1 nodad",
            f"neigh replace {WEB1_LINK_LOCAL} lladdr {WEB1_LLADDR} dev port-web1 nud permanent",
            f"route add 2001:db8:11::/64 via {WEB1_LINK_LOCAL} dev port-web1 onlink",
            f"route add 192.0.2.11/32 via inet6 {WEB1_LINK_LOCAL} dev port-web1 onlink",
            f"route add default via {upstream_link_local} dev up0",
            f"route add 0.0.0.0/0 via inet6 {upstream_link_local} dev up0",
        )
        web1.ip(
            "link set eth0 addrgenmode none",
            "link set eth0 up",
            f"addr add {WEB1_LINK_LOCAL}/64 dev eth0 nodad",
            *(f"addr add {address} dev eth0" for address in ADDRESSES),
            "route add default via fe80::1 dev eth0 onlink",
            "route add 0.0.0.0/0 via inet6 fe80::1 dev eth0 onlink",
        )

    def answers(self, address: str) -> bool:
        """Whether the host's address answers the source's ping."""
        return ", 0% packet loss" in self.source.run("ping", "-n", "-c", "1", "-W", "1", address, ok=(0, 1, 2))

"""Attacks with ARP, by arping and by scapy; and what else scapy alone can make."""

from tests.evasion.case import Case

ARPING = tuple(
    Case(f"arping -i eth0 {options}", aim, passes, seconds=1.2, frames=frames)
    for options, aim, frames, passes in (
        ("-c 2 -U {victim4}", "claim a neighbour's address, unasked", 1, ()),
        ("-c 2 -U -P {victim4}", "claim a neighbour's address in a reply", 1, ()),
        ("-c 2 -U {gateway4}", "claim the gateway's address, unasked", 1, ()),
        ("-c 2 -U -P -S {gateway4} {victim4}", "tell a neighbour that it is the gateway", 1, ()),
        ("-c 2 -S {victim4} {gateway4}", "ask with a neighbour's address", 1, ()),
        ("-c 2 -p -s {victim_mac} -S {victim4} {gateway4}", "ask with a neighbour's MAC and address", 1, ()),
        ("-c 2 -p -s {victim_mac} {gateway4}", "ask with a neighbour's MAC", 1, ()),
        ("-c 2 -0 {victim4}", "probe for a neighbour's address", 1, ()),
        ("-c 2 -b {gateway4}", "ask from the broadcast address", 1, ()),
        ("-c 2 -t {victim_mac} {victim4}", "ask a neighbour directly", 1, ()),
        ("-c 2 {victim4}", "find a neighbour's MAC", 1, ()),
        ("-c 2 -V 12 -U {victim4}", "reach another VLAN", 1, ("unguarded VLAN",)),
        ("-W 0.001 -w 1 {gateway4}", "draw on the answers without end", 2_000, ()),
        ("-W 0.0001 -w 1 -S {victim4} {gateway4}", "fill the neighbour table", 2_000, ()),
        ("-c 2 -T {gateway4} {victim_mac}", "ping a neighbour's MAC", 1, ("IPv4",)),
    )
)

SCAPY_ARP = tuple(
    Case(f"{{scapy}} {name}", aim, passes, seconds=8)
    for name, aim, passes in (
        ("gratuitous-request", "claim a neighbour's address (RFC 5227 announcement)", ()),
        ("gratuitous-reply", "claim a neighbour's address", ()),
        ("gratuitous-of-the-gateway", "claim the gateway's address", ()),
        ("gratuitous-of-its-own", "claim its own address, as a failover does", ()),
        ("reply-to-the-router", "take a neighbour's address at the router", ()),
        ("reply-of-its-own", "be learnt by the router", ()),
        ("request-to-the-router-alone", "take a neighbour's address with a request", ()),
        ("sender-is-the-victims-mac", "be a neighbour in the packet only", ()),
        ("frame-is-from-the-victims-mac", "be a neighbour altogether", ()),
        ("frame-is-from-a-multicast-mac", "hide who sent it", ()),
        ("frame-is-from-nobody", "hide who sent it", ()),
        ("probe-for-the-victim", "find out whether an address is taken", ()),
        ("every-operation", "an operation that nobody thought of", ()),
        ("odd-lengths", "a format that nobody thought of", ()),
        ("cut-short", "an end that nobody thought of", ()),
        ("trailing-bytes", "more than there should be", ()),
        ("priority-tagged", "hide behind VLAN 0", ()),
        ("priority-tagged-twice", "hide behind two tags (CVE-2021-27853)", ()),
        ("provider-tagged", "hide behind a provider's tag", ()),
        ("of-another-vlan", "reach another VLAN", ("unguarded VLAN",)),
        ("in-snap", "hide in LLC/SNAP (CVE-2021-27854)", ()),
        ("reverse", "RARP", ()),
        ("requests-from-addresses-not-its-own", "fill the neighbour table", ()),
        ("scan-of-the-whole-range", "find all neighbours, and make the router ask", ()),
    )
)

SCAPY_IP = tuple(
    Case(f"{{scapy}} {name}", aim, passes, seconds=12)
    for name, aim, passes in (
        ("arp-in-ipv6", "hide ARP under IPv6's EtherType", ()),
        ("ns-in-ipv4", "hide ND under IPv4's EtherType", ()),
        ("ns-priority-tagged", "hide ND behind VLAN 0", ()),
        ("rs", "be learnt by the router", ()),
        ("rs-as-the-victim", "be learnt as a neighbour", ()),
        ("rs-behind-headers", "be learnt by the router, behind headers", ()),
        ("rs-with-odd-options", "confuse with link-layer options", ()),
        ("echo-from-link-locals-of-nobody", "make the router look for those it must answer", ("echo",)),
        ("echo-to-link-locals-of-nobody", "make the router look for those it forwards to", ("echo",)),
        ("udp-from-link-locals-of-nobody", "make the router look for those it sends an error", ("UDP",)),
        ("fragmented-echo-from-link-locals-of-nobody", "the same in fragments", ("echo", "later fragment")),
        ("echo-from-the-uplink", "make the router look for neighbours on its uplink", ("echo",)),
        ("echo-to-the-uplink", "make the router look for neighbours on its uplink", ("echo",)),
    )
)

CASES = (*ARPING, *SCAPY_ARP, *SCAPY_IP)

"""The SI6 Networks IPv6 toolkit: each ND message with its headers, options and addresses to taste.

Its rs6 is not among them: Debian 12's sends nothing but a question for the MAC of ff02::2. scapy sends solicitations in its place.

-y fragments, -H adds hop-by-hop, -u destination options behind the fragment header and -U in front of it, -S sets the Ethernet source, -E a
link-layer option, and -e one with the true address.
"""

from typing import Any

from tests.evasion.case import Case

_LATER = ("later fragment",)


def _each(command: str, aim: str, *options: str, passes: tuple[str, ...] = (), **more: Any) -> tuple[Case, ...]:
    """One case for each set of options, at the command's end."""
    return tuple(Case(f"{command} {one}".strip(), aim, passes, seconds=2.5, **more) for one in options)


_NA = "na6 -i eth0 -t {gateway6} -d ff02::1 -r -o"
_NS = "ns6 -i eth0 -S {own_mac} -t {gateway6}"
_RA = "ra6 -i eth0 -d ff02::1 -s {own_ll} -t 1000"
_RD = "rd6 -i eth0 -s {gateway6} -d {victim} -r {upstream} -t {own_ll} -x {upstream}"

ADVERTISEMENTS = (
    *_each(_NA, "be the gateway", "", "-e", "-c -e", "-E {victim_mac}", "-e -E {victim_mac}", "-e -S {victim_mac}", "-s {gateway6} -e"),
    *_each(_NA, "be the gateway, behind headers", "-e -H 8", "-e -u 8", "-e -H 64 -u 64", "-e -u 1200", "-e -y 64"),
    *_each(
        _NA,
        "be the gateway, in fragments",
        "-e -y 8",
        "-e -y 16 -H 8 -u 64",
        "-e -y 16 -U 8",
        passes=_LATER,
    ),
    *_each(_NA, "be the gateway, behind too many headers", "-y 16 -U 8 -U 8 -U 8 -U 8 -U 8"),
    *_each("na6 -i eth0 -d {gateway6} -s {victim_ll} -t {victim_ll}", "be a neighbour, to the router", "-o -e", "-c -o -E {own_mac}"),
    *_each("na6 -i eth0 -d ff02::1 -t {victim}/64 -T 100", "be every neighbour", "-o -e"),
)

SOLICITATIONS = (
    *_each(_NS, "be learnt by the router", "-s {own_ll} -e", "-s {own_ll} -d {gateway6} -e", "-s {own} -e", "-s {own_ll}"),
    *_each(_NS, "take the gateway's address", "-s ::", "-s :: -e"),
    *_each(_NS, "be learnt as a neighbour", "-s {victim_ll} -E {own_mac}", "-s {victim} -e", "-s {victim_ll} -S {victim_mac} -e"),
    *_each("ns6 -i eth0 -t {gateway6}", "be learnt with an invented MAC", "-s {own_ll} -e"),
    *_each(
        _NS,
        "confuse with link-layer options",
        "-s {own_ll} -E {own_mac} -E {victim_mac}",
        "-s {own_ll} -E {victim_mac}",
        "-s {own_ll} -e -e",
    ),
    *_each(_NS, "be learnt, behind headers", "-s {victim_ll} -e -H 8", "-s {victim_ll} -e -u 8", "-s {victim_ll} -e -y 64"),
    *_each(_NS, "be learnt, in fragments", "-s {victim_ll} -e -y 16", "-s {victim_ll} -e -u 8 -U 8 -y 24", passes=_LATER),
    *_each(_NS, "be learnt as itself, in fragments", "-s {own_ll} -e -y 16", passes=_LATER),
    *_each(_NS, "fill the neighbour table", "-F 500 -e"),
    *_each("ns6 -i eth0 -s {own_ll} -e", "find neighbours", "-t {victim}", "-t {victim_ll}", "-t {victim}/64 -T 200"),
)

ROUTERS = (
    *_each(
        _RA, "become everybody's router", "-e", "-e -p 1", "-E {victim_mac} -E {own_mac}", "-e -H 8", "-e -u 8", "-e -H 8 -u 8", "-e -y 64"
    ),
    *_each(_RA, "become everybody's router, in fragments", "-e -H 8 -U 8 -y 16", "-e -y 8", passes=_LATER),
    *_each(
        _RA,
        "give everybody addresses and routes",
        "-P 2001:db8:bad::/64#LA#1000#1000 -R 2001:db8::/32#1#1000 -N 1000#2001:db8:bad::53 -M 1280",
    ),
    *_each(_RA, "fill everybody's routes", "-F 100 -f 10 -w 10"),
    *_each("ra6 -i eth0 -d ff02::1 -s {gateway6}", "end the gateway", "-t 0 -e", "-t 0 -y 64"),
)

_ASKING = {"answered": True, "silence": 0.3}
REDIRECTS = (
    *_each(_RD, "draw a neighbour's traffic to itself", "", "-n", "-e -S {own_mac}", "-E {victim_mac}", proof="redirect", **_ASKING),
    *_each(_RD, "draw a neighbour's traffic to itself, from afar", "-A 64", proof="nd-malformed", **_ASKING),
    *_each(_RD, "draw a neighbour's traffic, behind headers", "-H 8", "-u 8", "-H 8 -u 8 -n", proof="redirect", **_ASKING),
    *_each(_RD, "draw a neighbour's traffic, in fragments", "-y 64", passes=_LATER, proof="nd-fragment", **_ASKING),
)

_FRAG = "frag6 -i eth0 -d {gateway6} -s {own_ll}"
OTHERS = (
    *_each(_FRAG, "confuse reassembly", "-O atomic", "-O first -P 64", passes=("echo",), **_ASKING),
    *_each(_FRAG, "confuse reassembly", "-O last -o 8", "-O middle -o 64", passes=_LATER, **_ASKING),
    *_each(_FRAG, "confuse reassembly", "-p", "-X", "-F 100", passes=("echo", *_LATER), **_ASKING),
    *_each("ni6 -i eth0 -d {gateway6}", "ask the router who it is (RFC 4620)", "-6 {gateway6}", "-4 {gateway4}", passes=("node query",)),
    *_each("icmp6 -i eth0 -d {gateway6} -s {own_ll} -n -t", "cut-short ND", "133:0", "134:0", "136:0", proof="nd-malformed", **_ASKING),
    *_each("icmp6 -i eth0 -d {victim} -s {own}", "make a neighbour's packets small", "-E -m 1280", passes=("ICMPv6 error",), **_ASKING),
)

CASES = (*ADVERTISEMENTS, *SOLICITATIONS, *ROUTERS, *REDIRECTS, *OTHERS)

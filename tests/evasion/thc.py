"""The THC-IPv6 attack toolkit: everything in it that aims at the first hop, with each way it knows around a guard.

Of those ways, -D (or -E D, O, o) makes a packet longer than the MTU by a destination header and sends it in fragments.
"""

from typing import Any

from tests.evasion.case import Case

_LATER = ("later fragment",)


def _each(command: str, aim: str, *options: str, passes: tuple[str, ...] = (), **more: Any) -> tuple[Case, ...]:
    """One case for each set of options, which stands in place of OPTIONS."""
    return tuple(Case(" ".join(command.replace("OPTIONS", one).split()), aim, passes, **more) for one in options)


_NA = "atk6-fake_advertise6 OPTIONS -n 3 -w 0 eth0"
ADVERTISEMENTS = (
    *_each(f"{_NA} {{gateway6}}", "be the gateway", "", "-O", "-r -s", "-m {victim_mac}", "-H", "-f", "-f -f", "-H -f"),
    *_each(f"{_NA} {{gateway6}}", "be the gateway, in fragments", "-D", "-F", passes=_LATER),
    *_each(f"{_NA} {{victim_ll}} {{gateway6}}", "be a neighbour, to the router", "", "-H", "-f"),
    *_each(f"{_NA} {{victim}} {{gateway6}} {{own_mac}} {{victim_ll}}", "be a neighbour, in its name", "-s", "-f"),
)

_RA = "atk6-fake_router26 OPTIONS -n 2 -i 0 -A 2001:db8:bad::/64 -R 2001:db8::/32 -D 2001:db8:bad::53 eth0"
ROUTERS = (
    *_each(_RA, "become everybody's router", "", "-E H", "-E 1", "-E 11", "-E 111", "-E H1", "-E H111", "-E 1H1", "-E 1111111"),
    *_each(_RA, "become everybody's router, in fragments", "-E D", "-E HD", "-E F", passes=_LATER),
    *_each(
        _RA, "become everybody's router, by fragments that overlap", "-E O", "-E o", "-E HO", "-E Ho", passes=("echo", "later fragment")
    ),
    *_each(_RA, "become everybody's router, as the gateway", "-s {gateway6}", "-s {gateway6} -S {victim_mac}", "-s {gateway6} -E H1"),
    *_each("atk6-fake_router26 -X -l 0 -n 1 eth0", "end everybody's router", "", frames=1),
    *_each("atk6-fake_router6 OPTIONS eth0 2001:db8:bad::/64", "become everybody's router", "", "-H", "-F", "-HF", frames=1),
    *_each("atk6-fake_router6 OPTIONS eth0 2001:db8:bad::/64", "become everybody's router, in fragments", "-D", passes=_LATER, frames=2),
    *_each("atk6-kill_router6 OPTIONS eth0 {gateway6}", "end the gateway", "", "-H", "-F", frames=1),
    *_each("atk6-kill_router6 OPTIONS eth0 {gateway6}", "end the gateway, in fragments", "-D", passes=_LATER, frames=2),
)

SOLICITATIONS = (
    *_each("atk6-fake_solicitate6 OPTIONS eth0 {gateway6}", "be learnt by the router", "", "-H", "-F", frames=1),
    *_each("atk6-fake_solicitate6 OPTIONS eth0 {gateway6}", "be learnt by the router, in fragments", "-D", passes=_LATER, frames=2),
    *_each("atk6-fake_solicitate6 eth0 {gateway6} {gateway6} {own_mac} {victim_ll}", "be learnt as a neighbour", "", frames=1),
    *_each("atk6-inverse_lookup6 eth0 {victim_mac}", "ask for a neighbour's addresses (RFC 3122)", ""),
    *_each("atk6-sendpees6 eth0 512 fe80:: {gateway6}", "exhaust the router with signatures (RFC 3971)", ""),
)

_ECHO = ("echo",)
REDIRECTS = (
    *_each("atk6-redir6 eth0 {victim} {upstream} {gateway6} {own_ll} {own_mac}", "draw a neighbour's traffic to itself", "", passes=_ECHO),
)

MULTICAST = (
    *_each("atk6-fake_mld6 eth0 OPTIONS ff02::1:ff00:1", "join or leave the gateway's group", "add", "delete", passes=("MLD report",)),
    *_each("atk6-fake_mld26 eth0 OPTIONS ff02::1:ff00:1", "join or leave the gateway's group", "add", "delete", passes=("MLD report",)),
    *_each("OPTIONS eth0 query", "be the one who asks who listens", "atk6-fake_mld6", "atk6-fake_mld26", frames=1),
    *_each("atk6-fake_mldrouter6 eth0 OPTIONS", "be the multicast router (RFC 4286)", "advertise", "solicitate", "terminate", frames=1),
    *_each("atk6-fake_pim6 eth0 hello", "be the multicast router (PIM)", "", passes=("PIM",)),
)

FLOODS = (
    *_each("atk6-flood_advertise6 OPTIONS eth0", "fill the neighbour table", "", "-k", "-m {victim_mac}"),
    *_each("atk6-flood_solicitate6 OPTIONS eth0", "fill the neighbour table", "", "-k", "-a", "-a -k"),
    *_each(
        "atk6-flood_solicitate6 OPTIONS eth0 {gateway6} {gateway6}",
        "fill the neighbour table, by questions it answers",
        "-k",
        "-m {own_mac}",
    ),
    *_each("atk6-flood_rs6 OPTIONS eth0", "fill the neighbour table", "", "-s", "-S"),
    *_each("atk6-flood_router26 OPTIONS eth0", "fill everybody's routes", "", "-a", "-H", "-f", "-a -f", "-A", "-s -m"),
    *_each("atk6-flood_router26 OPTIONS eth0", "fill everybody's routes, in fragments", "-F", passes=_LATER),
    *_each("atk6-flood_router6 OPTIONS eth0", "fill everybody's routes", "", "-HF"),
    *_each("atk6-flood_redir6 OPTIONS eth0", "fill everybody's route exceptions", "", "-H", "-F", "-a"),
    *_each("atk6-flood_redir6 OPTIONS eth0", "fill everybody's route exceptions, in fragments", "-D", passes=_LATER),
    *_each("OPTIONS eth0", "fill everybody's groups", "atk6-flood_mld6", "atk6-flood_mld26", passes=("MLD report",), frames=5_000),
    *_each("atk6-flood_mldrouter6 eth0", "be many multicast routers", ""),
)

EXHAUSTION = (
    *_each("atk6-ndpexhaust6 eth0 {victim_prefix}", "make the router look for a neighbour's hosts", "", passes=_ECHO, frames=2_000),
    *_each(
        "atk6-ndpexhaust26 OPTIONS eth0 {victim_prefix}",
        "make the router look for a neighbour's hosts",
        *("", "-T", "-U", "-m"),
        passes=("ICMPv6 error",),
        frames=5_000,
    ),
    *_each(
        "atk6-ndpexhaust26 OPTIONS eth0 {victim_prefix}",
        "make the router look for a neighbour's hosts",
        *("-p", "-P", "-a -p", "-p -r", "-p -R"),
        passes=_ECHO,
        frames=5_000,
    ),
    *_each("atk6-ndpexhaust26 -p OPTIONS eth0 {uplink}", "make the router look for hosts upstream", "", "-r", passes=_ECHO, frames=5_000),
)

_SOLICITED = {"cause": "solicitation", "passes": _ECHO, "seconds": 2.5, "silence": 1}
ANSWERS = (
    *_each("atk6-parasite6 OPTIONS eth0", "answer every solicitation it hears", "", "-R", "-H", proof="na-unsolicited", **_SOLICITED),
    *_each("atk6-parasite6 -F eth0", "answer every solicitation it hears, in fragments", "", proof="nd-fragment", **_SOLICITED),
    *_each(
        "atk6-dos-new-ip6 OPTIONS eth0",
        "claim every new address it hears of",
        *("", "-S"),
        **{**_SOLICITED, "cause": "new address", "passes": ("MLD report",), "proof": "nd-mac-spoof"},
    ),
)

_ANY_ICMPV6 = ("ICMPv6 error", "other ICMPv6", "MLD report", "echo", "node query")
_ANYTHING = (*_ANY_ICMPV6, "other protocol", "PIM", "TCP", "UDP", "later fragment", "no next header")
ODDITIES = (
    *_each(
        "atk6-fragmentation6 -fp -n 1 eth0 {gateway6} OPTIONS", "confuse reassembly", "1", "3", "7", passes=("echo", *_LATER), frames=3_000
    ),
    *_each("atk6-implementation6 -p eth0 {gateway6} 2", "a header of many options", "", passes=_LATER),
    *_each("atk6-implementation6 -p eth0 {gateway6} OPTIONS", "headers that nobody thought of", "3", "20", passes=_ECHO),
    *_each("atk6-randicmp6 -p eth0 {gateway6}", "every type and code of ICMPv6", "", passes=_ANY_ICMPV6, frames=70_000, seconds=4),
    *_each("atk6-fuzz_ip6 -a OPTIONS eth0 {gateway6}", "mutated ND", "-2", "-3", "-3 -x", passes=_ANY_ICMPV6, frames=1_000),
    *_each("atk6-fuzz_ip6 -a -4 eth0 {gateway6}", "mutated ND, from a link-local of nobody", "", passes=_ANY_ICMPV6, frames=1_000),
    *_each(
        "atk6-fuzz_ip6 -a OPTIONS eth0 {gateway6}",
        "mutated headers",
        *("-2 -I", "-1 -FSDHJ", "-1 -I", "-7 -R", "-9 -H"),
        passes=_ANYTHING,
        frames=1_000,
    ),
    *_each("atk6-denial6 eth0 {gateway6} 2", "a header of many options", "", passes=_ECHO, frames=500, seconds=10, silence=7),
    *_each("atk6-denial6 eth0 {gateway6} 5", "an authentication header", "", passes=_ECHO, frames=500, seconds=10, silence=7),
    *_each("atk6-denial6 eth0 {gateway6} OPTIONS", "a long chain of headers", "3", frames=500, seconds=10, silence=7),
)

CASES = (
    *ADVERTISEMENTS,
    *ROUTERS,
    *SOLICITATIONS,
    *REDIRECTS,
    *MULTICAST,
    *FLOODS,
    *EXHAUSTION,
    *ANSWERS,
    *ODDITIES,
)

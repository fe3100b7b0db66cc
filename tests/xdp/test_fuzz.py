"""The filter and the model of its contract agree on half a million frames, and would not if a rule were broken."""

import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from l3ctl.xdp.abi import Reason, abi, source_dir
from tests.xdp.fuzz import Arena, Duel, Filter, Tally, compile_both, compile_from
from tests.xdp.generators import SCENARIOS, Generator, Scenario

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SEEDS = ("1", "2", "3")
PARTS = 2 * len(SCENARIOS)
PART = 5_000
MOST_FRAMES = 300_000
"""within which a broken rule must be found"""


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena(*compile_both(source_dir()))


def fight(arena: Arena, seed: str, count: int) -> Tally:
    total = Tally()
    for number in range(PARTS):
        total.add(arena.run(seed, number, count))
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_filter_and_model_agree_and_every_reason_is_met(arena: Arena, seed: str) -> None:
    tally = fight(arena, seed, PART)
    assert not tally.disagreements, "\n".join(map(str, tally.disagreements))
    assert tally.frames == PARTS * PART
    assert tally.reasons().keys() == {reason.name for reason in abi().reasons}


def test_filter_and_model_agree_on_frames_that_nobody_has_seen(arena: Arena) -> None:
    seed = secrets.token_hex(4)
    print(f"seed {seed}")
    tally = fight(arena, seed, 3_000)
    assert not tally.disagreements, f"seed {seed}\n" + "\n".join(map(str, tally.disagreements))
    assert tally.frames == PARTS * 3_000


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_seed_makes_the_same_frames_again(scenario: Scenario) -> None:
    first, second, other = (Generator(scenario.policies, Random(seed)) for seed in ("a", "a", "b"))
    frames = [first.frame() for _ in range(1000)]
    assert frames == [second.frame() for _ in range(1000)]
    assert frames != [other.frame() for _ in range(1000)]
    assert all(len(frame) >= 14 for frame in frames)


def without(reason: str) -> Callable[[str], str]:
    """Sources in which nothing is dropped for `reason` any more, in the one header that holds the rule."""
    rule = re.compile(
        r"if \((?P<condition>(?:(?! if \()[^;{}])*?)\)(?P<comment>\s*/\*[^*]*\*/)?(?P<space>\s*)return REASON_" + reason + ";"
    )
    return lambda text: rule.sub(rf"if ((\g<condition>) && 0)\g<space>return REASON_{reason};", text)


def instead(old: str, new: str) -> Callable[[str], str]:
    """Sources with some text replaced, whatever the white space."""
    pattern = r"\s+".join(map(re.escape, old.split()))
    return lambda text: re.sub(pattern, lambda _: new, text)


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule broken on purpose, and the reasons that the model may give for a frame that shows it; none: any."""

    name: str
    file: str
    change: Callable[[str], str]
    shows: frozenset[str]


def broken(name: str, file: str, change: Callable[[str], str], *shows: str) -> Broken:
    return Broken(name, file, change, frozenset(shows))


BROKEN = (
    broken("multicast source MACs pass", "parse.h", without("BAD_SOURCE_MAC"), "bad-source-mac", "unknown-port"),
    broken("an IPv4 version in IPv6 passes", "parse.h", without("VERSION_MISMATCH"), "version-mismatch", "unknown-port"),
    broken("first fragments are read to their padding's end", "parse.h", instead("swap16(payload_length)", "0xffff"), "ext-header"),
    broken("only three extension headers are walked", "parse.h", instead("EXTENSION_HEADERS 4", "EXTENSION_HEADERS 3")),
    broken("fragments with M set count as later ones", "parse.h", instead("0xfff8", "0xfff9"), "ext-header", "nd-fragment", "mld-query"),
    broken("ND in fragments is read", "parse.h", without("ND_FRAGMENT"), "nd-fragment"),
    broken("another host's MAC in ARP", "arp.h", without("ARP_MAC_MISMATCH"), "arp-mac-mismatch"),
    broken("unbilled ARP senders", "arp.h", without("ARP_IP_SPOOF"), "arp-ip-spoof"),
    broken("gratuitous ARP", "arp.h", without("ARP_GRATUITOUS"), "arp-gratuitous"),
    broken("hop limits of 254", "nd.h", instead("hop_limit != 255", "hop_limit < 254"), "nd-malformed"),
    broken("one unit of options too many", "nd.h", instead("ND_MAX_UNITS 182", "ND_MAX_UNITS 183"), "nd-malformed"),
    broken("checksums unlooked at", "nd.h", instead("<= 0xffffffffffffffffULL / 0xffff", "!= 0"), "nd-malformed"),
    broken("unbilled sources of solicitations", "nd.h", without("ND_IP_SPOOF"), "nd-ip-spoof"),
    broken("foreign link-layer options", "nd.h", without("ND_LLADDR_MISMATCH"), "nd-lladdr-mismatch"),
    broken("solicitations to the wrong group", "nd.h", without("ND_DESTINATION"), "nd-destination"),
    broken("advertisements to all nodes that claim to be solicited", "reply.h", instead(": NA_FLAGS", ": NA_FLAGS | 64"), "ns-answer"),
    broken("ARP answers as long as the request", "reply.h", instead("MIN_FRAME 60", "MIN_FRAME 600"), "arp-answer"),
    broken(
        "v4-mapped addresses",
        "l3ctl.bpf.c",
        instead("!half[0] && (half[1] & 0xffffffff) == V4_MAPPED", "0"),
        *("source-spoof", "nd-ip-spoof", "ns-target", "ns-dad"),
    ),
    broken("the billed MAC of ordinary frames", "l3ctl.bpf.c", instead("!equal_lladdr(pointer->lladdr, data + 6)", "0"), "source-spoof"),
    broken(
        "the billed prefix of ordinary frames",
        "l3ctl.bpf.c",
        instead("return (*(const __u64 *)(data + packet + 8)", "return true || (*(const __u64 *)(data + packet + 8)"),
        "source-spoof",
    ),
    broken(
        "options of plain solicitations", "plain.h", instead("source_lladdr_options = 1", "source_lladdr_options = 0"), "nd-lladdr-mismatch"
    ),
    broken(
        "priority tags in front of a VLAN's",
        "stranger.h",
        instead("netdev->trunk ? REASON_VLAN_STACKED", "netdev->flags & 4096 ? REASON_VLAN_STACKED"),
        "vlan-stacked",
    ),
    broken(
        "the same from a port in audit",
        "l3ctl.bpf.c",
        instead("PORT_AUDIT && !(is_priority_stack", "PORT_AUDIT && !(0 && is_priority_stack"),
        "vlan-stacked",
    ),
    broken("hidden tags beside a port in audit", "stranger.h", instead(": NETDEV_ENFORCED |", ":"), "unknown-port", "vlan-stacked"),
    broken(
        "hidden tags, dropped for a guard in audit",
        "stranger.h",
        instead("harmless ? NETDEV_GUARD_ENFORCED", "harmless ? NETDEV_GUARDED"),
        "unknown-port",
    ),
    broken("hidden tags of ordinary frames", "l3ctl.bpf.c", instead("!(netdev->flags & NETDEV_MAY_HIDE_TAGS);", "1;"), "unknown-port"),
    broken("DHCP with IP options", "guard.h", instead("ipv4[0] != 0x45", "ipv4[0] >> 4 != 4"), "source-spoof"),
    broken("MLD from :: without a router alert", "guard.h", instead("!= NEXT_HOP_BY_HOP", "== 255"), "source-spoof"),
)


REASONS = [reason for reason in abi().reasons if reason.name not in ("", "unknown-port")]
"""`unknown-port` leaves by a way of its own"""


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_any_one_rule_that_is_missing_is_found(reason: Reason) -> None:
    real = Filter(compile_from(source_dir(), "-DSOURCE_GUARD", f"-DBROKEN_RULE={reason.number}"))
    tally = Tally()
    for number in range(MOST_FRAMES // PART):
        tally.add(Duel(SCENARIOS[number % len(SCENARIOS)], real).run(Random(f"missing/{number}"), PART))
        if tally.disagreements:
            break
    assert tally.disagreements, f"not found in {tally.frames} frames"
    assert reason.name == "rate-limit" or tally.disagreements[0].expected.reason == reason.name


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.name)
def test_a_broken_rule_is_found(rule: Broken, tmp_path: Path) -> None:
    shutil.copytree(source_dir(), tmp_path / "bpf")
    file = tmp_path / "bpf" / rule.file
    text = file.read_text()
    changed = rule.change(text)
    assert changed != text, f"{rule.file} does not hold what this test breaks in it: the rule has moved"
    file.write_text(changed)

    real = Filter(compile_from(tmp_path / "bpf", "-DSOURCE_GUARD", "-Wno-error"))
    tally = Tally()
    for number in range(MOST_FRAMES // PART):
        tally.add(Duel(SCENARIOS[number % len(SCENARIOS)], real).run(Random(f"broken/{number}"), PART))
        if tally.disagreements:
            break
    assert tally.disagreements, f"not found in {tally.frames} frames"
    found = tally.disagreements[0]
    assert not rule.shows or found.expected.reason in rule.shows, found

"""Whatever is wrong with an inventory is told: each fault once, where it is, in its own words; and nothing of such an inventory is used.

Every kind of fault that the schema, its fields and the checks between records know is planted, alone and together with others, into
inventories that are good but for that. Where it stands is known from the writing of the text, not from the reader.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.inventory.faults import Reserved
from tests.unit.inventories import load_file

FILE = Path("inventory.yaml")
RESERVED = Reserved(
    "r1",
    gateways=frozenset(ip_address(text) for text in ("fe80::1", "198.51.100.1", "2001:db8:f::1")),
    sessions=frozenset(ip_address(text) for text in ("2001:db8:e::7", "198.51.100.7")),
)
Record = dict[str, Any]
Loc = tuple[str | int, ...]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@dataclass
class Written:
    """YAML in block style, a line a value, with the line and column (from 1) of every key and value."""

    lines: list[str] = field(default_factory=list)
    keys: dict[Loc, str] = field(default_factory=dict)
    values: dict[Loc, str] = field(default_factory=dict)

    def put(self, value: object, loc: Loc, lead: str) -> None:
        """The first line of the value begins with what is written already."""
        column = len(lead)
        self.values[loc] = f"{len(self.lines) + 1}:{column + 1}"
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                self.keys[*loc, key] = f"{len(self.lines) + 1}:{column + 1}"
                self.put_after(inner, (*loc, key), f"{lead}{key}:", column)
                lead = " " * column
        elif isinstance(value, list) and value:
            for index, inner in enumerate(value):
                self.put(inner, (*loc, index), f"{lead}- ")
                lead = " " * column
        else:
            self.lines.append(lead + ("~" if value is None else json.dumps(value)))

    def put_after(self, value: object, loc: Loc, lead: str, column: int) -> None:
        """A container goes to the next line, a scalar on the key's."""
        if isinstance(value, dict | list) and value:
            self.lines.append(lead)
            self.put(value, loc, " " * (column + 2))
        else:
            self.put(value, loc, f"{lead} ")


@dataclass
class Planting:
    """Where a fault is to be planted: a port, and one of its hosts, which is the port itself where it has no list."""

    records: list[Record]
    index: int
    host_index: int

    @property
    def port(self) -> Record:
        return self.records[self.index]

    @property
    def host_loc(self) -> Loc:
        return ("hosts", self.host_index % len(self.port["hosts"])) if "hosts" in self.port else ()

    @property
    def host(self) -> Record:
        host = self.port
        for part in self.host_loc:
            host = host[part]  # type: ignore[index]
        return host

    @property
    def number(self) -> int:
        """No other port's."""
        return 100 + self.index

    def first_host(self) -> Record:
        host: Record = self.port["hosts"][0] if "hosts" in self.port else self.port
        return host


Expected = tuple[Loc, bool, str]
"""where, from the records on; whether at the key there; and words of the message"""
Plant = Callable[[Planting], Expected]


def mac(number: int) -> str:
    return f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"


def of_port(key: str, value: object, words: str, *at: str | int, of_key: bool = False) -> Plant:
    """A value of a port's own key."""

    def plant(where: Planting) -> Expected:
        where.port[key] = deepcopy(value)
        return (where.index, key, *at), of_key, words

    return plant


def of_host(key: str, value: object, words: str, *at: str | int, of_key: bool = False) -> Plant:
    """A value of one of a host's keys."""

    def plant(where: Planting) -> Expected:
        where.host[key] = deepcopy(value)
        return (where.index, *where.host_loc, key, *at), of_key, words

    return plant


def attach(port: Record, **keys: object) -> None:
    for key in ("interface", "trunk", "vlan", "guard"):
        port.pop(key, None)
    port.update(keys)


def attached(words: str, *at: str, of_key: bool = False, **keys: object) -> Plant:
    """A port that is attached so."""

    def plant(where: Planting) -> Expected:
        attach(where.port, **keys)
        return (where.index, *at), of_key, words

    return plant


def beside(words: str, *at: str | int, theirs: Record, ours: Record | None = None, host: Record | None = None) -> Plant:
    """Another record, good but that it contradicts the port, which is attached as `ours`, or has such a host."""

    def plant(where: Planting) -> Expected:
        name = where.port["name"]
        if ours:
            attach(where.port, **ours)
        where.first_host().update(deepcopy(host or {}))
        other = {"name": f"n{where.number}", "interface": f"n{where.number}", "mac": mac(where.number)} | deepcopy(theirs)
        where.records.append(other | ({"name": name} if other["name"] == "NAME" else {}))
        return (len(where.records) - 1, *at), False, words.replace("NAME", name).replace("OTHER", f"n{where.number}")

    return plant


def second_host(words: str, key: str, **keys: object) -> Plant:
    """A port of two hosts of which the second repeats what is the first's."""

    def plant(where: Planting) -> Expected:
        take_host(where.port)
        first = {"mac": mac(where.number), "link_local": "fe80::77"}
        where.port["hosts"] = [first, {"mac": mac(where.number + 512)} | {name: first[str(value)] for name, value in keys.items()}]
        return (where.index, "hosts", 1, key), False, words

    return plant


def without(*keys: str, words: str) -> Plant:
    def plant(where: Planting) -> Expected:
        for key in keys:
            where.port.pop(key, None)
        return (where.index,), False, words

    return plant


def replaced(value: object, words: str) -> Plant:
    def plant(where: Planting) -> Expected:
        where.records[where.index] = value  # type: ignore[call-overload]
        return (where.index,), False, words

    return plant


def billed(key: str, value: str, words: str) -> Plant:
    """One more prefix or address, after those that the host has."""

    def plant(where: Planting) -> Expected:
        before = list(where.host.get(key, []))
        where.host[key] = [*before, value]
        return (where.index, *where.host_loc, key, len(before)), False, words

    return plant


def twice(key: str, words: str) -> Plant:
    def plant(where: Planting) -> Expected:
        value = "2001:db8:d::/64" if key == "ipv6" else "203.0.113.250"
        where.host[key] = [value, value]
        return (where.index, *where.host_loc, key, 1), False, words

    return plant


def bgp(key: str, value: object, words: str, *at: str | int, of_key: bool = False) -> Plant:
    return of_port("bgp", {key: value}, words, key, *at, of_key=of_key)


def take_host(port: Record) -> None:
    for key in ("mac", "link_local", "ipv6", "ipv4", "hosts"):
        port.pop(key, None)


def no_hosts(where: Planting) -> Expected:
    take_host(where.port)
    where.port["hosts"] = []
    return (where.index, "hosts"), False, "has no host; list one, or remove the port"


def hosts_beside(where: Planting) -> Expected:
    take_host(where.port)
    where.port.update({"mac": mac(where.number), "hosts": [{"mac": mac(where.number + 512)}]})
    return (where.index, "mac"), True, "has 'mac' beside 'hosts'; move it into the host it belongs to"


def host_without_mac(where: Planting) -> Expected:
    take_host(where.port)
    where.port["hosts"] = [{"mac": mac(where.number)}, {"ipv4": []}]
    return (where.index, "hosts", 1), False, "missing key 'mac' in host 2 of port"


def host_is_text(where: Planting) -> Expected:
    expected = host_without_mac(where)
    where.port["hosts"][1] = "x"
    return expected[0], False, "must be a mapping, found 'x'"


NAMED = "must be 1 to 63 letters, digits"
DEVICE = "must be an interface name, 1 to 15 bytes"
LLADDR = "'mac' must be a MAC like 52:54:00:0a:00:0b, found"
NUMBER = "must be a whole number from"
UNICAST = "only unicast can be routed to a host"
MANY = [f"65010:{number}" for number in range(101)]
FAULTS: dict[str, Plant] = {
    "port: text": replaced("x", "must be a mapping, found 'x'"),
    "port: list": replaced([], "must be a mapping, found a list"),
    "port: nothing": replaced(None, "must be a mapping, found nothing"),
    "port: unknown key": of_port("colour", "red", "unknown key 'colour' in port", of_key=True),
    "port: misspelt key": of_port("vlna", "7", "unknown key 'vlna' in port", of_key=True),
    "port: key without value": of_port("router", None, "key 'router' has no value; give it one, or remove the key", of_key=True),
    "port: no name": without("name", words="missing key 'name' in port"),
    "port: required key without value": of_port("name", None, "key 'name' has no value; give it one", of_key=True),
    "port: no host": without("mac", "hosts", words="has no host; add 'mac' or 'hosts'"),
    "port: no hosts": no_hosts,
    "port: hosts beside": hosts_beside,
    "host: no mac": host_without_mac,
    "host: text": host_is_text,
    "host: unknown key": of_host("ip", "192.0.2.1", "unknown key 'ip' in ", of_key=True),
    "host: key without value": of_host("link_local", None, "key 'link_local' has no value", of_key=True),
    "name": of_port("name", "a b", f"'name' {NAMED}"),
    "name: empty": of_port("name", "", f"'name' {NAMED}"),
    "router": of_port("router", "-", f"'router' {NAMED}"),
    "interface": attached(f"'interface' {DEVICE}", "interface", interface="a/b"),
    "trunk": attached(f"'trunk' {DEVICE}", "trunk", trunk="sixteen-bytes-xx", vlan="7"),
    "guard": of_port("guard", "..", f"'guard' {DEVICE}"),
    "vlan": attached(f"'vlan' {NUMBER} 1 to 4094", "vlan", trunk="eth7", vlan="4095"),
    "vlan: octal": attached(f"'vlan' {NUMBER} 1 to 4094", "vlan", trunk="eth7", vlan="011"),
    "trunk without vlan": attached("has 'trunk' without 'vlan'", "trunk", of_key=True, trunk="eth7"),
    "vlan without trunk": attached("has 'vlan' without 'trunk'", "vlan", of_key=True, interface="tap7", vlan="7"),
    "qinq without vlan": attached("has 'qinq' without an outer VLAN", "qinq", of_key=True, interface="tap7", qinq=True),
    "attached to nothing": attached("is attached to nothing"),
    "interface too long": attached("is longer than 15 bytes", "trunk", trunk="enp129s0f1np1", vlan="11"),
    "mac": of_host("mac", "52:54:00", f"{LLADDR} '52:54:00'"),
    "mac: list": of_host("mac", ["52:54:00:00:00:01"], f"{LLADDR} a list"),
    "mac: broadcast": of_host("mac", "ff:ff:ff:ff:ff:ff", "is the broadcast address"),
    "mac: multicast": of_host("mac", "33:33:00:00:00:01", "is a multicast address"),
    "mac: zero": of_host("mac", "00:00:00:00:00:00", "is all zero"),
    "link_local": of_host("link_local", "x", "'link_local' must be an IPv6 address, found 'x'"),
    "link_local: zone": of_host("link_local", "fe80::7%eth0", "'link_local' must be an IPv6 address"),
    "link_local: global": of_host("link_local", "2001:db8::1", "'link_local' must be a link-local address, in fe80::/10"),
    "link_local: multicast": of_host("link_local", "ff02::1", f"address ff02::1 is multicast; {UNICAST}"),
    "ipv6: text": of_host("ipv6", "2001:db8:d::/64", "'ipv6' must be a list, found '2001:db8:d::/64'; write [2001:db8:d::/64]"),
    "ipv6: mapping": of_host("ipv6", {"2001:db8:d::/64": "x"}, "'ipv6' must be a list, found a mapping"),
    "ipv6: no prefix": billed("ipv6", "x", "of 'ipv6' must be an IPv6 prefix like 2001:db8:11::/64, found 'x'"),
    "ipv6: no length": billed("ipv6", "2001:db8:d::", "prefix 2001:db8:d:: has no length; write 2001:db8:d::/128"),
    "ipv6: host bits": billed("ipv6", "2001:db8:d::1/64", "has host bits set; write 2001:db8:d::/64"),
    "ipv6: short": billed("ipv6", "2001:db8:8000::/33", "is shorter than /48"),
    "ipv6: multicast": billed("ipv6", "ff05::/64", f"prefix ff05::/64 is multicast; {UNICAST}"),
    "ipv6: unspecified": billed("ipv6", "::/128", f"prefix ::/128 is the unspecified address; {UNICAST}"),
    "ipv6: loopback": billed("ipv6", "::1/128", f"prefix ::1/128 is loopback; {UNICAST}"),
    "ipv6: mapped": billed("ipv6", "::ffff:1.2.3.4/128", f"is IPv4-mapped; {UNICAST}"),
    "ipv6: link-local": billed("ipv6", "fe80::/64", "prefix fe80::/64 is link-local; a link-local address belongs in link_local"),
    "ipv4: text": of_host("ipv4", "192.0.2.1", "'ipv4' must be a list, found '192.0.2.1'; write [192.0.2.1]"),
    "ipv4: no address": billed("ipv4", "192.0.2.011", "of 'ipv4' must be an IPv4 address, found '192.0.2.011'"),
    "ipv4: length": billed("ipv4", "203.0.113.9/32", "of 'ipv4' must be one IPv4 address, found '203.0.113.9/32'; write 203.0.113.9"),
    "ipv4: prefix": billed("ipv4", "203.0.113.0/24", "of 'ipv4' must be one IPv4 address, found '203.0.113.0/24'; list each address"),
    "ipv4: multicast": billed("ipv4", "224.0.0.1", f"address 224.0.0.1 is multicast; {UNICAST}"),
    "ipv4: loopback": billed("ipv4", "127.0.0.1", f"address 127.0.0.1 is loopback; {UNICAST}"),
    "ipv4: this network": billed("ipv4", "0.0.0.7", f"address 0.0.0.7 is of 'this network'; {UNICAST}"),
    "ipv4: broadcast": billed("ipv4", "255.255.255.255", f"address 255.255.255.255 is broadcast; {UNICAST}"),
    "ipv4: class E": billed("ipv4", "240.0.0.1", f"address 240.0.0.1 is reserved (class E); {UNICAST}"),
    "qinq": of_port("qinq", "yes", "'qinq' must be true or false, found 'yes'"),
    "source_guard": of_port("source_guard", "1", "'source_guard' must be true or false, found '1'"),
    "announce": of_port("announce", [], "'announce' must be true or false, found a list"),
    "mode": of_port("mode", "off", "'mode' must be one of "),
    "bgp": of_port("bgp", "x", "'bgp' must be a mapping, found 'x'"),
    "bgp: unknown key": bgp("metric", "7", "unknown key 'metric' in bgp of port", of_key=True),
    "bgp: med": bgp("med", "-1", f"'med' {NUMBER} 0 to 4294967295, found '-1'"),
    "bgp: local_preference": bgp("local_preference", "4294967296", f"'local_preference' {NUMBER} 0 to 4294967295"),
    "bgp: communities": bgp("communities", "65010:1", "'communities' must be a list"),
    "bgp: community": bgp("communities", ["1:2", "65010:65536"], "must be 2 numbers like 65010:100, each at most 65535", 1),
    "bgp: community twice": bgp("communities", ["1:2", "1:2"], "community 1:2 is listed twice; keep one"),
    "bgp: many communities": bgp("communities", MANY, "101 communities do not fit into one UPDATE"),
    "bgp: large community": bgp("large_communities", ["65010:1"], "must be 3 numbers like 65010:1:100, each at most 4294967295", 0),
    "bgp: large community twice": bgp("large_communities", ["1:2:3", "1:2:3"], "community 1:2:3 is listed twice; keep one"),
    "name twice": beside("port name 'NAME' is used twice, first at ", "name", theirs={"name": "NAME"}),
    "VLAN twice": beside(
        "port 'OTHER' is guarded on vlan 77 of eth7, and so is port 'NAME'",
        "vlan",
        ours={"trunk": "eth7", "vlan": "77", "interface": "v77"},
        theirs={"trunk": "eth7", "vlan": "77"},
    ),
    "guard twice": beside(
        "port 'OTHER' is guarded on g7, and so is port 'NAME'",
        "guard",
        ours={"interface": "br7", "guard": "g7"},
        theirs={"guard": "g7"},
    ),
    "interface twice": beside(
        "port 'OTHER' uses interface br8, and so does port 'NAME'",
        "interface",
        ours={"interface": "br8", "guard": "g8"},
        theirs={"interface": "br8", "guard": "g9"},
    ),
    "both twice": beside(
        "port 'OTHER' is guarded on tap9, and so is port 'NAME'",
        "interface",
        ours={"interface": "tap9"},
        theirs={"interface": "tap9"},
    ),
    "MAC twice": second_host("has MAC 52:54:00:", "mac", mac="mac"),
    "link-local twice": second_host("has link-local fe80::77 twice, first at ", "link_local", link_local="link_local"),
    "IPv4 twice": twice("ipv4", "is billed 203.0.113.250 twice, first at "),
    "IPv6 twice": twice("ipv6", "is billed 2001:db8:d::/64 twice, first at "),
    "IPv4 of another": beside(
        "port 'OTHER' claims 203.0.113.251, which port 'NAME' claims too",
        *("ipv4", 1),
        host={"ipv4": ["203.0.113.251"]},
        theirs={"ipv4": ["203.0.113.252", "203.0.113.251"]},
    ),
    "IPv6 of another": beside(
        "port 'OTHER' claims 2001:db8:c::/64, which overlaps 2001:db8:c::/64 of port 'NAME'",
        *("ipv6", 0),
        host={"ipv6": ["2001:db8:c::/64"]},
        theirs={"ipv6": ["2001:db8:c::/64"]},
    ),
    "IPv6 within another's": beside(
        "port 'OTHER' claims 2001:db8:b:0:7::/96, which overlaps 2001:db8:b::/64 of port 'NAME'",
        *("ipv6", 0),
        host={"ipv6": ["2001:db8:b::/64"]},
        theirs={"ipv6": ["2001:db8:b:0:7::/96"]},
    ),
    "IPv6 around another's": beside(
        "port 'OTHER' claims 2001:db8:a::/48, which overlaps 2001:db8:a:7::/64 of port 'NAME'",
        *("ipv6", 0),
        host={"ipv6": ["2001:db8:a:7::/64"]},
        theirs={"ipv6": ["2001:db8:a::/48"]},
    ),
    "gateway's link-local": of_host("link_local", "fe80::1", "claims fe80::1, which is a gateway address of the router; bill another"),
    "gateway's IPv4": billed("ipv4", "198.51.100.1", "claims 198.51.100.1, which is a gateway address of the router"),
    "gateway's IPv6": billed("ipv6", "2001:db8:f::1/128", "claims 2001:db8:f::1, which is a gateway address of the router"),
    "session's IPv6": billed(
        "ipv6", "2001:db8:e::/64", "claims 2001:db8:e::/64, and with it 2001:db8:e::7, which the router's BGP sessions"
    ),
    "session's IPv4": billed("ipv4", "198.51.100.7", "claims 198.51.100.7/32, and with it 198.51.100.7, which the router"),
}


@st.composite
def inventories(draw: st.DrawFn) -> list[Record]:
    """Good ones, of up to five ports; port i has 2001:db8:1000+i::/48 and 192.0.2.10i to 19i, to itself."""
    records: list[Record] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        place = draw(st.sampled_from(["interface", "guard", "vlan"]))
        record: Record = {"name": f"p{number}"}
        record |= {
            "interface": {"interface": f"tap{number}"},
            "guard": {"interface": f"br{100 + number}", "guard": f"tap{number}"},
            "vlan": {"trunk": "eth1", "vlan": str(number)},
        }[place]
        if draw(st.booleans()):
            record |= {"router": draw(st.sampled_from(["r1", "r2"]))}
        if draw(st.booleans()):
            record |= {"mode": "audit", "announce": False, "source_guard": True, "bgp": {"med": "7", "communities": ["1:2"]}}
        hosts = [_host(draw, number, index) for index in range(draw(st.integers(1, 3)))]
        record |= hosts[0] if len(hosts) == 1 and draw(st.booleans()) else {"hosts": hosts}
        records.append(record)
    return records


def _host(draw: st.DrawFn, number: int, index: int) -> Record:
    host: Record = {"mac": mac(10 * number + index)}
    if draw(st.booleans()):
        host["link_local"] = f"fe80::{10 * number + index:x}"
    if draw(st.booleans()):
        lengths = [64, *draw(st.sets(st.sampled_from([80, 96, 112, 128])))]  # nested in each other
        host["ipv6"] = [f"2001:db8:{1000 + number}:{index}::/{length}" for length in lengths]
    if draw(st.booleans()):
        host["ipv4"] = [f"192.0.2.{30 * number + 10 * index + address}" for address in range(draw(st.integers(0, 2)))]
    return host


def write(records: list[Record]) -> Written:
    written = Written(["ports:"])
    written.put(records, (), "  ")
    FILE.write_text("\n".join(written.lines) + "\n")
    return written


def check(records: list[Record], planted: list[Expected], written: Written) -> None:
    """Each planted fault is told once and at its place, and nothing else is."""
    with pytest.raises(BadInput) as caught:
        load_file(FILE, "r1", RESERVED)
    expected = {f"{FILE}:{(written.keys if of_key else written.values)[loc]}": words for loc, of_key, words in planted}
    assert len(expected) == len(planted), "no two at one place"
    told = [(problem.place, problem.what + "; " + problem.mend) for problem in caught.value.problems]
    assert sorted(place for place, _ in told) == sorted(expected), (told, planted)
    for place, words in told:
        assert expected[place] in words
    lines = caught.value.lines()
    assert all("\n" not in line for line in lines)
    assert [line.split(": ", 1)[0] for line in lines] == sorted(expected, key=lambda place: [int(part) for part in place.split(":")[1:]])


GENERATED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(suppress_health_check=GENERATED, max_examples=30)
@given(inventories())
def test_without_a_fault_they_are_good(records: list[Record]) -> None:
    write(records)
    ports = load_file(FILE, "r1", RESERVED)
    assert [port.name for port in ports] == [record["name"] for record in records if record.get("router") != "r2"]


@pytest.mark.parametrize("kind", FAULTS)
@settings(suppress_health_check=GENERATED, max_examples=3)
@given(records=inventories(), data=st.data())
def test_each_fault_gives_exactly_its_error(kind: str, records: list[Record], data: st.DataObject) -> None:
    where = Planting(records, data.draw(st.integers(0, len(records) - 1)), data.draw(st.integers(0, 2)))
    planted = FAULTS[kind](where)
    check(records, [planted], write(records))


@settings(suppress_health_check=GENERATED, max_examples=60)
@given(records=inventories(), kinds=st.permutations(list(FAULTS)), data=st.data())
def test_several_faults_are_all_told(records: list[Record], kinds: list[str], data: st.DataObject) -> None:
    """One in each port, or in some: nothing that is wrong hides what else is."""
    indices = data.draw(st.sets(st.integers(0, len(records) - 1), min_size=1))
    planted = [
        FAULTS[kind](Planting(records, index, data.draw(st.integers(0, 2)))) for index, kind in zip(sorted(indices), kinds, strict=False)
    ]
    check(records, planted, write(records))

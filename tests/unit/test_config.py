"""The configuration is read strictly, and every fault is told with its place and mend."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import pytest

from l3ctl.config import Config, load_config
from l3ctl.configuration import FileSource
from l3ctl.errors import BadInput
from l3ctl.model import Mode, Neighbour, PathAttributes, Settings, XdpMode
from l3ctl.peering import BgpSettings, Damping, NextHop, Peer
from l3ctl.site import load_site

SMALLEST = "router: r1\ninventory: {file: inventory.yaml}\n"
BGP = """bgp:
  router_id: 198.51.100.2
  local_as: 65010
  peers:
    - {address: 2001:db8:ffff::1, remote_as: 65000, local_address: 2001:db8:ffff::2}
"""
ROOT = Path(__file__).parents[2]

SOURCES = "file, command, http, postgresql, sqlite, netbox"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, path: str = "l3ctl.yaml") -> Config:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text)
    return load_config(Path(path))


def lines_of(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(text)
    return caught.value.lines()


def test_the_smallest_configuration_has_the_documented_defaults() -> None:
    config = read(SMALLEST).configuration()
    assert config.settings == Settings(
        gateway_ipv6=(IPv6Address("fe80::1"),),
        gateway_ipv4=(),
        mode=Mode.ENFORCE,
        source_guard=False,
        router_solicitations_pass=False,
        unknown_vlan_drop=False,
        answer_rate=100,
        answer_burst=200,
    )
    assert config.bgp is None
    assert config.xdp_mode is XdpMode.AUTO
    assert config.full_pass == 60
    assert [str(path) for path in (config.bpffs, config.agent_socket, config.bgp_socket, config.lock_file)] == [
        "/run/l3ctl/bpf",
        "/run/l3ctl/agent.sock",
        "/run/l3ctl/bgp.sock",
        "/run/l3ctl/agent.lock",
    ]


def test_every_setting_arrives() -> None:
    config = read(
        SMALLEST
        + "gateway: {ipv6: [fe80::2, 2001:DB8::1], ipv4: [198.51.100.1]}\n"
        + "guard: {mode: audit, source_guard: true, router_solicitations: pass, unknown_vlan: drop, xdp_mode: generic,"
        + " answer_rate: 1, answer_burst: 1000000}\n"
        + "run_dir: /run/other\nfull_pass: 5\n"
    )
    assert config.settings() == Settings(
        gateway_ipv6=(IPv6Address("fe80::2"), IPv6Address("2001:db8::1")),
        gateway_ipv4=(IPv4Address("198.51.100.1"),),
        mode=Mode.AUDIT,
        source_guard=True,
        router_solicitations_pass=True,
        unknown_vlan_drop=True,
        answer_rate=1,
        answer_burst=1_000_000,
    )
    config = config.configuration()
    assert config.gateways == (IPv6Address("fe80::2"), IPv6Address("2001:db8::1"), IPv4Address("198.51.100.1"))
    assert (config.xdp_mode, config.full_pass, str(config.bpffs)) == (XdpMode.GENERIC, 5, "/run/other/bpf")


@pytest.mark.parametrize(
    ("config", "inventory", "found"),
    [
        ("l3ctl.yaml", "inventory.yaml", "inventory.yaml"),
        ("etc/l3ctl.yaml", "inventory.yaml", "etc/inventory.yaml"),
        ("etc/l3ctl.yaml", "../inventory.yaml", "etc/../inventory.yaml"),
        ("etc/l3ctl.yaml", "/srv/inventory.yaml", "/srv/inventory.yaml"),
    ],
)
def test_the_inventory_is_found_from_the_configuration(config: str, inventory: str, found: str) -> None:
    assert str(read(f"router: r1\ninventory: {{file: {inventory}}}\n", config).configuration().inventory.source) == found


def test_peers_and_their_next_hops() -> None:
    config = read(
        SMALLEST
        + BGP
        + "    - {address: 203.0.113.1, remote_as: 4294967295, local_address: 203.0.113.2, next_hop: 2001:db8:ffff::2}\n"
        + "    - {address: fe80::b1, remote_as: 1, local_address: fe80::a1, interface: uplink1, next_hop: fe80::a1}\n"
        + "  med: 7\n  hold_time: 9\n  restart_time: 300\n"
    )
    assert config.bgp.settings() == BgpSettings(
        router_id=IPv4Address("198.51.100.2"),
        local_as=65010,
        peers=tuple(
            Peer(ip_address(address), remote_as, ip_address(local), ip_address(next_hop), interface)
            for address, remote_as, local, next_hop, interface in [
                ("2001:db8:ffff::1", 65000, "2001:db8:ffff::2", "2001:db8:ffff::2", None),
                ("203.0.113.1", 4294967295, "203.0.113.2", "2001:db8:ffff::2", None),
                ("fe80::b1", 1, "fe80::a1", "fe80::a1", "uplink1"),
            ]
        ),
        med=7,
        hold_time=9,
        restart_time=300,
        damping=Damping(flaps=10, within=60, hold=10, max_hold=600),
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("router: r1\n", ["l3ctl.yaml:1:1: missing key 'inventory'; add it"]),
        ("- router\n", ["l3ctl.yaml:1:1: the file must be a mapping, found a list"]),
        ("router: r1\ninventory: inventory.yaml\n", ["l3ctl.yaml:2:12: 'inventory' must be a mapping, found 'inventory.yaml'"]),
        (
            "router: r1\ninventory: {}\n",
            [f"l3ctl.yaml:2:12: 'inventory' names no source; add one of {SOURCES}"],
        ),
        (
            "router:\ninventory: {file: x}\nbgp:\n",
            [
                "l3ctl.yaml:1:1: key 'router' has no value; give it one",
                "l3ctl.yaml:3:1: key 'bgp' has no value; give it one, or remove the key",
            ],
        ),
        (
            "router: true\ninventory: {file: x}\n",
            ["l3ctl.yaml:1:9: 'router' must be 1 to 63 letters, digits, or any of . _ : -, and begin with a letter or digit, found true"],
        ),
        (SMALLEST + "gaurd: {}\n", ["l3ctl.yaml:3:1: unknown key 'gaurd'; did you mean 'guard'?"]),
        (SMALLEST + "guard: {mod: audit}\n", ["l3ctl.yaml:3:9: unknown key 'mod' in guard; did you mean 'mode'?"]),
        (
            SMALLEST + "gateway: {mac: x}\n",
            ["l3ctl.yaml:3:11: unknown key 'mac' in gateway; known keys: ipv6, ipv4, proxy_arp"],
        ),
        (SMALLEST + "guard: {mode: AUDIT}\n", ["l3ctl.yaml:3:15: 'mode' must be one of enforce, audit, found 'AUDIT'"]),
        (SMALLEST + "guard: {xdp_mode: [auto]}\n", ["l3ctl.yaml:3:19: 'xdp_mode' must be one of auto, native, generic, found a list"]),
        (
            SMALLEST + "guard:\n  source_guard: yes\n  unknown_vlan: true\n  answer_rate: 0\n  answer_burst: 1e3\n",
            [
                "l3ctl.yaml:4:17: 'source_guard' must be true or false, found 'yes'",
                "l3ctl.yaml:5:17: 'unknown_vlan' must be one of pass, drop, found true",
                "l3ctl.yaml:6:16: 'answer_rate' must be a whole number from 1 to 1000000, found '0'",
                "l3ctl.yaml:7:17: 'answer_burst' must be a whole number from 1 to 1000000, found '1e3'",
            ],
        ),
        (SMALLEST + "guard: {source_guard: 'true'}\n", ["l3ctl.yaml:3:23: 'source_guard' must be true or false, found 'true'"]),
        (SMALLEST + "full_pass: 010\n", ["l3ctl.yaml:3:12: 'full_pass' must be a whole number from 1 to 86400, found '010'"]),
        (SMALLEST + "full_pass: -1\n", ["l3ctl.yaml:3:12: 'full_pass' must be a whole number from 1 to 86400, found '-1'"]),
        (SMALLEST + "full_pass: ٣\n", ["l3ctl.yaml:3:12: 'full_pass' must be a whole number from 1 to 86400, found '٣'"]),
        (SMALLEST + "gateway: {ipv6: []}\n", ["l3ctl.yaml:3:10: no gateway address at all; leave out 'ipv6' for fe80::1, or list one"]),
        (
            SMALLEST + "gateway: {ipv6: fe80::1, ipv4: [198.51.100.1, 198.51.100.1/24]}\n",
            [
                "l3ctl.yaml:3:17: 'ipv6' must be a list, found 'fe80::1'; write [fe80::1]",
                "l3ctl.yaml:3:47: item 2 of 'ipv4' must be one IPv4 address, found '198.51.100.1/24'; list each address",
            ],
        ),
        (
            SMALLEST + "gateway: {ipv6: [ff02::1, '::', fe80::1%eth0, 198.51.100.1], ipv4: [224.0.0.1]}\n",
            [
                "l3ctl.yaml:3:18: address ff02::1 is multicast; only unicast can be routed to a host",
                "l3ctl.yaml:3:27: address :: is the unspecified address; only unicast can be routed to a host",
                "l3ctl.yaml:3:33: item 3 of 'ipv6' must be an IPv6 address, found 'fe80::1%eth0'",
                "l3ctl.yaml:3:47: item 4 of 'ipv6' must be an IPv6 address, found '198.51.100.1'",
                "l3ctl.yaml:3:69: address 224.0.0.1 is multicast; only unicast can be routed to a host",
            ],
        ),
        (SMALLEST + "gateway: {ipv6: [fe80::1, fe80:0::1]}\n", ["l3ctl.yaml:3:27: gateway address fe80::1 is listed twice; keep one"]),
        (SMALLEST + "run_dir: run\n", ["l3ctl.yaml:3:10: 'run_dir' must be an absolute path of a folder, found 'run'"]),
        (SMALLEST + "run_dir: //\n", ["l3ctl.yaml:3:10: 'run_dir' must be an absolute path of a folder, found '//'"]),
        (SMALLEST + 'run_dir: "/run/\\0"\n', ["l3ctl.yaml:3:10: 'run_dir' must be an absolute path of a folder, found '/run/\\x00'"]),
        (
            "router: r1\ninventory: {file: ''}\n",
            ["l3ctl.yaml:2:19: 'file' must be the path of a file, found ''"],
        ),
    ],
)
def test_faults_are_told_with_place_and_mend(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_a_socket_in_run_dir_fits_into_its_address() -> None:
    longest = "/" + "x" * (107 - len("//agent.sock"))
    assert len(str(read(SMALLEST + f"run_dir: {longest}\n").configuration().agent_socket)) == 107
    (line,) = lines_of(SMALLEST + f"run_dir: {longest}x\n")
    assert line.startswith("l3ctl.yaml:3:10: 'run_dir' must leave room for a socket's name in 107 bytes, found '/xxx")


PEER = SMALLEST + "bgp:\n  router_id: 198.51.100.2\n  local_as: 65010\n  peers:\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            SMALLEST + "bgp: {peers: []}\n",
            ["l3ctl.yaml:3:6: missing key 'local_as' in bgp; add it", "l3ctl.yaml:3:6: missing key 'router_id' in bgp; add it"],
        ),
        (PEER.removesuffix("\n") + " []\n", ["l3ctl.yaml:6:10: no peers to announce to; list one, or remove 'bgp'"]),
        (
            SMALLEST + BGP.replace("198.51.100.2", "0.0.0.0").replace("65010", "4294967296"),
            [
                "l3ctl.yaml:4:14: 'router_id' must be a router id, written as an IPv4 address other than 0.0.0.0, found '0.0.0.0'",
                "l3ctl.yaml:5:13: 'local_as' must be a whole number from 1 to 4294967295, found '4294967296'",
            ],
        ),
        (
            SMALLEST + BGP + "  hold_time: 2\n  restart_time: 4096\n  med: x\n",
            [
                "l3ctl.yaml:8:14: 'hold_time' must be a whole number from 3 to 65535, found '2'",
                "l3ctl.yaml:9:17: 'restart_time' must be a whole number from 1 to 4095, found '4096'",
                "l3ctl.yaml:10:8: 'med' must be a whole number from 0 to 4294967295, found 'x'",
            ],
        ),
        (
            PEER + "    - {address: nowhere, remote_as: 1, local_adress: 2001:db8::2}\n",
            [
                "l3ctl.yaml:7:7: missing key 'local_address' in peer 1 of bgp; add it",
                "l3ctl.yaml:7:17: 'address' must be an IP address, found 'nowhere'",
                "l3ctl.yaml:7:40: unknown key 'local_adress' in peer 1 of bgp; did you mean 'local_address'?",
            ],
        ),
        (
            SMALLEST + BGP + "    - {address: 2001:db8:ffff:0::1, remote_as: 1, local_address: 2001:db8::2}\n",
            ["l3ctl.yaml:8:17: peer 2001:db8:ffff::1 is listed twice; keep one"],
        ),
        (
            PEER + "    - {address: 2001:db8::1, remote_as: 1, local_address: 203.0.113.2, next_hop: 2001:db8::2}\n",
            ["l3ctl.yaml:7:59: local_address 203.0.113.2 and address 2001:db8::1 are of two families; a session runs over one"],
        ),
        (
            PEER + "    - {address: 2001:db8::1, remote_as: 1, local_address: 2001:db8::1}\n",
            ["l3ctl.yaml:7:59: local_address is the peer's own address 2001:db8::1; write this router's"],
        ),
        (
            PEER + "    - {address: 203.0.113.1, remote_as: 1, local_address: 203.0.113.2}\n",
            [
                (
                    "l3ctl.yaml:7:7: missing key 'next_hop': local_address 203.0.113.2 is not an IPv6 address and cannot stand in; "
                    "add this router's IPv6 address on that link, or link-local"
                ),
            ],
        ),
        (
            PEER + "    - {address: 203.0.113.1, remote_as: 1, local_address: 203.0.113.2, next_hop: 203.0.113.2}\n",
            ["l3ctl.yaml:7:82: 'next_hop' must be one of self, link-local, host, or an IPv6 address, found '203.0.113.2'"],
        ),
        (
            PEER + "    - {address: 203.0.113.1, remote_as: 1, local_address: 203.0.113.2, next_hop: fe80::1}\n",
            [
                (
                    "l3ctl.yaml:7:82: next_hop fe80::1 is link-local, and the session with 203.0.113.1 is not; "
                    "write link-local, and it is looked up, or a global IPv6 address"
                ),
            ],
        ),
        (
            PEER + "    - {address: fe80::b, remote_as: 1, local_address: fe80::a}\n",
            ["l3ctl.yaml:7:7: the session with fe80::b is link-local and names no interface; add 'interface'"],
        ),
        (
            PEER + "    - {address: 203.0.113.1, remote_as: 1, local_address: 203.0.113.2, next_hop: host}\n",
            [
                (
                    "l3ctl.yaml:7:82: next_hop host: local_address 203.0.113.2 cannot stand in where a prefix is of no host; "
                    "run the session over IPv6"
                ),
            ],
        ),
        (
            SMALLEST
            + BGP.replace(
                "  peers:", "  damping: {hold: 10, max_hold: 9}\n  communities: ['65010', '65010:65536']\n  user: Root\n  peers:"
            ),
            [
                "l3ctl.yaml:6:33: max_hold 9 is less than hold 10; write the longest time",
                "l3ctl.yaml:7:17: item 1 of 'communities' must be 2 numbers like 65010:100, each at most 65535, found '65010'",
                "l3ctl.yaml:7:26: item 2 of 'communities' must be 2 numbers like 65010:100, each at most 65535, found '65010:65536'",
                "l3ctl.yaml:8:9: 'user' must be the name of a user, as in /etc/passwd, found 'Root'",
            ],
        ),
        (
            PEER + "    - {address: fe80::b, remote_as: 1, local_address: 2001:db8::2, interface: eth0}\n",
            ["l3ctl.yaml:7:55: only one of local_address 2001:db8::2 and address fe80::b is link-local; both are, or neither"],
        ),
        (
            PEER + "    - {address: 2001:db8::1, remote_as: 1, local_address: 2001:db8::2, interface: eth0}\n",
            ["l3ctl.yaml:7:72: key 'interface' is for link-local sessions, and 2001:db8::1 is not one; remove it"],
        ),
    ],
)
def test_faults_of_bgp(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_the_example_loads() -> None:
    config = load_config(ROOT / "configs/l3ctl.yaml")
    bgp = config.bgp.settings()
    assert bgp is not None
    assert len(bgp.peers) == 3
    assert config.configuration().inventory.source == FileSource(ROOT / "configs/inventory.yaml")


def test_the_examples_are_the_two_ends_of_one_session() -> None:
    bgp = load_config(ROOT / "configs" / "l3ctl.yaml").bgp.settings()
    assert bgp is not None
    here, there = bgp.peers[0], (ROOT / "configs" / "bird.conf").read_text()
    assert f"local {here.address} as {here.remote_as};" in there
    assert f"neighbor {here.local_address} as {bgp.local_as};" in there


def test_a_peer_is_heard_where_that_is_asked_for() -> None:
    bgp = read(SMALLEST + BGP + '    - {address: "2001:db8::1", remote_as: 1, local_address: "2001:db8::2", hear: true}\n').bgp.settings()
    assert bgp is not None
    assert [peer.hear for peer in bgp.peers] == [False, True]


def test_the_defaults_the_example_names_are_the_defaults() -> None:
    example = load_config(ROOT / "configs/l3ctl.yaml")
    smallest = read(SMALLEST)
    assert (example.guard, example.run_dir, example.full_pass) == (smallest.guard, smallest.run_dir, smallest.full_pass)
    assert example.gateway.ipv6 == smallest.gateway.ipv6
    bgp, defaults = example.bgp.settings(), read(SMALLEST + BGP).bgp.settings()
    assert bgp is not None
    assert defaults is not None
    assert (bgp.med, bgp.hold_time, bgp.restart_time) == (defaults.med, defaults.hold_time, defaults.restart_time)


def test_communities_that_would_not_fit_or_stand_twice_are_refused() -> None:
    many = ", ".join(f"'65010:{number}'" for number in range(101))
    twice = "communities: ['65010:1', '65010:1']\n"
    assert lines_of(SMALLEST + BGP + f"  communities: [{many}]\n") == [
        "l3ctl.yaml:8:16: 101 communities do not fit into one UPDATE; list 100 at most"
    ]
    assert lines_of(SMALLEST + BGP + f"  {twice}  large_{twice}".replace("  large_communities: ['65010:1', '65010:1']", "")) == [
        "l3ctl.yaml:8:16: community 65010:1 is listed twice; keep one"
    ]


def test_next_hops_attributes_and_what_guards_a_session_arrive(tmp_path: Path) -> None:
    config = read(
        SMALLEST
        + BGP
        + "    - {address: 2001:db8:fffe::1, remote_as: 1, local_address: 2001:db8:fffe::2, next_hop: self, ttl_security: true}\n"
        + "    - {address: 2001:db8:fffd::1, remote_as: 1, local_address: 2001:db8:fffd::2, next_hop: host, password_file: secret}\n"
        + "    - {address: 2001:db8:fffc::1, remote_as: 1, local_address: 2001:db8:fffc::2, next_hop: link-local}\n"
        + "    - {address: fe80::b1, remote_as: 1, local_address: fe80::a1, interface: uplink1, next_hop: link-local}\n"
        + "    - {address: fe80::b2, remote_as: 1, local_address: fe80::a1, interface: uplink1}\n"
        + "  local_preference: 200\n  communities: ['65010:1', '65535:65281']\n  large_communities: ['65010:1:4294967295']\n"
        + "  covers: ['2001:db8:10::/44']\n  damping: off\n  user: exabgp\n"
    )
    bgp = config.bgp.settings()
    assert [peer.next_hop for peer in bgp.peers[1:]] == [
        IPv6Address("2001:db8:fffe::2"), NextHop.HOST, NextHop.LINK_LOCAL, IPv6Address("fe80::a1"), IPv6Address("fe80::a1"),
    ]  # fmt: skip
    assert [peer.ttl_security for peer in bgp.peers] == [False, True, False, False, False, False]
    assert bgp.peers[2].password_file is not None
    assert bgp.peers[2].password_file.name == "secret"
    assert bgp.attributes == PathAttributes(0, 200, ((65010, 1), (65535, 65281)), ((65010, 1, 4294967295),))
    assert (bgp.damping, bgp.user) == (None, "exabgp")
    settings = config.configuration().settings
    assert settings.covers == settings.blackholes == (IPv6Network("2001:db8:10::/44"),)


def test_uplinks_and_blackholes_arrive() -> None:
    text = SMALLEST + (
        'uplinks: [{interface: up0, address: "fe80::b1", mac: 0200.0000.00b1},'
        " {interface: up0, address: 198.51.100.1, mac: 0200.0000.00b1}]\n"
        'blackhole: ["2001:db8::/32", 203.0.113.0/24]\n'
    )
    settings = read(text).configuration().settings
    lladdr = "02:00:00:00:00:b1"
    assert settings.uplinks == (Neighbour("up0", IPv6Address("fe80::b1"), lladdr), Neighbour("up0", IPv4Address("198.51.100.1"), lladdr))
    assert settings.blackholes == (IPv6Network("2001:db8::/32"), IPv4Network("203.0.113.0/24"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("blackhole: [2001:db8::1/32]\n", "prefix 2001:db8::1/32 has host bits set; write 2001:db8::/32"),
        ("blackhole: [0.0.0.0/0]\n", "must be a prefix like 2001:db8::/32 or 203.0.113.0/24, found '0.0.0.0/0'"),
        ("blackhole: [203.0.113.0/24, 203.0.113.0/24]\n", "prefix 203.0.113.0/24 is listed twice; keep one"),
        ("uplinks: [{interface: up0, address: 'fe80::b1'}]\n", "missing key 'mac'"),
        ("uplinks: [{interface: up0, address: 'ff02::1', mac: 0200.0000.00b1}]\n", "address ff02::1 is multicast"),
        (
            "uplinks: [{interface: u, address: 'fe80::b', mac: 0200.0000.00b1}, {interface: u, address: 'fe80::b', mac: 0200.0000.00b2}]\n",
            "fe80::b on u is listed twice; keep one",
        ),
    ],
)
def test_faults_of_uplinks_and_blackholes(text: str, said: str) -> None:
    (line,) = lines_of(SMALLEST + text)
    assert said in line
    assert line.startswith("l3ctl.yaml:3:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "blackhole: [2001:db8:11::/80]\n",
            "1:67: port 'web1' claims 2001:db8:11::/64, and 2001:db8:11::/80 within it is a blackhole or a cover of the router",
        ),
        ("blackhole: [2001:db8:11::/64]\n", "1:67: port 'web1' claims 2001:db8:11::/64, and 2001:db8:11::/64 within it is a blackhole"),
        ("uplinks: [{interface: tap1, address: 'fe80::b1', mac: 0200.0000.00b1}]\n", "1:33: port 'web1' is on tap1, which is an uplink"),
    ],
)
def test_what_the_two_files_must_not_say_together(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "l3ctl.yaml").write_text("router: r1\ninventory: {file: inventory.yaml}\n" + text)
    record = '{name: web1, interface: tap1, mac: 5254.000a.000b, ipv6: ["2001:db8:11::/64"]}'
    (tmp_path / "inventory.yaml").write_text(f"ports: [{record}]\n")
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        load_site(tmp_path / "l3ctl.yaml")
    assert len(caught.value.lines()) == 1

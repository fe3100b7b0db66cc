"""What is in a real NetBox, as ports."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

import pytest

from l3ctl.errors import BadInput
from l3ctl.inventory.sources import netbox as source
from l3ctl.model import Mode
from tests.netbox.books import Books

MAC = "52:54:00:0a:00:0b"


def only(books: Books, **settings: Any) -> dict[str, Any]:
    """The one record there is."""
    (record,) = books.reader(**settings).read().records
    assert isinstance(record.value, dict)
    return record.value


def refusals(books: Books, **settings: Any) -> list[str]:
    with pytest.raises(BadInput) as refused:
        books.ports(**settings)
    return refused.value.lines()


def test_an_interface_with_vlan_mac_addresses_and_prefix_is_a_port(books: Books) -> None:
    vlan = books.vlan(11)
    interface = books.interface(books.device(books.named("web1")), "eth0", vlan, MAC)
    books.address(interface, f"{books.ipv4(11)}/24")
    books.address(interface, books.ipv6("1::2/64"))
    books.prefix(books.ipv6("11::/64"), vlan)

    (record,) = books.reader().read().records
    name = books.named("web1-eth0")
    assert record.value == {
        "name": name,
        "trunk": "eth1",
        "vlan": "11",
        "mac": "52:54:00:0A:00:0B",
        "ipv4": [books.ipv4(11)],
        "ipv6": [books.ipv6("11::/64"), books.ipv6("1::2/128")],
    }
    assert record.place(("ipv6", 0)) == f"netbox: dcim.interface {interface.id} ({name}): ipv6[0]"

    (port,) = books.ports()
    (host,) = port.hosts
    assert (port.name, port.interface, port.guard, port.vlan_id) == (name, "eth1.11", "eth1", 11)
    assert (host.lladdr, host.ipv4) == (MAC, (IPv4Address(books.ipv4(11)),))
    assert set(host.ipv6) == {IPv6Network(books.ipv6("11::/64")), IPv6Network(books.ipv6("1::2/128"))}


def test_a_virtual_machine_on_a_tap_is_a_port_of_the_router_that_its_fields_name(books: Books) -> None:
    router = books.device(books.named("r1"))
    fields = {
        "l3ctl_name": "customer7",
        "l3ctl_router": router.id,
        "l3ctl_interface": "tap-web1",
        "l3ctl_source_guard": True,
        "l3ctl_mode": "audit",
        "l3ctl_bgp": {"med": 100},
    }
    interface = books.interface(books.machine(books.named("vm")), "eth0", books.vlan(12), MAC, custom_fields=fields)
    books.prefix(books.ipv6("7::/64"), l3ctl_port="customer7")

    (port,) = books.ports(books.named("r1"))
    assert (port.name, port.interface, port.guard, port.vlan_id) == ("customer7", "tap-web1", "tap-web1", None)
    assert (port.source_guard, port.mode, port.attributes.med) == (True, Mode.AUDIT, 100)
    assert port.hosts[0].ipv6 == (IPv6Network(books.ipv6("7::/64")),)
    assert books.ports("another") == ()
    (record,) = books.reader().read().records
    assert record.place() == f"netbox: virtualization.vminterface {interface.id} (customer7)"


def test_what_is_not_tagged_is_nothing_of_ours(books: Books) -> None:
    vlan = books.vlan(13)
    device = books.device(books.named("d"))
    books.interface(device, "eth1", vlan, tags=[])
    books.interface(device, "eth0", vlan, MAC)
    books.prefix(books.ipv6("d::/64"), vlan, tagged=False)
    books.prefix(f"{books.ipv4(0)}/24", vlan)
    assert only(books) == {"name": books.named("d-eth0"), "trunk": "eth1", "vlan": "13", "mac": MAC.upper()}


@pytest.mark.parametrize(
    ("device", "interface", "name"),
    [
        ("sw", "GigabitEthernet1/0/1", "sw-GigabitEthernet1-0-1"),
        ("web 1 (old)", "ens3.11", "web-1-old-ens3.11"),
        ("æ", "eth0", "eth0"),
        ("x" * 60, "eth0", "x" * 60 + "-et"),
        ("東京", "東京", ""),
    ],
)
def test_a_name_has_only_the_characters_that_a_name_may_have(books: Books, device: str, interface: str, name: str) -> None:
    made = books.interface(books.device(device), interface, books.vlan(14), MAC)
    assert only(books)["name"] == (name or f"interface{made.id}")
    assert len(books.ports()) == 1


def test_the_primary_mac_address_counts_or_the_only_one(books: Books) -> None:
    device = books.device(books.named("d"))
    numbers = {"none": 0, "one": 1, "two": 2}
    for vid, (name, many) in enumerate(numbers.items(), 20):
        made = books.interface(device, name, books.vlan(vid))
        for number in range(many):
            books.mac(made, f"52:54:00:00:{vid}:0{number}")
    both = books.interface(device, "primary", books.vlan(23), "52:54:00:00:23:00")
    books.mac(both, "52:54:00:00:23:01")
    found = {str(record.value["name"]).rpartition("-")[2]: record.value.get("mac") for record in books.reader().read().records}  # type: ignore
    assert found == {"none": None, "one": "52:54:00:00:21:00", "two": None, "primary": "52:54:00:00:23:00"}
    assert [line.partition(": port")[2] for line in refusals(books)] == [
        f" '{books.named('d-none')}' has no host; add 'mac' or 'hosts'",
        f" '{books.named('d-two')}' has no host; add 'mac' or 'hosts'",
    ]


def test_an_address_is_a_host_whatever_mask_it_is_written_with(books: Books) -> None:
    vlan = books.vlan(15)
    interface = books.interface(books.device(books.named("d")), "eth0", vlan, MAC)
    for address in (
        f"fe80::{books.number:x}/64",
        books.ipv6("a::2/64"),
        books.ipv6("b::2/128"),
        books.ipv6("c::2/48"),
        f"{books.ipv4(9)}/32",
    ):
        books.address(interface, address)
    books.prefix(books.ipv6("b::/64"), vlan)
    record = only(books)
    assert record["link_local"] == f"fe80::{books.number:x}"
    assert record["ipv6"] == [books.ipv6("b::/64"), books.ipv6("a::2/128"), books.ipv6("c::2/128")], "b::2 is billed with b::/64"
    assert books.ports()[0].hosts[0].link_local == IPv6Address(f"fe80::{books.number:x}")


@pytest.mark.parametrize(
    ("trunk", "has_vlan", "fields", "attached", "said"),
    [
        ("eth1", True, {}, {"trunk": "eth1", "vlan": "16"}, ""),
        ("eth1", True, {"l3ctl_trunk": "bond0"}, {"trunk": "bond0", "vlan": "16"}, ""),
        ("eth1", True, {"l3ctl_interface": "tap1"}, {"interface": "tap1"}, ""),
        (None, True, {"l3ctl_interface": "v16", "l3ctl_trunk": "eth9"}, {"interface": "v16", "trunk": "eth9", "vlan": "16"}, ""),
        (None, False, {"l3ctl_interface": "tap1"}, {"interface": "tap1"}, ""),
        (None, True, {}, {"vlan": "16"}, "has 'vlan' without 'trunk'; add 'trunk', or remove 'vlan'"),
        ("eth1", False, {}, {"trunk": "eth1"}, "has 'trunk' without 'vlan'; add 'vlan'"),
        (None, False, {}, {}, "is attached to nothing; add 'interface', or 'trunk' and 'vlan'"),
        ("eth1", True, {"l3ctl_interface": "no/netdev"}, {"interface": "no/netdev"}, "must be an interface name, 1 to 15 bytes"),
    ],
)
def test_where_a_port_is_attached(
    books: Books, trunk: str | None, has_vlan: bool, fields: dict[str, str], attached: dict[str, str], said: str
) -> None:
    interface = books.interface(books.device(books.named("d")), "eth0", books.vlan(16) if has_vlan else None, MAC, custom_fields=fields)
    record = only(books, trunk=trunk)
    assert {key: record[key] for key in ("interface", "trunk", "vlan") if key in record} == attached
    if said:
        (line,) = refusals(books, trunk=trunk)
        assert line.startswith(f"netbox: dcim.interface {interface.id} ({books.named('d-eth0')}): ")
        assert said in line
    else:
        assert len(books.ports(trunk=trunk)) == 1


def test_a_prefix_that_belongs_nowhere_is_told_and_one_whose_vlan_has_no_port_waits(books: Books) -> None:
    books.interface(books.device(books.named("d")), "eth0", books.vlan(17), MAC)
    books.prefix(books.ipv6("1::/64"), books.vlan(18))
    nowhere = books.prefix(books.ipv6("2::/64"))
    nobody = books.prefix(books.ipv6("3::/64"), l3ctl_port="web9")
    attached_to_nothing = "is attached to nothing; add 'interface', or 'trunk' and 'vlan'"
    assert sorted(line for line in refusals(books) if "attached" in line) == [
        f"netbox: ipam.prefix {nowhere.id} ({nowhere.prefix}): port 'prefix{nowhere.id}' {attached_to_nothing}",
        f"netbox: ipam.prefix {nobody.id} ({nobody.prefix}): port 'web9' {attached_to_nothing}",
    ]


def test_two_ports_that_claim_one_thing_are_told_with_both_objects(books: Books) -> None:
    vlan, device = books.vlan(19), books.device(books.named("d"))
    first, second = (books.interface(device, name, vlan, mac) for name, mac in (("a", MAC), ("b", "52:54:00:0a:00:0c")))
    books.prefix(books.ipv6("1::/64"), vlan)
    said = "\n".join(refusals(books))
    assert (
        f"netbox: dcim.interface {second.id} ({books.named('d-b')}): ipv6[0]: port '{books.named('d-b')}' claims {books.ipv6('1::/64')}"
        in said
    )
    assert f"(netbox: dcim.interface {first.id} ({books.named('d-a')}): ipv6[0])" in said
    assert "is guarded on vlan 19 of eth1, and so is port" in said


@pytest.fixture
def small_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAGE", 3)
    monkeypatch.setattr(source, "_LONGEST_QUERY", 60)


def test_what_takes_many_questions_is_whole(books: Books, small_questions: None) -> None:
    device = books.device(books.named("d"))
    for number in range(10):
        made = books.interface(device, f"eth{number}", books.vlan(100 + number), f"52:54:00:00:00:{number:02}")
        for host in range(2):
            books.address(made, f"{books.ipv4(10 * number + host + 1)}/24")
    found = books.reader().read().records
    assert [record.value["vlan"] for record in found] == [str(100 + number) for number in range(10)]  # type: ignore
    assert [record.value["ipv4"] for record in found] == [[books.ipv4(10 * n + 1), books.ipv4(10 * n + 2)] for n in range(10)]  # type: ignore

"""What changes in a real NetBox is in the next reading, and what does not costs little."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from l3ctl.inventory.sources import netbox as source
from l3ctl.inventory.sources.netbox import Reader
from l3ctl.inventory.sources.web_session import WebSession
from tests.netbox.books import Books
from tests.netbox.server import NetBox

KINDS = 8
"""that a reading asks about first"""


class Street:
    """Two ports, and what belongs to them."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.device = books.device(books.named("d"))
        self.vlans = [books.vlan(31), books.vlan(32)]
        self.interfaces = [books.interface(self.device, f"e{n}", self.vlans[n], f"52:54:00:00:31:0{n}") for n in (0, 1)]
        self.address = books.address(self.interfaces[0], f"{books.ipv4(10)}/24")
        self.prefix = books.prefix(books.ipv6("1::/64"), self.vlans[0])

    def record(self, number: int, **changed: Any) -> dict[str, Any]:
        """As it was at first, but for what changed; None is what went."""
        record = {
            "name": self.books.named(f"d-e{number}"),
            "trunk": "eth1",
            "vlan": str(31 + number),
            "mac": f"52:54:00:00:31:0{number}",
            **({} if number else {"ipv4": [self.books.ipv4(10)], "ipv6": [self.books.ipv6("1::/64")]}),
            **changed,
        }
        return {key: value for key, value in record.items() if value is not None}


@pytest.fixture
def street(books: Books) -> Street:
    return Street(books)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that is sent."""
    questions: list[str] = []
    send = WebSession.send

    def noted(self: WebSession, request: requests.PreparedRequest, **words: Any) -> requests.Response:
        questions.append(str(request.path_url))
        return send(self, request, **words)

    monkeypatch.setattr(WebSession, "send", noted)
    return questions


def values(reader: Reader) -> list[Any]:
    return [record.value for record in reader.read().records]


def test_every_change_is_in_the_next_reading(street: Street) -> None:
    """Each step: what happens, and what it changes in which of the two records; None is what goes."""
    books, (first, second), (vlan, other) = street.books, street.interfaces, street.vlans
    api = books.api
    steps: list[tuple[str, Callable[[], Any], dict[int, dict[str, Any] | None]]] = [
        ("nothing yet", lambda: None, {}),
        ("an address is written", lambda: books.address(second, f"{books.ipv4(11)}/24"), {1: {"ipv4": [books.ipv4(11)]}}),
        ("an address is another", lambda: street.address.update({"address": f"{books.ipv4(12)}/24"}), {0: {"ipv4": [books.ipv4(12)]}}),
        (
            "an address moves to another port",
            lambda: street.address.update({"assigned_object_id": second.id}),
            {0: {"ipv4": None}, 1: {"ipv4": [books.ipv4(12), books.ipv4(11)]}},
        ),
        (
            "an address is assigned to nothing",
            lambda: street.address.update({"assigned_object_type": None, "assigned_object_id": None}),
            {1: {"ipv4": [books.ipv4(11)]}},
        ),
        ("an address is deleted", lambda: api.ipam.ip_addresses.get(address=books.ipv4(11)).delete(), {1: {"ipv4": None}}),
        (
            "one prefix is deleted while another is written",
            lambda: (street.prefix.delete(), books.prefix(books.ipv6("2::/64"), other)),
            {0: {"ipv6": None}, 1: {"ipv6": [books.ipv6("2::/64")]}},
        ),
        ("a VLAN has another number", lambda: vlan.update({"vid": 41}), {0: {"vlan": "41"}}),
        (
            "a MAC address is another",
            lambda: api.dcim.mac_addresses.get(interface_id=first.id).update({"mac_address": "52:54:00:00:41:00"}),
            {0: {"mac": "52:54:00:00:41:00"}},
        ),
        (
            "the device is renamed",
            lambda: street.device.update({"name": books.named("D")}),
            {0: {"name": books.named("D-e0")}, 1: {"name": books.named("D-e1")}},
        ),
        (
            "a custom field is set",
            lambda: first.update({"custom_fields": {"l3ctl_name": books.named("a")}}),
            {0: {"name": books.named("a")}},
        ),
        (
            "a prefix is bound to another VLAN",
            lambda: api.ipam.prefixes.get(prefix=books.ipv6("2::/64")).update({"vlan": vlan.id}),
            {0: {"ipv6": [books.ipv6("2::/64")]}, 1: {"ipv6": None}},
        ),
        ("the tag is taken from an interface", lambda: first.update({"tags": []}), {0: None}),
        ("a VLAN is deleted", other.delete, {1: {"vlan": None}}),
        ("the device is deleted", street.device.delete, {1: None}),
    ]
    reader = books.reader()
    now: dict[int, dict[str, Any]] = {0: street.record(0), 1: street.record(1)}
    for what, change, differs in steps:
        change()
        for number, changed in differs.items():
            now[number] = {key: value for key, value in (now[number] | (changed or {})).items() if value is not None}
            if changed is None:
                del now[number]
        assert values(reader) == list(now.values()), what


def test_where_nothing_changed_nothing_else_is_asked(street: Street, asked: list[str]) -> None:
    reader = street.books.reader()
    first = reader.read()
    asked.clear()
    assert reader.read() is first
    assert reader.news() is None
    assert len(asked) == 2 * KINDS
    assert not [question for question in asked if "fields=id%2Clast_updated" not in question]


def test_what_changed_but_is_not_ours_is_the_same_delivery(street: Street, asked: list[str]) -> None:
    reader = street.books.reader()
    first = reader.read()
    asked.clear()
    street.books.vlan(33)
    assert reader.read() is first
    assert len(asked) > KINDS, "everything was read again"


def test_what_is_changed_past_netbox_is_seen_when_the_dates_are_trusted_no_more(
    street: Street, netbox: NetBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = street.books.reader()
    first = reader.read()
    netbox.sql(f"UPDATE dcim_interface SET name = 'x0' WHERE id = {street.interfaces[0].id}")
    assert reader.read() is first
    monkeypatch.setattr(source.time, "monotonic", lambda now=source.time.monotonic: now() + source._TRUST)
    assert values(reader) == [street.record(0, name=street.books.named("d-x0")), street.record(1)]


def test_an_address_that_moves_while_it_is_read_is_not_lost(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a port not asked about yet to one that was."""
    books, (first, second) = street.books, street.interfaces
    moving = books.address(second, f"{books.ipv4(20)}/24")
    monkeypatch.setattr(source, "_LONGEST_QUERY", 30)
    send, moved = WebSession.send, []

    def and_then_moves(self: WebSession, request: requests.PreparedRequest, **words: Any) -> requests.Response:
        answer = send(self, request, **words)
        if f"assigned_object_id={first.id}&" in str(request.path_url) and not moved:
            moved.append(moving.update({"assigned_object_id": first.id}))
        return answer

    monkeypatch.setattr(WebSession, "send", and_then_moves)
    expected = [street.record(0, ipv4=[books.ipv4(10), books.ipv4(20)]), street.record(1)]
    reader = books.reader()
    assert values(reader) == expected
    assert moved
    assert values(reader) == expected


def test_a_tag_that_is_gone_is_no_empty_inventory(street: Street) -> None:
    reader = street.books.reader()
    assert len(values(reader)) == 2
    street.books.api.extras.tags.get(slug=street.books.tag).delete()
    with pytest.raises(source.SourceFailed) as failed:
        reader.read()
    assert failed.value.lines() == [
        f"{street.books.url}: has no tag with the slug '{street.books.tag}'; make it, and give it to interfaces",
    ]

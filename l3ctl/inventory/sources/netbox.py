"""NetBox's interfaces, addresses and prefixes, by its official client. What becomes of them is in `netbox_ports`.

The token's user needs to view, and nothing more: interfaces, VM interfaces, IP addresses, prefixes, MAC addresses, VLANs, devices and
virtual machines. Each reading first asks of each of these how many there are and which were changed last; all else only where that differs
from the time before. Objects are asked for in the order of their ids, each page from the last id on, so that none is left out where others
come and go meanwhile.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from l3ctl.configuration import NetboxSource
from l3ctl.errors import MissingRequirement, SourceFailed
from l3ctl.inventory.deadline import within
from l3ctl.inventory.netbox_ports import Address, Found, Interface, Mac, Prefix, records
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import quoted
from l3ctl.reading.secret import read_secret

try:
    import pynetbox
    import requests
    from pynetbox.core.query import ContentError, Request, RequestError
except ImportError as missing:
    raise MissingRequirement("the library pynetbox is not installed", "install what pyproject.toml has under 'netbox'") from missing

from l3ctl.inventory.sources.web_session import WebSession, reason

_PAGE = 1000
"""objects; as many as NetBox gives unless it was told otherwise"""
_NEWEST = 100
"""objects of a kind that are looked at for a change: a transaction may commit after one that began later"""
_TRUST = 600
"""seconds after which everything is read again: what was changed past NetBox, or under a clock that was set back, bears no later date"""
_LONGEST_QUERY = 3000
"""bytes; gunicorn takes a request's first line up to 4094"""
_MENDS = {
    401: "check token_file",
    403: "check token_file, and that its user may view these objects",
    404: "check url, which ends before /api",
    429: "ask less often, with interval",
}
Row = TypeVar("Row", bound=BaseModel)
Filters = Mapping[str, str | Sequence[str]]

# Of what is asked for nothing takes NetBox a query of its own for each object, as `mac_address` and `mac_addresses` would.
_INTERFACE = "id,name,primary_mac_address,untagged_vlan,custom_fields"
_ASSIGNED = "id,assigned_object_type,assigned_object_id"
_ADDRESSES, _PREFIXES, _MACS = "ipam/ip-addresses", "ipam/prefixes", "dcim/mac-addresses"
_INTERFACES = {"dcim.interface": "dcim/interfaces", "virtualization.vminterface": "virtualization/interfaces"}
_OWNERS = {"dcim.interface": "device", "virtualization.vminterface": "virtual_machine"}


class _Stamp(BaseModel):
    id: int
    last_updated: str | None


@dataclass(frozen=True)
class _Mark:
    """How many objects of a kind there are, and which were changed last, and when by NetBox's clock."""

    count: int
    newest: frozenset[tuple[int, str | None]]


@dataclass(frozen=True)
class _Reading:
    marks: Mapping[str, _Mark]
    delivery: Delivery
    trusted_until: float


class Reader:
    """`Source` of one NetBox."""

    def __init__(self, settings: NetboxSource, timeout: int) -> None:
        self._settings = settings
        self._timeout = timeout
        self._last: _Reading | None = None

    def read(self) -> Delivery:
        """A record for each port; the same delivery as before where nothing has changed."""
        session = WebSession(self._settings.ca_file, self._timeout)
        asking = _Asking(self._settings, session, read_secret(self._settings.token_file))
        try:
            self._last = within(self._timeout, lambda: asking.reading(self._last), session.cut)
        except TimeoutError:
            what = f"{self._settings}: no whole answer within {self._timeout} s"
            raise SourceFailed(what, "see what NetBox waits for, or set timeout") from None
        return self._last.delivery

    def fileno(self) -> int | None:
        """NetBox says nothing by itself."""
        return None

    def news(self) -> Delivery | None:
        """Everything; None where nothing has changed."""
        before = self._last
        delivery = self.read()
        return None if before and delivery is before.delivery else delivery

    def close(self) -> None:
        """Forget what came last."""
        self._last = None


class _Asking:
    """One reading's questions."""

    def __init__(self, settings: NetboxSource, session: WebSession, token: str) -> None:
        self._settings = settings
        self._session = session
        self._api = pynetbox.api(settings.url, token=token)
        self._api.http_session = session
        self._tag = {"tag": settings.tag}
        self._kinds: dict[str, Filters] = {
            **dict.fromkeys(_INTERFACES.values(), self._tag),
            _PREFIXES: self._tag,
            _ADDRESSES: {"assigned_to_interface": "true"},
            **{kind: {} for kind in (_MACS, "ipam/vlans", "dcim/devices", "virtualization/virtual-machines")},
        }

    def reading(self, last: _Reading | None) -> _Reading:
        """What there is now; the last one where nothing shows a change. Raises `SourceFailed`, or `TimeoutError` past the deadline."""
        now = time.monotonic()
        with self._session:
            marks = {kind: self._mark(kind) for kind in self._kinds}
            if last and marks == last.marks and now < last.trusted_until:
                return last
            interfaces = {
                kind: list(self._all(Interface, path, {**self._tag, "fields": f"{_INTERFACE},{_OWNERS[kind]}"}))
                for kind, path in _INTERFACES.items()
            }
            prefixes = list(self._all(Prefix, _PREFIXES, {**self._tag, "family": "6", "fields": "id,prefix,vlan,custom_fields"}))
            addresses = self._addresses(interfaces, marks[_ADDRESSES])
            without = {kind: [each for each in few if each.primary is None] for kind, few in interfaces.items()}
            macs = list(self._assigned(Mac, _MACS, without, "mac_address"))
        delivery = Delivery(records(Found(interfaces, macs, addresses, prefixes), self._settings.trunk))
        # What was changed may be nothing of ours.
        return _Reading(marks, last.delivery if last and last.delivery == delivery else delivery, now + _TRUST)

    def _mark(self, kind: str) -> _Mark:
        asked = {**self._kinds[kind], "ordering": "-last_updated,-id", "fields": "id,last_updated"}
        count, stamps = self._page(_Stamp, kind, asked, _NEWEST)
        return _Mark(count, frozenset((each.id, each.last_updated) for each in stamps))

    def _addresses(self, interfaces: Mapping[str, Sequence[Interface]], before: _Mark) -> Iterable[Address]:
        """Those of the interfaces. They take several questions, and one that moved meanwhile may be in no answer: it is asked for again."""
        found = {each.id: each for each in self._assigned(Address, _ADDRESSES, interfaces, "address")}
        moved = self._mark(_ADDRESSES).newest - before.newest
        for asked in _in_parts("id", (number for number, _ in moved if number not in found)):
            found.update({each.id: each for each in self._all(Address, _ADDRESSES, {**asked, "fields": f"{_ASSIGNED},address"})})
        return found.values()

    def _assigned(self, kind: type[Row], path: str, interfaces: Mapping[str, Sequence[Interface]], field: str) -> Iterator[Row]:
        """What is assigned to the interfaces."""
        for of_kind, few in interfaces.items():
            for asked in _in_parts("assigned_object_id", (each.id for each in few)):
                yield from self._all(kind, path, {"assigned_object_type": of_kind, **asked, "fields": f"{_ASSIGNED},{field}"})

    def _all(self, kind: type[Row], path: str, asked: Filters) -> Iterator[Row]:
        """Every object, each once, by its id."""
        last = 0
        while True:
            count, rows = self._page(kind, path, {**asked, "ordering": "id", "id__gt": str(last)}, _PAGE)
            yield from rows
            if count <= len(rows):
                return
            identifiers = [last, *(row.id for row in rows)]  # type: ignore[attr-defined]  # every kind's has one
            if not rows or any(one >= next_one for one, next_one in pairwise(identifiers)):
                what = f"{self._settings}: /api/{path}/ gives the same objects again and again"
                raise SourceFailed(what, "see that NetBox 4.2 or later answers there")
            last = identifiers[-1]

    def _page(self, kind: type[Row], path: str, asked: Filters, limit: int) -> tuple[int, list[Row]]:
        """How many objects the filters leave, and the first of them."""
        base = f"{self._api.base_url}/{path}/"
        request = Request(base, self._session, filters=dict(asked), limit=limit, offset=0, token=self._api.token)
        try:
            rows: list[Any] = list(request.get())
            return int(request.count), TypeAdapter(list[kind]).validate_python(rows)  # type: ignore[valid-type]
        except (RequestError, ContentError) as error:
            raise self._refused(path, error.req) from None
        except requests.exceptions.SSLError as error:
            raise SourceFailed(f"{self._settings}: TLS: {reason(error)}", "check the certificate's name, its date and ca_file") from None
        except (requests.RequestException, OSError) as error:
            if self._session.is_over:
                raise TimeoutError from None
            raise SourceFailed(f"{self._settings}: {reason(error)}", "check url, and that NetBox runs") from None
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceFailed(
                f"{self._settings}: /api/{path}/ gives no list of objects", "see that NetBox 4.2 or later answers there"
            ) from None

    def _refused(self, path: str, response: requests.Response) -> SourceFailed:
        status = response.status_code
        if response.ok:
            return SourceFailed(f"{self._settings}: answers with something else than JSON", "check url; a page for people to log in on?")
        said = _detail(response)
        if status == 400 and "tag" in said:
            return SourceFailed(
                f"{self._settings}: has no tag with the slug {quoted(self._settings.tag)}", "make it, and give it to interfaces"
            )
        mend = _MENDS.get(status, "see NetBox's log" if status >= 500 else "see that NetBox 4.2 or later answers there")
        return SourceFailed(f"{self._settings}: answers /api/{path}/ with status {status}{said and f' ({said})'}", mend)


def _detail(response: requests.Response) -> str:
    """What NetBox says of a refusal, on one line."""
    try:
        said = response.json()
    except ValueError:
        return ""
    return " ".join(str(said.get("detail", said) if isinstance(said, dict) else said).split())[:200]


def _in_parts(name: str, identifiers: Iterable[int]) -> Iterator[dict[str, list[str]]]:
    """The same question about as many objects at a time as a request's line has room for."""
    left = map(str, identifiers)
    each = len(name) + len("=&") + len("12345678")
    while few := list(islice(left, _LONGEST_QUERY // each)):
        yield {name: few}

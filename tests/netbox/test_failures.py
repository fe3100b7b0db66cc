"""A real NetBox that refuses, or hangs, or loses its database: said in one line, and afterwards all is as before."""

import os
import signal
import time
from pathlib import Path

import pynetbox
import pytest

from l3ctl.errors import BadInput, SourceFailed
from l3ctl.inventory.sources.netbox import Reader
from tests.netbox.books import VIEWED, Books, token_of
from tests.netbox.server import NetBox


def failure(reader: Reader) -> str:
    with pytest.raises(SourceFailed) as failed:
        reader.read()
    (line,) = failed.value.lines()
    return line


@pytest.fixture
def street(books: Books) -> Books:
    """With one port."""
    books.interface(books.device(books.named("d")), "eth0", books.vlan(51), "52:54:00:00:51:00")
    return books


def test_a_token_that_is_revoked_is_told_and_a_new_one_needs_no_restart(street: Books, writer: pynetbox.api, netbox: NetBox) -> None:
    token = token_of(writer, netbox.url, street.tag)
    street.write_token(token)
    reader = street.reader()
    first = reader.read()
    writer.users.tokens.get(key=token.removeprefix("nbt_").partition(".")[0]).delete()
    line = failure(reader)
    assert line.startswith(f"{street.url}: answers /api/dcim/interfaces/ with status 403 (Invalid v2 token"), line
    assert line.endswith("; check token_file, and that its user may view these objects")
    street.write_token(token_of(writer, netbox.url, f"{street.tag}-new"))
    assert reader.read() is first


@pytest.mark.parametrize(
    ("hidden", "path"), [("dcim.macaddress", "dcim/mac-addresses"), ("ipam.vlan", "ipam/vlans"), ("dcim.interface", "dcim/interfaces")]
)
def test_a_user_who_may_not_see_all_that_is_needed_is_told(
    street: Books, writer: pynetbox.api, netbox: NetBox, hidden: str, path: str
) -> None:
    viewed = [kind for kind in VIEWED if kind != hidden]
    street.write_token(token_of(writer, netbox.url, street.tag, viewed))
    assert f": answers /api/{path}/ with status 403 (You do not have permission" in failure(street.reader())


def test_a_token_that_others_may_read_is_refused_before_anything_is_asked(street: Books, tmp_path: Path) -> None:
    street.token_file.chmod(0o644)
    with pytest.raises(BadInput, match="may be read or changed by everybody; chmod o= "):
        street.reader(url="http://127.0.0.1:1").read()


def test_what_is_not_the_api_of_a_netbox_is_told(street: Books) -> None:
    line = failure(street.reader(url=f"{street.url}/api"))
    assert line == f"{street.url}/api: answers /api/dcim/interfaces/ with status 404; check url, which ends before /api"


@pytest.mark.parametrize("stopped", ["gunicorn", "postgres"])
def test_a_netbox_that_hangs_takes_no_longer_than_it_may_and_comes_back(street: Books, netbox: NetBox, stopped: str) -> None:
    reader = street.reader()
    first = reader.read()
    hasty = street.reader(timeout=2)
    netbox.signal(stopped, signal.SIGSTOP)
    try:
        assert failure(hasty) == f"{street.url}: no whole answer within 2 s; see what NetBox waits for, or set timeout"
    finally:
        netbox.signal(stopped, signal.SIGCONT)
    assert reader.read() is first


def test_a_netbox_whose_database_is_killed_is_told_and_comes_back(street: Books, netbox: NetBox) -> None:
    reader = street.reader()
    first = reader.read()
    netbox.signal("postgres", signal.SIGKILL)
    said = set()
    for _ in range(100):  # it comes back by itself
        try:
            assert reader.read() is first
        except SourceFailed as failed:
            said.update(failed.lines())
            time.sleep(0.2)
        else:
            break
    else:
        pytest.fail("it came back")
    assert said, "there was a while without a database"
    assert {line.partition(" with status ")[2][:3] for line in said} == {"500"}, said
    assert all(line.endswith("; see NetBox's log") for line in said)


def test_a_netbox_whose_worker_is_killed_comes_back(street: Books, netbox: NetBox) -> None:
    reader = street.reader()
    first = reader.read()
    _, *workers = netbox.processes("gunicorn")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert reader.read() is first

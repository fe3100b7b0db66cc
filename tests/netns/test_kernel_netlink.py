"""The conversation itself, where it goes wrong: no answer, a table that changes under a dump, a thread that has moved."""

import socket
import threading
from collections.abc import Callable

import pytest

from l3ctl.errors import NetlinkFailed
from l3ctl.kernel import addresses, links, neighbours, routes
from l3ctl.kernel.bulk import uniform_neighbours
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.wire import RTM_GETLINK, Message, Refusal
from l3ctl.lab.namespaces import Namespace
from tests.netns.kernel_ports import LLADDR, neighbour

pytestmark = pytest.mark.root

UNANSWERED = [Message(RTM_GETLINK, 0, bytes(13)), links.pack_link_request(ifindex=1)]
"""A length that is no multiple of four: the kernel takes what follows for garbage and silently drops it."""


def test_no_answer_is_an_error_and_the_next_conversation_is_whole(namespace: Callable[[], Namespace]) -> None:
    with namespace().entered(), NetlinkSocket(timeout=0.2) as kernel:
        port_id = kernel.port_id
        with pytest.raises(NetlinkFailed, match="did not answer"):
            kernel.batch(UNANSWERED)
        assert set(links.Links(kernel).read()) == {"lo"}
        assert kernel.port_id == port_id


def test_a_socket_is_not_reopened_in_another_namespace(namespace: Callable[[], Namespace]) -> None:
    """Else a router's routes would go into whatever namespace the thread is in by then."""
    with namespace().entered():
        kernel = NetlinkSocket(timeout=0.2)
    with kernel, namespace().entered():
        with pytest.raises(NetlinkFailed, match="another network namespace"):
            kernel.batch(UNANSWERED)
        with pytest.raises(NetlinkFailed):
            links.Links(kernel).read()


def test_a_dump_during_which_links_come_is_made_again(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    inside.ip(*(f"link add a{number} type veth peer name b{number}" for number in range(100)))
    seen: list[str] = []

    def parse(payload: bytes) -> str:
        if not seen:
            inside.ip("link del a50", "link add late type veth peer name later")
        name = links.parse_link(payload).name
        seen.append(name)
        return name

    with inside.entered(), NetlinkSocket() as kernel:
        found = kernel.dump(links.pack_link_request(), parse)
    assert sorted(found) == sorted({"lo", "late", "later"} | {f"{end}{number}" for end in "ab" for number in range(100) if number != 50})
    assert len(seen) > len(found)


def test_a_dump_left_half_read_does_not_block_the_next(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    inside.ip(*(f"link add a{number} type veth peer name b{number}" for number in range(100)))

    def refuse(payload: bytes) -> None:
        raise ValueError(len(payload))

    with inside.entered(), NetlinkSocket() as kernel:
        with pytest.raises(ValueError, match=r"\d"):
            kernel.dump(links.pack_link_request(), refuse)
        assert len(links.Links(kernel).read()) == 201


def test_answers_come_in_the_order_of_the_questions(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    inside.ip(*(f"link add a{number} type veth peer name b{number}" for number in range(250)))
    with inside.entered(), NetlinkSocket() as kernel:
        indexes = [*range(1, 1001)]
        answers = kernel.ask([links.pack_link_request(ifindex=number) for number in indexes])
    assert [links.parse_link(one).ifindex for one in answers[:501] if not isinstance(one, Refusal)] == indexes[:501]
    assert {one.errno for one in answers[501:] if isinstance(one, Refusal)} == {19}
    assert len(answers) == 1000


def test_nothing_to_send_is_nothing_to_wait_for(namespace: Callable[[], Namespace]) -> None:
    with namespace().entered(), NetlinkSocket() as kernel:
        assert kernel.batch([]) == {}
        assert kernel.ask([]) == []


def test_names_and_indexes_are_those_of_the_sockets_namespace(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    inside.ip("link add only-here type veth peer name peer")
    with inside.entered():
        kernel = NetlinkSocket()
    with kernel:
        index = kernel.index_of("only-here")
        assert index is not None
        assert kernel.name_of(index) == "only-here"
        assert kernel.index_of("nowhere") is None
        assert kernel.index_of("longer-than-any-name") is None
        assert kernel.name_of(99_999) is None
    assert "only-here" not in {name for _, name in socket.if_nameindex()}


def test_a_thread_of_its_own_will_do(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    inside.ip("link add p0 type veth peer name q0")
    refused: list[dict[int, Refusal]] = []

    def work() -> None:
        with inside.entered(), NetlinkSocket() as kernel:
            index = kernel.index_of("p0")
            assert index is not None
            refused.append(kernel.batch([neighbours.pack_add(neighbour("p0", "fe80::5"), index, replace=False)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert refused == [{}]
    assert "fe80::5" in inside.run("ip", "neigh")


@pytest.mark.parametrize("receive_buffer", [8_192, 65_536])
def test_a_small_buffer_makes_small_sends_and_loses_no_answer(namespace: Callable[[], Namespace], receive_buffer: int) -> None:
    """Without CAP_NET_ADMIN the buffer is what net.core.rmem_max allows."""
    inside = namespace()
    inside.ip("link add p0 type veth peer name q0")
    wanted = [neighbour("p0", f"fe80::1:{number:x}") for number in range(1000)]
    with inside.entered(), NetlinkSocket(receive_buffer=receive_buffer) as kernel:
        index = kernel.index_of("p0")
        assert index is not None
        absent = kernel.ask([neighbours.pack_ask(one, index) for one in wanted])
        assert {one.errno for one in absent if isinstance(one, Refusal)} == {2}
        assert kernel.batch(neighbours.pack_add(one, index, replace=False) for one in wanted) == {}
        assert list(kernel.batch(neighbours.pack_add(one, index, replace=False) for one in wanted)) == list(range(1000))
        there = kernel.ask([neighbours.pack_ask(one, index) for one in wanted])
        assert [entry.address for one in there if not isinstance(one, Refusal) and (entry := neighbours.parse(one))] == [
            one.address for one in wanted
        ]


def test_a_dump_of_one_interface_is_made_by_the_kernel(namespace: Callable[[], Namespace]) -> None:
    inside = namespace()
    for port in ("p0", "p1"):
        inside.ip(
            f"link add {port} type veth peer name {port}-far",
            f"link set {port} up",
            f"neigh add fe80::5 lladdr {LLADDR} dev {port}",
            f"addr add fe80::1/64 dev {port} nodad",
            f"route add 2001:db8:{port[1]}::/64 dev {port} proto 201",
            f"route add 192.0.2.{port[1]}/32 dev {port} proto 201",
            f"route add 198.51.100.{port[1]}/32 dev {port} proto bird",
        )
    with inside.entered(), NetlinkSocket() as kernel:
        index = kernel.index_of("p1")
        assert index is not None
        assert {one.ifindex for one in kernel.dump(neighbours.pack_dump(index), neighbours.parse)} == {index}
        assert {one.ifindex for one in kernel.dump(addresses.pack_dump(index), addresses.parse)} == {index}
        for family, prefix in ((socket.AF_INET, "192.0.2.1/32"), (socket.AF_INET6, "2001:db8:1::/64")):
            assert [str(one.prefix) for one in kernel.dump(routes.pack_dump(family, 201, index), routes.parse)] == [prefix]


@pytest.mark.parametrize("left", [700, 3, 0])
def test_numbers_of_32_bits_begin_again(namespace: Callable[[], Namespace], monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    inside = namespace()
    inside.ip("link add p0 type veth peer name q0", "link set p0 addrgenmode none up")
    with inside.entered(), NetlinkSocket() as kernel:
        index = kernel.index_of("p0") or 0
        every = [neighbour("p0", f"fe80::{number:x}", LLADDR) for number in range(1, 1001)]
        known = {0, 399, 400, 999}
        kernel.batch([neighbours.pack_add(every[place], index, replace=False) for place in known])
        monkeypatch.setattr(kernel, "_sequence", (1 << 32) - left)
        assert set(kernel.bulk(uniform_neighbours(every, [index] * 1000))) == known
        monkeypatch.setattr(kernel, "_sequence", (1 << 32) - left)
        refused = kernel.batch(neighbours.pack_add(one, index, replace=False) for one in every)
        assert set(refused) == set(range(1000)), "all of them are there by now"

"""A thread that is in a namespace for a while comes out where it went in."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from l3ctl.lab.namespaces import Namespace

pytestmark = pytest.mark.root


def here() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


def test_each_thread_is_where_it_went_whatever_others_do_meanwhile(namespace: Callable[[], Namespace]) -> None:
    ours, theirs, before = namespace(), namespace(), here()
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def stay() -> None:
        seen.append(here())
        with theirs.entered():
            seen.append(here())
            inside.set()
            leave.wait(10)
        seen.append(here())

    other = threading.Thread(target=stay)
    with ours.entered():
        between = here()
        other.start()
        assert inside.wait(10)
        assert here() == between
    assert here() == before
    leave.set()
    other.join()
    assert here() == before
    assert seen[0] == seen[2]
    assert len({before, between, seen[1]}) == 3


def test_a_block_that_fails_is_left_all_the_same_and_a_namespace_that_is_not_there_is_an_error(namespace: Callable[[], Namespace]) -> None:
    before = here()
    with pytest.raises(ZeroDivisionError), namespace().entered():
        raise ZeroDivisionError
    assert here() == before
    with pytest.raises(FileNotFoundError), Namespace("l3t-nowhere").entered():
        pass
    assert here() == before

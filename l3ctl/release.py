"""Giving a router back as it was before l3ctl: withdrawn first, then removed, in the order in which a port goes down."""

import selectors
import time
from collections.abc import Callable

from l3ctl.bgp.flush import connected
from l3ctl.bgp.speaker import Speaker
from l3ctl.configuration import Configuration
from l3ctl.errors import L3ctlError
from l3ctl.failures import reason_of
from l3ctl.kernel.tables import Kernel
from l3ctl.lock import Lock
from l3ctl.model import Settings
from l3ctl.router import Router
from l3ctl.xdp.filter import Filter

RELAY_WAIT = 5.0
"""seconds ExaBGP's relay has to call; it tries twice a second"""
WITHDRAW_WAIT = 60.0
"""seconds ExaBGP has to take every withdrawal"""


def release(config: Configuration) -> tuple[int, list[str]]:
    """How many things were removed, and what could not be. Needs no inventory: nothing is wanted any more.

    Raises:
        AlreadyRunning: an agent runs, which would put everything back.
    """
    lock = Lock(config.lock_file)
    lock.acquire()
    try:
        left = _withdraw(config)
        if left:  # what is announced must be reachable: nothing is removed under it
            return 0, left
        return _remove(config)
    finally:
        lock.release()


def _withdraw(config: Configuration) -> list[str]:
    if config.bgp is None:
        return []
    with selectors.DefaultSelector() as selector:
        speaker = Speaker(config.bgp_socket, config.bgp, selector)
        speaker.open()
        try:
            speaker.complete()  # with no wishes
            called_by, done_by = time.monotonic() + RELAY_WAIT, time.monotonic() + WITHDRAW_WAIT
            while not speaker.in_sync() and time.monotonic() < done_by:
                if not speaker.called and time.monotonic() > called_by:
                    if connected((str(peer.local_address), str(peer.address)) for peer in config.bgp.peers):
                        return ["ExaBGP has a session, and does not answer, so nothing was removed; stop it, and try again"]
                    return []  # no ExaBGP, nothing announced
                for ready, _ in selector.select(0.2):
                    ready.data()
                speaker.tick(time.monotonic())
            held = speaker.held()
            if speaker.in_sync() and not held:
                return []
            what = "what ExaBGP still announces is unknown" if held is None else f"ExaBGP still announces {len(held)} prefixes"
            return [f"{what}, so nothing was removed; stop it, and try again"]
        finally:
            speaker.close()


def _remove(config: Configuration) -> tuple[int, list[str]]:
    kernel = Kernel(config.sysctl_memory)
    filter_ = Filter(config.bpffs, config.xdp_mode)
    left: list[str] = []

    def attempt(work: Callable[[], object]) -> None:
        try:
            work()
        except (L3ctlError, OSError) as error:
            left.append(reason_of(error) if isinstance(error, L3ctlError) else str(error))

    router = Router((), Settings((), ()), kernel, filter_ if _is_readable(filter_) else None, None)
    removed, failed = router.full_pass()
    left += (f"{failure.change}: {failure.reason}" for failure in failed)
    attempt(filter_.detach)
    attempt(kernel.sysctls.restore)
    attempt(lambda: config.drain_mark.unlink(missing_ok=True))
    if others := kernel.look().count_routes():
        left.append(f"{others} routes of protocol 201 are none that l3ctl makes, and stay; see `ip route show table all proto 201`")
    return len(removed), left


def _is_readable(filter_: Filter) -> bool:
    """One of another version, or damaged, is not; it can be taken off all the same."""
    try:
        return filter_.look()
    except L3ctlError:
        return False

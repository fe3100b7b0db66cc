"""Giving a router back as it was before l3ctl: withdrawn first, then removed, in the order in which a port goes down."""

import selectors
import time

from l3ctl.bgp.speaker import Speaker
from l3ctl.errors import L3ctlError
from l3ctl.kernel.tables import Kernel
from l3ctl.lock import Lock
from l3ctl.model import Settings
from l3ctl.router import Router, reason_of
from l3ctl.site import Site
from l3ctl.xdp.filter import Filter

RELAY_WAIT = 5.0
"""seconds ExaBGP's relay has to call; it tries twice a second"""
WITHDRAW_WAIT = 60.0
"""seconds ExaBGP has to take every withdrawal"""


def release(site: Site) -> tuple[int, list[str]]:
    """How many things were removed, and what could not be.

    Raises:
        AlreadyRunning: an agent runs, which would put everything back.
    """
    lock = Lock(site.config.lock_file)
    lock.acquire()
    try:
        left = _withdraw(site)
        if left:  # what is announced must be reachable: nothing is removed under it
            return 0, left
        return _remove(site)
    finally:
        lock.release()


def _withdraw(site: Site) -> list[str]:
    settings = site.config.bgp
    if settings is None:
        return []
    with selectors.DefaultSelector() as selector:
        speaker = Speaker(site.config.bgp_socket, settings, selector)
        speaker.open()
        try:
            speaker.complete()  # with no wishes
            called_by, done_by = time.monotonic() + RELAY_WAIT, time.monotonic() + WITHDRAW_WAIT
            while not speaker.in_sync() and time.monotonic() < done_by:
                if speaker.held() is None and time.monotonic() > called_by:
                    return []  # no ExaBGP, nothing announced
                for ready, _ in selector.select(0.2):
                    ready.data()
            held = len(speaker.held() or ())
            if speaker.in_sync() and not held:
                return []
            return [f"ExaBGP still announces {held} prefixes, so nothing was removed; stop it, and try again"]
        finally:
            speaker.close()


def _remove(site: Site) -> tuple[int, list[str]]:
    config = site.config
    kernel = Kernel(config.sysctl_memory)
    filter_ = Filter(config.bpffs, config.xdp_mode)
    router = Router((), Settings((), ()), kernel, filter_ if filter_.look() else None, None)
    removed, failed = router.full_pass()
    left = [f"{failure.change}: {failure.reason}" for failure in failed]
    try:
        filter_.detach()
        kernel.sysctls.restore()
    except L3ctlError as error:
        left.append(reason_of(error))
    return len(removed), left

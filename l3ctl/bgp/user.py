"""The user that ExaBGP and its relay run as, where it is not root."""

import grp
import pwd

from l3ctl.errors import MissingRequirement


def ids_of(user: str) -> tuple[int, int]:
    """User and group id. Raises `MissingRequirement` where there is no such user."""
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise MissingRequirement(f"bgp.user: this machine has no user '{user}'", f"adduser --system --group {user}") from None
    return found.pw_uid, found.pw_gid


def group_of(user: str) -> str:
    """The name of its group."""
    return grp.getgrgid(ids_of(user)[1]).gr_name

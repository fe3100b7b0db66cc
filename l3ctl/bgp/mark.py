"""What tells a relay that another one served the same ExaBGP before it. Standard library only, as the relay."""

import os


def marked_before(socket_path: str) -> bool:
    """Whether a relay served this very ExaBGP before us, and so died with its memory; marks that one serves it now.

    The mark is beside the socket and names the process and its start, because process ids come again.
    """
    try:
        with open(f"/proc/{os.getppid()}/stat") as stat:  # noqa: PTH123  pathlib costs a third of the start
            started = stat.read().rpartition(")")[2].split()[19]
        descriptor = os.open(f"{socket_path}.exabgp", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return False
    with os.fdopen(descriptor, "r+") as file:
        mark = f"{os.getppid()} {started}\n"
        if file.read() == mark:
            return True
        file.seek(0)
        file.truncate()
        file.write(mark)
    return False

"""A real NetBox from the root that build.sh made, in namespaces of its own. All that it writes is in memory, and gone when it ends."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_ENTER = """
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
ip link set lo up
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 bash /inside.sh serve "$2"
"""
_NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
START = 180
"""seconds it may take until it answers"""


def build() -> Path:
    """The root; some minutes the first time."""
    done = subprocess.run([Path(__file__).parent / "build.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


class NetBox:
    """Runs from `start` to `end`. It listens on this machine's loopback, by a socket given to it, and reaches nothing itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns before it answers: whoever connects waits."""
        descriptor = self._listening.fileno()
        command = ["setpriv", "--pdeathsig", "KILL", *_NAMESPACES, "bash", "-euc", _ENTER, "netbox", self._root, str(descriptor)]
        self._process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """With everything in it."""
        self._listening.close()
        if self._process:
            self._process.kill()
            self._process.wait()

    def processes(self, name: str) -> list[int]:
        """Those of its processes that are called so, the first started first."""
        assert self._process
        found, waiting = [], [self._process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sorted(found)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To all of its processes that are called so."""
        for pid in self.processes(name):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def sql(self, statement: str) -> None:
        """Past NetBox, into its database."""
        inside = ["nsenter", "--target", str(self.processes("gunicorn")[0]), "--mount", "--pid", "--net", "--root", "--wd=/"]
        psql = ["/usr/bin/psql", "-h", "/run/postgresql", "-U", "netbox", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]
        subprocess.run([*inside, *psql], check=True, capture_output=True, text=True)

    def kib(self) -> int:
        """Memory, what processes share counted once."""
        return sum(
            int(line.split()[1])
            for name in ("gunicorn", "postgres", "redis-server")
            for pid in self.processes(name)
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START
        with socket.create_connection(self._listening.getsockname(), timeout=START) as one:
            one.sendall(b"GET /api/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert one.recv(12).startswith(b"HTTP/1."), "NetBox answers"
        assert time.monotonic() < deadline

"""Stock Debian kernels, taken from packages of the machine's own apt sources, and kept in a cache.

Nothing is installed: the package is unpacked beside the others. Only the suite differs from what the machine's sources say, so that a
bookworm machine gets trixie's kernel from whatever mirror it uses.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("L3CTL_VM_CACHE", "/var/cache/l3ctl/vm"))
SUITES = {"bookworm": "bookworm", "backports": "bookworm-backports", "trixie": "trixie"}
"""What `make vm KERNEL=...` calls a kernel, and the suite that has it."""
PACKAGE = "linux-image-amd64"
"""The whole kernel: the cloud flavour has no 9p."""


class CannotRun(Exception):
    """Something is missing for a virtual machine; the text is one line and names the mend."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    name: str
    tree: Path

    @property
    def image(self) -> Path:
        """The compressed kernel itself."""
        return next((self.tree / "boot").glob("vmlinuz-*"))

    @property
    def release(self) -> str:
        """What `uname -r` says in it."""
        return self.image.name.removeprefix("vmlinuz-")

    @property
    def modules(self) -> Path:
        """What is /lib/modules/RELEASE in it. Since trixie the package has it below /usr."""
        return next(path for lib in ("lib", "usr/lib") if (path := self.tree / lib / "modules" / self.release).is_dir())


def kernel(name: str) -> Kernel:
    """The kernel of that name in `SUITES`, from the cache, or downloaded first (some 100 MB).

    Raises:
        CannotRun: there is no such kernel, or apt cannot reach it.
    """
    if name not in SUITES:
        raise CannotRun(f"there is no kernel '{name}' (mend: one of {', '.join(SUITES)})")
    found = sorted(CACHE.glob(f"kernel-{name}-*"))
    if found:
        return Kernel(name, found[-1])
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"fetch-{name}-", dir=CACHE) as scratch:
        package = _download(SUITES[name], Path(scratch))
        unpacked = Path(scratch) / "tree"
        _run(["dpkg-deb", "--extract", str(package), str(unpacked)])
        version = package.name.split("_")[1]
        _index(Kernel(name, unpacked))
        kept = CACHE / f"kernel-{name}-{version}"
        try:
            unpacked.rename(kept)  # at once: a fetch that was cut off leaves no half of a kernel behind
        except OSError:
            if not kept.is_dir():  # another run was faster
                raise
    return Kernel(name, kept)


def _index(unpacked: Kernel) -> None:
    """Make the index of the modules that modprobe needs; the package's own scripts would where it is installed."""
    if not (unpacked.tree / "lib").exists():
        (unpacked.tree / "lib").symlink_to("usr/lib")
    _run(["depmod", "--basedir", str(unpacked.tree), unpacked.release])


def _download(suite: str, scratch: Path) -> Path:
    """The package that `PACKAGE` of a suite stands for, in the scratch folder, where apt has a state of its own: the machine's stays."""
    with _apt(suite, scratch) as apt:
        print(f"fetching the kernel of {suite}", flush=True)
        _run(["apt-get", *apt, "update"])
        depends = _run(["apt-cache", *apt, "show", f"{PACKAGE}/{suite}"])
        wanted = re.search(r"^Depends: (linux-image-\S+)", depends, re.MULTILINE)
        if wanted is None:
            raise CannotRun(f"{PACKAGE} of {suite} names no kernel (mend: look at `apt-cache show {PACKAGE}`)")
        _run(["apt-get", *apt, "download", f"{wanted[1]}/{suite}"], cwd=scratch)
    return next(scratch.glob("linux-image-*.deb"))


@contextmanager
def _apt(suite: str, scratch: Path) -> Iterator[list[str]]:
    """Options of apt for a state of its own that knows one suite, wherever this machine gets Debian's packages from."""
    mirror = _mirror()
    sources = scratch / "suite.list"
    sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n")
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "root",
    }
    yield [option for name, value in options.items() for option in ("-o", f"{name}={value}")]


def _mirror() -> str:
    """Where this machine gets the main archive of Debian from: of its sources, the one that has the suite it was installed from."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    here = release.get("VERSION_CODENAME", "bookworm").strip('"')
    indexed = _run(["apt-get", "indextargets", "--format", "$(SITE)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"])
    for line in indexed.splitlines():
        _, uri, suite, component = line.split("|")
        if suite == here and component == "main" and "security" not in uri:
            return uri
    raise CannotRun(f"apt on this machine has no source for Debian's {here} (mend: add its main archive to /etc/apt/sources.list.d)")


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no message"]
        raise CannotRun(f"`{' '.join(command[:1] + command[-2:])}` failed: {last[0]} (mend: `apt-get update` may say why)")
    return done.stdout

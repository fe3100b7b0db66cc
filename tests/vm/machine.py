"""A virtual machine for one job: a stock kernel, the host's own root read-only underneath, a shell script in; its output and status out."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.vm.kernels import CACHE, CannotRun, Kernel

_HERE = Path(__file__).parent
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""What an initramfs needs beyond what is in the kernel; what these need comes along."""
_OPENERS: Mapping[str, tuple[str, ...]] = {".xz": ("xz", "-dc"), ".zst": ("zstd", "-dc"), ".gz": ("gzip", "-dc")}
_MODELS = {"virtio": "virtio-net-pci,ctrl_vlan=off", "e1000": "e1000"}
_EMULATED = "Nehalem"
"""All that the tests need, and a quarter faster than `max`, whose AVX and five levels of page tables are emulated too."""
_QUICK = "mitigations=off norandmaps"
"""Words for the kernel. Where every process has its code at the same addresses, QEMU need not translate it anew for each."""
_PROBE_SECONDS = 15
WIRES = {
    "virtio": ("52:54:00:99:01:01", "52:54:00:99:01:02"),
    "e1000": ("52:54:00:99:02:01", "52:54:00:99:02:02"),
}
"""The machine's NICs: wires to itself, by the model of the first end; the second is always virtio."""
MEMORY_MIB = 3072
PROCESSORS = 1
"""One: several machines share the host's few processors, and a lock whose holder does not run is waited for in vain."""


def _silent(_text: str) -> None:
    """Show nothing."""


def run(
    kernel: Kernel,
    script: str,
    *,
    folder: Path,
    seconds: float,
    show: Callable[[str], None] = _silent,
) -> int:
    """Run a bash script as root in a machine of that kernel, in `folder` as it is on the host, and return the script's exit status.

    What it writes to the host's files is gone with the machine, except in /run/job/kept, which `folder`/.make/vm/KERNEL is afterwards.

    Args:
        kernel: what boots.
        script: bash, run with `bash FILE`.
        folder: where it runs.
        seconds: the time it may take, boot included.
        show: is given what the script prints, as it comes.

    Raises:
        CannotRun: QEMU is missing, the machine does not come up, or the script does not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="l3ctl-vm-") as scratch:
        job = Path(scratch)
        (job / "cmd").write_text(script)
        (job / "kept").mkdir()
        settings = {"RELEASE": kernel.release, "MODULES": kernel.modules, "FOLDER": folder}
        (job / "settings").write_text("".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()))
        shutil.copy(_HERE / "inside.sh", job)
        end = time.monotonic() + seconds
        devices = [
            "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
            "-virtfs", f"local,path={job},mount_tag=job,security_model=none,multidevs=remap",
            *_wires(),
        ]  # fmt: skip
        status = _boot(kernel, accelerator(kernel), devices, job, end, show)
        kept = folder / ".make/vm" / kernel.name
        if any((job / "kept").iterdir()):
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(job / "kept", kept)
        if (job / "rc").exists():
            return int((job / "rc").read_text())
        told = _last_line(job / "console") or "its console is empty"
        if time.monotonic() >= end:
            raise CannotRun(
                f"the machine with {kernel.release} had not ended after {seconds:.0f} s (mend: a longer time); its console's last: {told}"
            )
        raise CannotRun(f"the machine with {kernel.release} ended without a result (QEMU {status}); its console's last: {told}")


def accelerator(kernel: Kernel) -> str:
    """`kvm` where a machine of KVM comes up, else `tcg`; found out once a boot of this host. L3CTL_KVM=0 or 1 decides without a look.

    That /dev/kvm is there and can be opened says too little: in some nested hosts a guest then never comes past its first instructions.
    """
    if (told := os.environ.get("L3CTL_KVM", "")) in ("0", "1"):
        return "kvm" if told == "1" else "tcg"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = CACHE / f"kvm-{boot}"
    if not known.exists():
        for old in CACHE.glob("kvm-*"):
            old.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="l3ctl-vm-") as scratch:
            seen: list[str] = []
            _boot(kernel, "kvm", [], Path(scratch), time.monotonic() + _PROBE_SECONDS, seen.append, "l3ctl.probe")
        known.write_text("kvm" if "it runs" in "".join(seen) else "tcg")
    return known.read_text()


def _boot(kernel: Kernel, how: str, devices: Iterable[str], job: Path, end: float, show: Callable[[str], None], words: str = "") -> int:
    """Start QEMU and wait until it has ended, or end it in time. Its second serial line is what the job prints."""
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise CannotRun("qemu-system-x86_64 is missing (mend: make setup)")
    command = [
        qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        *(("-accel", "kvm", "-cpu", "host") if how == "kvm" else ("-accel", "tcg,thread=multi", "-cpu", _EMULATED)),
        "-m", str(MEMORY_MIB), "-smp", str(PROCESSORS),
        "-kernel", str(kernel.image), "-initrd", str(initramfs(kernel)),
        "-append", f"console=ttyS0 quiet panic=-1 {_QUICK} {words}",
        "-serial", f"file:{job / 'console'}", "-serial", "stdio",
        *devices,
    ]  # fmt: skip
    with subprocess.Popen(
        # However the run ends, SIGKILL included, its machine does not stay.
        ["setpriv", "--pdeathsig", "KILL", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(job / "qemu").open("w"),
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        try:
            while process.poll() is None and time.monotonic() < end:
                _pass_on(process.stdout.fileno(), show)
                time.sleep(0.05)
            _pass_on(process.stdout.fileno(), show)
        finally:
            if process.poll() is None:
                process.kill()
        status = process.wait()
    if status > 0 and (message := _last_line(job / "qemu")):
        raise CannotRun(f"QEMU says: {message} (mend: L3CTL_KVM=0 where it is about KVM)")
    return status


def _wires() -> list[str]:
    """Each a hub of two NICs."""
    options = []
    for number, (model, lladdrs) in enumerate(WIRES.items()):
        # With ctrl_vlan, QEMU drops VLANs that the guest has no device for before the guest could say what becomes of them.
        for end, (kind, lladdr) in enumerate(zip((_MODELS[model], _MODELS["virtio"]), lladdrs, strict=True)):
            name = f"w{number}e{end}"
            options += ["-netdev", f"hubport,id={name},hubid={number}", "-device", f"{kind},netdev={name},mac={lladdr},romfile="]
    return options


def _pass_on(descriptor: int, show: Callable[[str], None]) -> None:
    with suppress(BlockingIOError):
        while block := os.read(descriptor, 65536):
            show(block.decode(errors="replace"))


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def initramfs(kernel: Kernel) -> Path:
    """The archive that the kernel starts from; made once a kernel, and again when init.sh changes."""
    source = _HERE / "init.sh"
    made = kernel.tree / "initramfs"
    if made.exists() and made.stat().st_mtime >= source.stat().st_mtime:
        return made
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which("cpio") is None:
        raise CannotRun("busybox or cpio is missing (mend: make setup)")
    with tempfile.TemporaryDirectory(prefix="initramfs-", dir=CACHE) as scratch:
        tree = Path(scratch) / "tree"
        (tree / "bin").mkdir(parents=True)
        (tree / "modules").mkdir()
        shutil.copy(busybox, tree / "bin/busybox")
        shutil.copy(source, tree / "init")
        (tree / "init").chmod(0o755)
        order = []
        for path in _with_what_they_need(kernel):
            opener = _OPENERS.get(path.suffix)
            name = path.stem if opener else path.name
            (tree / "modules" / name).write_bytes(
                subprocess.run([*opener, path], capture_output=True, check=True).stdout if opener else path.read_bytes()
            )
            order.append(name)
        (tree / "modules/order").write_text("".join(f"{name}\n" for name in order))
        archive = Path(scratch) / "archive"
        names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
        with archive.open("wb") as out:
            subprocess.run(["cpio", "--create", "--format=newc", "--quiet"], input=names.encode(), stdout=out, cwd=tree, check=True)
        archive.rename(made)
    return made


def _with_what_they_need(kernel: Kernel) -> list[Path]:
    """The files of `_MODULES`, each after those that it needs."""
    root = kernel.modules
    needs = {}
    for line in (root / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    ordered: dict[str, None] = {}
    for name in _MODULES:
        if name not in by_name:
            continue  # it is in the kernel
        for path in (*reversed(needs[by_name[name]]), by_name[name]):
            ordered.setdefault(path)
    return [root / path for path in ordered]

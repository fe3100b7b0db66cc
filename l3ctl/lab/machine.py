"""What the lab and the tests need of the machine they run on, and how to get it."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from l3ctl.errors import MissingRequirement
from l3ctl.xdp.libbpf import Map

PROGRAMS = {"ip": "iproute2", "bird": "bird2", "birdc": "bird2", "ping": "iputils-ping"}
"""what the lab runs -> the Debian package it is in"""
_SBIN = "/usr/sbin:/sbin"
_ARRAY = 2


def found(program: str) -> str:
    """The program's path; its bare name when it is not there. Not every root has sbin on its path."""
    return shutil.which(program) or shutil.which(program, path=_SBIN) or program


def require_namespaces() -> None:
    """Raise `MissingRequirement` unless network namespaces can be made."""
    if os.geteuid() != 0:
        raise MissingRequirement("network namespaces and BPF programs need root", "run as root")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        raise MissingRequirement("this root may not make network namespaces (CAP_SYS_ADMIN)", "run outside of the container")


def require_bpf() -> None:
    """Raise `MissingRequirement` unless BPF programs can be compiled and loaded."""
    try:
        Map.create("l3ctl_probe", _ARRAY, 4, 4, 1).close()
    except OSError as error:
        mend = "run as root on a kernel with CONFIG_BPF_SYSCALL, outside of a container"
        raise MissingRequirement(f"the bpf system call fails: {error.strerror}", mend) from error
    if importlib.util.find_spec("bcc") is None:
        raise MissingRequirement("the compiler library bcc is missing", "apt-get install python3-bpfcc, and make setup")


def require_lab() -> None:
    """Raise `MissingRequirement` with the first thing the lab lacks here."""
    require_namespaces()
    require_bpf()
    packages = sorted({package for program, package in PROGRAMS.items() if not Path(found(program)).is_absolute()})
    if packages:
        raise MissingRequirement(f"the lab needs {', '.join(packages)}", f"apt-get install {' '.join(packages)}, or make setup")

"""The lab, with a router that is a bare Debian, on which l3ctl is what its package installs."""

import json
from pathlib import Path
from typing import Any

from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6, ROUTER4, ROUTER6, UPSTREAM6, inventory, record
from l3ctl.lab.namespaces import run
from l3ctl.lab.programs import Router
from l3ctl.lab.topology import Lab
from tests.package.machine import Machine

BGP = f"""\
bgp:
  user: l3ctl
  router_id: {ROUTER4}
  local_as: 65010
  damping: off
  peers:
    - {{address: "{UPSTREAM6}", remote_as: 65000, local_address: "{ROUTER6}"}}
"""


class PackagedRouter(Router):
    """Its commands are those of the machine."""

    def __init__(self, name: str, run_dir: Path) -> None:
        super().__init__(name, run_dir)
        self.machine = Machine(name, self)

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.machine.run("l3ctl", *arguments, ok=ok)

    def remove(self) -> None:
        self.machine.remove()
        super().remove()


class Packaged(Lab):
    """Nothing of l3ctl's is on it when it is up."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.router: PackagedRouter = PackagedRouter(f"{prefix}-router", self.run_dir)
        self.machine = self.router.machine

    def start_programs(self) -> None:
        self.upstream.start_bird()
        self.machine.build()
        self.machine.boot()

    def install(self, package: Path) -> str:
        """As somebody would who was sent the package: what apt says."""
        self.machine.place(package, "/root")
        return self.machine.run("apt-get", "install", "-y", f"/root/{package.name}")

    def configure(self, *, mode: str = "audit", bgp: bool = True, enforced: str = "", wrong_mac: str = "") -> None:
        """Write both files; one port may be enforced ahead of the others, or have a MAC that is not its host's."""
        gateway = f"gateway: {{ipv6: [{GATEWAY6}], ipv4: [{GATEWAY4}]}}"
        source = "inventory: {file: inventory.yaml, max_shrink: 100}"
        self.machine.write("/etc/l3ctl/l3ctl.yaml", f"router: r1\n{source}\n{gateway}\nguard: {{mode: {mode}}}\n{BGP if bgp else ''}")
        records = {one.name: record(one) for one in CUSTOMERS}
        if enforced:
            records[enforced]["mode"] = "enforce"
        if wrong_mac:
            records[wrong_mac]["mac"] = "52:54:00:00:00:99"
        self.machine.write("/etc/l3ctl/inventory.yaml", inventory(records.values()))

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.l3ctl("status", "--json", ok=(0, 1)))
        return told

    def modes(self) -> dict[str, str]:
        """What the filter does on each port."""
        return {port["name"]: port["filter"] for port in self.status()["ports"]}

    def programs(self) -> dict[str, int]:
        """The number of the XDP program on each of the router's netdevs that has one."""
        links = json.loads(run("ip", "-n", self.router.name, "-j", "-d", "link", "show"))
        return {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if link.get("xdp", {}).get("prog")}

    def ours(self) -> list[str]:
        """Every route and neighbour in the router's kernel that says it is l3ctl's."""
        tables = (("-4", "route", "show", "table", "all"), ("-6", "route", "show", "table", "all"), ("neigh", "show"))
        shown = (run("ip", "-n", self.router.name, *words, "proto", "201").splitlines() for words in tables)
        return [line for lines in shown for line in lines]

    def sysctls(self) -> dict[str, str]:
        """Those of every netdev, as they are."""
        with self.router.entered():
            files = sorted(Path("/proc/sys/net").glob("ipv[46]/*/port-*/*"))
            return {str(file): file.read_text() for file in files if file.stat().st_mode & 0o400 and file.name != "stable_secret"}

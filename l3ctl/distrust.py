"""The kernel believes nothing that a customer says: the sysctls of ports' netdevs, before their first entry and ever after."""

from collections.abc import Iterable, Mapping

from l3ctl.errors import L3ctlError
from l3ctl.failures import Failed, reason_of
from l3ctl.kernel.tables import Kernel
from l3ctl.log import event
from l3ctl.model import Change, Neighbour, Port, PortPolicy, Verb


def prepare(kernel: Kernel, ports: Mapping[str, Port], changes: Iterable[Change]) -> list[Failed]:
    """Set up the netdevs that these changes give their first entry. A port where that fails gets none."""
    first: dict[str, Change] = {}
    for change in changes:
        if change.port in ports and change.verb is Verb.ADD and isinstance(change.item, PortPolicy | Neighbour):
            first.setdefault(change.port, change)
    failed = []
    # The kernel tells what differs: of files there are eleven a netdev, and to open one takes longer than to ask for them all.
    told = kernel.trust([ports[name].interface for name in first])
    try:
        kernel.sysctls.foresee(told.values())
    finally:  # they are set all the same where it cannot be noted what they were
        for name, change in first.items():
            interface = ports[name].interface
            try:
                kernel.sysctls.guard(interface, told.get(interface))
            except L3ctlError as error:
                failed.append(Failed(change, reason_of(error)))
    kernel.sysctls.remember()
    return failed


def restore(kernel: Kernel, ports: Mapping[str, Port]) -> None:
    """Set up again what somebody has set back since, and tell. Raises as `Sysctls.guard`."""
    trusting = kernel.trusting()
    for port in ports.values() if trusting else ():
        if port.interface in trusting and (was := kernel.sysctls.guard(port.interface)):
            event("replace", port=port.name, sysctls=" ".join(was), was=" ".join(was.values()))
    kernel.sysctls.remember()

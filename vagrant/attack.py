"""What the lab's customer `rogue` sends when it means harm, from inside its namespace: a line for each attack, frames sent and its name.

The attacks of `l3ctl lab attack`, a few hundred frames in all.
"""

import socket

from l3ctl.lab.attacks import ATTACKS
from l3ctl.lab.customers import CUSTOMERS

_REPEATS, _FLOOD = 3, 50

by_name = {customer.name: customer for customer in CUSTOMERS}
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("eth0", 0))
    for attack in ATTACKS:
        frames = list(attack.frames(by_name["rogue"], by_name["web1"], _FLOOD if "flood" in attack.name else _REPEATS))
        for frame in frames:
            raw.send(frame)
        print(f"{len(frames):4} {attack.name}, to {attack.aim}")

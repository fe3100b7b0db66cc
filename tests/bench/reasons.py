"""Why l3ctl is behind where it is, and what would change that: for README's table. Which rows are is left to the results."""

BY_NOTHING = 1.05
"""times; a difference of less is none on a machine that others use too"""

_LIMIT = "an empty program, which reads nothing of a frame, is the limit and no filter"
REASONS: dict[str, tuple[str, str, str]] = {
    "pass-(tcp6|udp4|tagged)(-1.*)?": (
        "ordinary traffic, beside an empty program",
        "some twenty instructions tell it from ARP and ND: two to six nanoseconds",
        f"nothing: {_LIMIT}",
    ),
    "pass-.*-guard.*": (
        "ordinary traffic with source guard, beside an empty program",
        "a look-up in an array, on a trunk two of which one waits for the other, and the comparison of MAC and source",
        f"nothing: {_LIMIT}",
    ),
    "drop-.*|answer-.*": (
        "ARP and ND alone, beside an empty program",
        "each frame is looked up, verified down to its checksum, counted by port and reason, and kept as evidence as far as there is room",
        f"little: {_LIMIT}",
    ),
    "line-.*-xdp-drop": (
        "ARP and ND as from a NIC, beside an empty program that drops all",
        "the same; that the frame has to be loaded is next to nothing of it, as the program shows that touches it and drops all",
        f"little: {_LIMIT}",
    ),
    "line-.*-xdp-read": (
        "ARP and ND as from a NIC, beside a program that touches a frame and drops all",
        "each frame is looked up, verified down to its checksum, counted by port and reason, and kept as evidence as far as there is room",
        "little: that program knows nobody",
    ),
    "line-.*-(xdp-filter|tc-bpf)": (
        "ARP and ND as from a NIC, beside other BPF programs",
        "they look at a type and an address at most",
        "little: who tells a billed sender from another has to look him up",
    ),
    "attack-.*-cpu-.*": (
        "CPU per frame of an attack, beside other routers",
        "the router's kernel refuses those frames early by itself, and here the filter runs in generic mode, after an skb was made",
        "a netdev with native XDP: see the table of frames as from a NIC",
    ),
    "attack-.*-(cold|lost)-.*": (
        "hosts reached, and innocents' pings, under attack, beside other routers",
        "a scan of the hosts' own prefixes is forwarded; when it is more than two CPUs carry, some of it is lost, and some of the pings",
        "more CPUs, or a limit on what is forwarded to one port, which l3ctl does not set",
    ),
    "attack-.*-p50-.*": (
        "an innocent's ping under attack, its median, beside other routers",
        "both CPUs are full, and the attacker, who shares them, sends the more frames the less each costs, we think: his rate is not kept",
        "a machine with more CPUs than the lab has threads",
    ),
    "attack-.*-p99-.*": (
        "an innocent's ping under attack, beside other routers",
        "two CPUs for the attacker, the router and the innocent: what is late is late by scheduling",
        "a machine with more CPUs than the lab has threads",
    ),
    "forward-.*": (
        "throughput, beside the same router without a filter",
        "on a veth the filter runs in generic mode, which copies frames that have no headroom",
        "a netdev with native XDP",
    ),
    ".*-limit": (
        "neighbours and routes in bulk, beside messages made in advance",
        "the limit's messages are made before the clock starts, and it asks for one acknowledgement, so it cannot say which entry failed",
        "a packer in C, which would be worth a twentieth of a second in 100,000",
    ),
    ".*-growth": (
        "growth of the cost with the number of entries, beside linear",
        "a hundred times as many entries fit no cache, neither the kernel's tables nor the messages",
        "nothing of ours: the kernel's own time, which is the limit above, grows alike",
    ),
    "dump-.*": (
        "reading and understanding all of the kernel's tables at once, beside iproute2's showing them",
        "every entry becomes an object, in Python; the agent understands only what does not read as it is wanted, and 500 ports at a time",
        "little: no path of l3ctl does it for so many",
    ),
    "noop-.*": (
        "reading the kernel's tables, beside iproute2's",
        "every entry is compared with what is wanted, links and the filter's maps too, in Python",
        "little: it is asked once a minute",
    ),
    "link-to-update-.*-bird|cold-.*-bird": (
        "announcing, beside BIRD alone",
        "ExaBGP is Python and takes one command after the other; BIRD is C, but knows no inventory: somebody must write its configuration",
        "another speaker behind the relay; who needs no more than a static table should take BIRD",
    ),
    "link-to-update-.*-gobgp|cold-.*-gobgp": (
        "announcing, beside GoBGP alone",
        "ExaBGP takes one command after the other; GoBGP takes many paths at once, but knows no inventory and no links: a client has to",
        "another speaker behind the relay",
    ),
    "link-to-update-.*": (
        "announcing, beside a script's write",
        "the agent reads the event, looks at the port's links, and has its routes in the kernel before it announces them",
        "little: announcing first would send traffic to where no route is yet",
    ),
    "cold-.*": (
        "many prefixes, beside a script's lines",
        "the relay hands on what ExaBGP has answered before it sends more, and the agent waits for that",
        "longer commands, which ExaBGP answers later",
    ),
    "restart-.*": (
        "an agent's start where all is in place, beside iproute2's showing it",
        "the inventory is read and checked, what is wanted worked out for every port, and all that is there compared with it, in Python",
        "a compiled language; or taking an earlier agent's word for what is there, which is looked at instead",
    ),
    "start-.*": (
        "an agent's start, beside `ip -batch`",
        "it also asks for every netdev's sysctls and sets what differs, loads the filter, fills its maps, and tells the log of each change",
        "sysctls of many netdevs in one call, which the kernel does not have; less said in the log",
    ),
    "rss-.*|idle-.*|change-.*": (
        "an agent at rest, or one that reads a changed record",
        "an agent remembers and compares ten thousand ports; the reference does nothing, or knows beforehand what to change",
        "nothing: they are measures, not rivals",
    ),
}
"""regular expression of a row's name -> what, why, what would change it; the first that matches"""

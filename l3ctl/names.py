"""Names that stand for something outside of one process: paths, and what counters and changes are told under. Imported in no time."""

from pathlib import Path

RUN_DIR, STATE_DIR = Path("/run/l3ctl"), Path("/var/lib/l3ctl")
"""unless told otherwise: what ends with the machine, and what has to outlast a reboot"""
AGENT_SOCKET = "agent.sock"
"""where commands reach the agent, in its run_dir"""
CONFIG_PATH = Path("/etc/l3ctl/l3ctl.yaml")
"""unless told otherwise"""
ANSWERS = ("arp-answer", "ns-answer", "probe-answer")
"""what the filter counts and nobody was refused"""
ORPHAN = "-"
"""begins the name under which stands what is ours on a netdev that is no port's: an uplink's neighbours, and what is left there and goes.
Alone it is for what is on no netdev, blackholes. No port's name begins so."""

"""ExaBGP, as the program that it is, with a clock that nobody sets: `python -P -m l3ctl.bgp.steady_exabgp server FILE`.

ExaBGP counts hold times by time.time(). So a step of the machine's clock by more than that, as with the first answer of a time server or
when a virtual machine goes on after a pause, would end all sessions at once, and peers would forget what they were told. For this process
the clock is what it was at the start and what has gone by since, which no step changes (clock_gettime(2), CLOCK_MONOTONIC).
"""

import sys
import time


def main() -> None:
    """Run it, with our own arguments."""
    began = time.time() - time.monotonic()
    time.time = lambda: began + time.monotonic()
    from exabgp.application.main import main as exabgp

    sys.argv[0] = "exabgp"
    sys.exit(exabgp())


if __name__ == "__main__":
    main()

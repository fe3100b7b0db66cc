"""The clock that the filter reads: it moves with the kernel's tick, and costs next to nothing to ask."""

import time

_MONOTONIC_COARSE = 6
"""of clock_gettime(2), which the time module has no name for; bpf_ktime_get_coarse_ns reads the same"""


def now() -> int:
    """Nanoseconds."""
    return time.clock_gettime_ns(_MONOTONIC_COARSE)

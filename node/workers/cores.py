"""How many workers a machine is good for."""

import math
import os
from pathlib import Path
from typing import Final

from node.forwarding.place import NUMBER_BITS

CPU_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2; "max 100000" is no limit
MOST: Final = (1 << NUMBER_BITS) - 1


def worker_count(configured: int, limit_file: Path = CPU_LIMIT) -> int:
    """The workers that `node.workers` asks for; 0 is one for each core that this process may use.

    A container's share of CPU time counts: more workers than that only wait for each other.
    """
    if configured:
        return configured
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _limit(limit_file), MOST))


def _limit(file: Path) -> int:
    """Cores' worth of time that the control group may use, rounded up."""
    try:
        quota, period = file.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return MOST

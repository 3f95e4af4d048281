"""How many processes are worth running."""

import os
from pathlib import Path


def available_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many CPUs this process may use: its affinity, and what its control group allows (cgroup v2), rounded up."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text("ascii").split()
        return cpus if allowed == "max" else min(cpus, -(-int(allowed) // int(period)))
    except OSError:
        return cpus

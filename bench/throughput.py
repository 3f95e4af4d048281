"""Commands per second, from the group's committed offsets in the steady part of the run."""

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.cluster import Cluster
from bench.handlers import handler, usage

_STEADY: Final = (0.2, 0.97)
_POLL_SECONDS: Final = 0.25
_QUIET: Final = 0.2
"""Other work on a shared machine slows a core down, and that counts as CPU time: a run's quietest fifth says most."""

_WINDOW_SECONDS: Final = 1.0
_DEADLINE_SECONDS: Final = 300


class Sample(NamedTuple):
    """What was seen at one moment."""

    at: float
    done: int
    cpu: float
    memory: int


def throughput(cluster: Cluster, total: int, processes: int, log: Path, profile: Path | None = None) -> dict[str, Any]:
    """Let a handler of so many processes work through all `total` commands of a filled topic, from nothing."""
    cluster.empty(commands=False)
    cluster.publish_definition()
    samples: list[Sample] = []
    follower = cluster.follower()
    deadline = time.monotonic() + _DEADLINE_SECONDS
    with handler(cluster.servers, log, processes, profile) as running:
        while not samples or samples[-1].done < total:
            if running.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8")[-1000:]
                raise RuntimeError(f"The handlers ended, or did not finish in {_DEADLINE_SECONDS} s:\n{said}")
            done = cluster.committed(follower)
            samples.append(Sample(time.monotonic(), done, *usage(running)))
            time.sleep(_POLL_SECONDS)
    follower.close()
    steady = [sample for sample in samples if _STEADY[0] * total <= sample.done <= _STEADY[1] * total]
    first, last = steady[0], steady[-1]
    seconds, done = last.at - first.at, last.done - first.done
    return {
        "what": "throughput", "who": "ours", "processes": processes, "commands_per_second": round(done / seconds),
        "cpu_us_per_command": round((last.cpu - first.cpu) / done * 1e6, 1),
        "cpu_us_when_quiet": round(_when_quiet(steady) * 1e6, 1), "window_seconds": round(seconds, 1),
        "memory_mb": round(max(sample.memory for sample in samples) / 1e6), "commands": total,
        "events": cluster.count_events(),
    }  # fmt: skip


def _when_quiet(samples: list[Sample]) -> float:
    """CPU seconds per command in the quietest windows."""
    costs: list[float] = []
    begin = samples[0]
    for sample in samples:
        if sample.at - begin.at >= _WINDOW_SECONDS and sample.done > begin.done:
            costs.append((sample.cpu - begin.cpu) / (sample.done - begin.done))
            begin = sample
    return sorted(costs)[int(len(costs) * _QUIET)] if costs else 0.0

"""The peer benchmarks beside ours: their own driver, in its own directory, on the same broker."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PEER: Final = "kstreams"
"""Kafka Streams with exactly_once_v2: the one that ours is judged by."""

OTHERS: Final = ("quix", "aio_batch_best_pyd")
"""quixstreams, and aiokafka by hand with pydantic at its best, likewise exactly once."""

_MODE: Final = "eos"


@dataclass(frozen=True)
class Peer:
    """The peer `name`, driven by `bench.py` in `directory` with its own virtual environment."""

    name: str
    directory: Path
    servers: str
    executions: int

    def fill(self) -> None:
        """Write the commands of all peers, once per broker."""
        self._run("fill")

    def throughput(self, processes: int) -> dict[str, Any]:
        """Its commands per second, measured as ours are."""
        found = self._run("thr", self.name, _MODE, str(processes))
        return {
            "what": "throughput", "who": self.name, "processes": processes, "commands_per_second": found["cmd_s"],
            "cpu_us_per_command": found["cpu_us"], "window_seconds": found["window_s"], "memory_mb": found["rss_mb"],
            "commands": found["done"], "events": found["events"],
        }  # fmt: skip

    def latency(self) -> dict[str, Any]:
        """Its latency at the same rate."""
        found = self._run("lat", self.name, _MODE)
        same = ("start_s", "p50", "p95", "p99", "max", "sent", "got")
        more = {"cores": found["cores_at_500"], "memory_mb": found["idle_rss_mb"]}
        return {"what": "latency", "who": self.name, **{name: found[name] for name in same}, **more}

    def restart(self) -> dict[str, Any]:
        """Its restart after SIGTERM, from its changelog (as ours) and from its local store."""
        found = self._run("restore", self.name, _MODE)
        more = {"sigterm_s": found["wiped_s"], "sigterm_local_store_s": found.get("local_s")}
        return {"what": "restart", "who": self.name, "open_executions": self.executions, **more}

    def _run(self, *arguments: str) -> dict[str, Any]:
        environment = {**os.environ, "BOOT": self.servers, "NEXEC": str(self.executions), "MAXSEC": "300"}
        done = subprocess.run(
            ["venv/bin/python", "bench.py", *arguments],
            cwd=self.directory, env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if arguments != ("fill",) else {}
        return found

"""Memory, file descriptors and threads under a steady load: `python -m bench.soak --minutes 30 --rate 1000`.

A handler as it ships, and the projector with the API in one process on an engine of its own, which is queried
meanwhile. All is flat if nothing grows any more in the second half.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression, mean
from typing import Annotated, Any, Final

import psutil
import typer

from bench import handlers
from bench.cluster import PARTITIONS, Cluster
from bench.load import Load, Reader
from service.embedded.broker import EmbeddedBroker

SECONDS: Final = 5.0
"""Between samples."""

GROWTH: Final = {"rss_mb": 0.05, "own_mb": 0.05, "fds": 0.1, "threads": 0.1}
"""In the second half, at most so much of its mean, by the line that fits best."""

ROWS: Final = 15

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@dataclass(frozen=True)
class Sample:
    """One process group at one moment. `own_mb`: its memory without files, such as programs, that are mapped there."""

    minute: float
    who: str
    rss_mb: float
    own_mb: float
    fds: int
    threads: int


@app.command()
def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 30,
    rate: Annotated[int, typer.Option(help="Commands per second.")] = 1000,
    keep: Annotated[Path | None, typer.Option(help="Keep data and logs in this empty directory.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="All samples as JSON lines, before the table.")] = False,
) -> None:
    """Run, print a table and the verdict, and exit with 1 if anything still grows in the second half."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = keep or Path(temporary)
        samples = asyncio.run(_on_a_broker(directory, minutes, rate, as_json=as_json))
    sys.exit(not report(samples))


async def _on_a_broker(directory: Path, minutes: float, rate: int, *, as_json: bool) -> list[Sample]:
    async with EmbeddedBroker(directory, 0) as broker:
        cluster = Cluster(broker.bootstrap_servers)
        return await asyncio.to_thread(_soak, cluster, directory, minutes, rate, as_json=as_json)


def _soak(cluster: Cluster, directory: Path, minutes: float, rate: int, *, as_json: bool) -> list[Sample]:
    cluster.empty(commands=True)
    cluster.publish_definition()
    samples: list[Sample] = []
    with ExitStack() as stack:
        handler = stack.enter_context(handlers.handler(cluster.servers, directory / "handler.log"))
        read_side, url = _read_side(cluster.servers, directory)
        stack.callback(handlers.stop, read_side)
        load = stack.enter_context(Load(cluster, rate))
        reader = stack.enter_context(Reader(url))
        follower = cluster.follower()
        stack.callback(follower.close)
        while not cluster.committed(follower) and handler.poll() is None:
            time.sleep(SECONDS)
        began = time.monotonic()
        while (minute := (time.monotonic() - began) / 60) < minutes:
            for who, running in (("handler", handler), ("projector + api", read_side)):
                if running.poll() is not None:
                    raise RuntimeError(f"{who} ended; its log is in {directory}.")
                sample = Sample(round(minute, 2), who, *_measured(running))
                samples.append(sample)
                if as_json:
                    print(json.dumps(asdict(sample)), flush=True)
            time.sleep(SECONDS)
        reader.check()
        print(f"{load.sent} commands sent, {load.sent - cluster.committed(follower)} not handled yet.")
        print(f"{reader.asked} queries; as of the last one, {reader.lag} events were not projected yet.")
    return samples


def _read_side(servers: str, directory: Path) -> tuple[psutil.Popen, str]:
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": servers, "CLICKHOUSE_DSN": f"chdb://{directory}/clickhouse",
        "TASKEXEC_PARTITIONS": str(PARTITIONS), "TASKEXEC_HTTP_PORT": "0",
    }  # fmt: skip
    with (directory / "read-side.log").open("ab") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "bench.reader"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    url = process.stdout.readline().strip()
    if not url:
        raise RuntimeError((directory / "read-side.log").read_text("utf-8")[-1000:])
    return process, url


def _measured(running: psutil.Popen) -> tuple[float, float, int, int]:
    rss = own = 0.0
    fds = threads = 0
    for process in (psutil.Process(running.pid), *running.children(recursive=True)):
        memory: Any = process.memory_info()
        rss += memory.rss / 1e6
        own += (memory.rss - memory.shared) / 1e6
        fds += process.num_fds()
        threads += process.num_threads()
    return round(rss, 1), round(own, 1), fds, threads


def report(samples: list[Sample]) -> bool:
    """Print how each went on, and whether all of them are flat in the second half."""
    flat = True
    for who in sorted({sample.who for sample in samples}):
        own = [sample for sample in samples if sample.who == who]
        print(f"\n{who}\n| minute | RSS MB, mean (max) | own MB | fds, mean (max) | threads |\n|---|---|---|---|---|")
        for first in range(0, len(own), step := max(1, len(own) // ROWS)):
            print(_row(own[first : first + step]))
        for what, allowed in GROWTH.items():
            share, per_hour = growth([(sample.minute, getattr(sample, what)) for sample in own])
            verdict = "flat" if share <= allowed else "GROWS"
            flat = flat and share <= allowed
            print(f"{what}: {share:+.1%} in the second half ({per_hour:+.1f} an hour): {verdict}")
    return flat


def _row(samples: list[Sample]) -> str:
    rss, fds = [sample.rss_mb for sample in samples], [sample.fds for sample in samples]
    own, threads = mean(sample.own_mb for sample in samples), mean(sample.threads for sample in samples)
    return (
        f"| {samples[0].minute:.1f} | {mean(rss):.0f} ({max(rss):.0f}) | {own:.0f} "
        f"| {mean(fds):.0f} ({max(fds)}) | {threads:.0f} |"
    )


def growth(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the second half, by the line that fits best: growth as a share of the mean, and per hour."""
    half = points[len(points) // 2 :]
    minutes, values = zip(*half, strict=True)
    slope = linear_regression(minutes, values).slope
    return slope * (minutes[-1] - minutes[0]) / mean(values), slope * 60


if __name__ == "__main__":
    app()

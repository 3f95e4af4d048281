"""The write side as it ships, beside its peers: `python -m bench.write_side --peers DIR`.

Everything runs in turns on one broker, ours and theirs alternating, so that a busy machine is unfair to neither.
"""

import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer

from bench.cluster import Cluster
from bench.latency import latency
from bench.peers import OTHERS, PEER, Peer
from bench.restart import restart
from bench.throughput import throughput
from bench.workload import NOTE, TYPES, lives
from service.embedded.broker import EmbeddedBroker
from service.runtime.cpus import available_cpus

FLOOR: Final = 0.7
"""Ours must reach this share of the peer's commands per second."""

Result = dict[str, Any]


class What(StrEnum):
    """What can be measured."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    RESTART = "restart"


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917 - the options of a command line
    what: Annotated[list[What] | None, typer.Argument(help="All, if none is named.")] = None,
    peers: Annotated[Path | None, typer.Option(help="Directory of the peer benchmark, ready to run.")] = None,
    executions: Annotated[int, typer.Option(help="Three commands each; a restart has half as many open.")] = 200_000,
    rounds: Annotated[int, typer.Option(help="How often everything is measured.")] = 2,
    note: Annotated[int, typer.Option(help="Bytes of the largest input and output; the peers keep theirs.")] = NOTE,
    processes: Annotated[
        list[int] | None, typer.Option(help="Ours and theirs; 1, and one per CPU, if not given.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="Measure nothing; write a cProfile of one handler here.")] = None,
) -> None:
    """Print each result as a line of JSON, then a table of the medians and the ratio to the peer."""
    todo = set(what or What)

    def work(cluster: Cluster, log: Path) -> None:
        if profile:
            cluster.empty(commands=True)
            cluster.fill(lives(executions, note))
            print(json.dumps(throughput(cluster, executions * len(TYPES), 1, log, profile)))
            return
        bench = Bench(cluster, log, peers.absolute() if peers else None, executions, note)
        if What.THROUGHPUT in todo:
            bench.throughput(rounds, processes or sorted({1, available_cpus()}))
        for _ in range(rounds):
            if What.LATENCY in todo:
                bench.latency()
            if What.RESTART in todo:
                bench.restart()
        _report(bench.results)

    asyncio.run(_on_a_broker(work))


async def _on_a_broker(work: Callable[[Cluster, Path], None]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with EmbeddedBroker(Path(directory), 0) as broker:
            await asyncio.to_thread(work, Cluster(broker.bootstrap_servers), Path(directory, "handler.log"))


@dataclass
class Bench:
    """Ours and theirs in turns; each result is printed at once."""

    cluster: Cluster
    log: Path
    peers: Path | None
    executions: int
    note: int
    results: list[Result] = field(default_factory=list)

    def throughput(self, rounds: int, processes: list[int]) -> None:
        """Fill both topics once; every measurement begins with nothing written."""
        self.cluster.empty(commands=True)
        total = self.cluster.fill(lives(self.executions, self.note))
        peers = self._peers(self.executions)
        for peer in peers[:1]:
            peer.fill()
        for count in processes * rounds:
            self._note(throughput(self.cluster, total, count, self.log))
            for peer in peers:
                self._note(peer.throughput(count))

    def latency(self) -> None:
        """Measure at 500 commands a second."""
        self._note(latency(self.cluster, self.log))
        for peer in self._peers(self.executions):
            self._note(peer.latency())

    def restart(self) -> None:
        """Measure with half of the executions open."""
        count = self.executions // 2
        self._note(restart(self.cluster, count, self.log))
        for peer in self._peers(count):
            self._note(peer.restart())

    def _peers(self, executions: int) -> list[Peer]:
        if self.peers is None:
            return []
        return [Peer(name, self.peers, self.cluster.servers, executions) for name in (PEER, *OTHERS)]

    def _note(self, result: Result) -> None:
        self.results.append(result)
        print(json.dumps(result), flush=True)


def _report(results: list[Result]) -> None:
    rows: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        what = result["what"] + (f", {result['processes']} process(es)" if "processes" in result else "")
        rows[what, result["who"]].append(result)
    print("\n| what | who | medians |\n|---|---|---|")
    for (what, who), found in rows.items():
        medians = {
            name: round(median(result[name] for result in found), 2)
            for name, value in found[0].items()
            if isinstance(value, int | float) and name != "processes"
        }
        print(f"| {what} | {who} | {', '.join(f'{name} {value:g}' for name, value in medians.items())} |")
    _judge([result for result in results if result["what"] == What.THROUGHPUT])


def _judge(results: list[Result]) -> None:
    """As it ships, with a process per CPU, beside the peer's best number of processes on the same machine."""
    speeds: dict[str, dict[int, float]] = {}
    for who in ("ours", PEER):
        counts = {result["processes"] for result in results if result["who"] == who}
        speeds[who] = {
            count: median(
                result["commands_per_second"]
                for result in results
                if result["who"] == who and result["processes"] == count
            )
            for count in counts
        }
    if not speeds[PEER]:
        return
    for count, speed in sorted(speeds["ours"].items()):
        print(f"\n{count} process(es) each: ours is {speed / speeds[PEER][count]:.2f} x {PEER}.")
    ours, best = speeds["ours"][max(speeds["ours"])], max(speeds[PEER].values())
    verdict = "reached" if ours / best >= FLOOR else "MISSED"
    print(f"\nAs it ships, against the best of {PEER}: {ours / best:.2f}; the floor of {FLOOR} is {verdict}.")


if __name__ == "__main__":
    app()

"""What it costs to give work to workers: from a command to the call of a worker's function, and beside it.

`python -m bench.workers --json`. Every role is a process of its own; the workers are in a few.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any, Final

import psutil
import typer

from bench.cluster import PARTITIONS
from bench.roles import Roles, cpu_seconds, ended
from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition
from service.contracts.topics import COMMANDS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.embedded.ports import free_port
from service.kafka.connection import Kafka
from service.kafka.ends import TopicEnds
from tests.clickhouse_server import running_server

TASKS: Final = 1_000
_POOLS: Final = 4
_STEP: Final = 10
"""From the task of one execution to that of the next: so they are spread evenly over workers that have a part each."""

_SETTLE_SECONDS: Final = 3
_LATE_SECONDS: Final = 60


Work = Callable[[], Awaitable[tuple[list[str], float]]]


def task_id(number: int) -> str:
    """The number-th task."""
    return f"bench:task-{number}"


def main(  # noqa: PLR0913 - each is an option
    *,
    workers: Annotated[int, typer.Option(help="Each runs one execution at a time.")] = 100,
    tasks: Annotated[int, typer.Option(help="Of the 1,000, so many can each worker run.")] = 100,
    rate: Annotated[int, typer.Option(help="Executions a second, where they come steadily.")] = 20,
    seconds: Annotated[int, typer.Option(help="For so long.")] = 30,
    burst: Annotated[int, typer.Option(help="Executions, where they come at once.")] = 1_000,
    apis: Annotated[int, typer.Option(help="API processes, between which the workers are divided.")] = 1,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure, and print the figures."""
    for figure in asyncio.run(_measure(_Load(workers, tasks, rate, seconds, burst), apis)):
        print(json.dumps(figure) if as_json else figure)


@dataclass(frozen=True)
class _Load:
    """See `main`."""

    workers: int
    tasks: int
    rate: int
    seconds: int
    burst: int


async def _measure(load: _Load, apis: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        home = Path(directory)
        for part in ("kafka", "clickhouse"):
            (home / part).mkdir()
        async with EmbeddedBroker(home / "kafka", port=0) as broker:
            bench = _Bench(broker.bootstrap_servers, stack.enter_context(running_server(home / "clickhouse")), home)
            roles = {name: stack.enter_context(bench.role(name)) for name in ("projector", "handler")}
            ports = [free_port("127.0.0.1") for _ in range(apis)]
            served = [stack.enter_context(bench.role("api", TASKEXEC_HTTP_PORT=str(port))) for port in ports]
            await publish_definitions(bench.kafka, [_definition(number) for number in range(TASKS)])
            async with CommandClient(bench.kafka, "/bench") as client:
                each = load.workers // _POOLS
                for number in range(_POOLS):
                    url = f"http://127.0.0.1:{ports[number % apis]}"
                    stack.enter_context(bench.pool(url, number * each, each, load.tasks))
                watched = {"api": served, "handler": [roles["handler"]], "projector": [roles["projector"]]}
                await _send(client, bench, 4 * load.workers)
                await asyncio.sleep(_SETTLE_SECONDS)
                phases: dict[str, Work] = {
                    "idle": lambda: asyncio.sleep(10, ([], 0.0)),
                    "steady": lambda: _send(client, bench, load.rate * load.seconds, rate=load.rate),
                    "burst": lambda: _send(client, bench, load.burst),
                    "long runs": lambda: _send(client, bench, load.workers, work=20),
                }
                told = asdict(load) | {"apis": apis}
                return [told | await bench.during(what, watched, work) for what, work in phases.items()]


async def _send(
    client: CommandClient, bench: "_Bench", count: int, *, rate: float = 0, work: float = 0
) -> tuple[list[str], float]:
    """The executions that were made, once all have begun and could have ended; and how long that took."""
    began = time.time()
    sent = []
    for number in range(count):
        if rate and (wait := began + number / rate - time.time()) > 0:
            await asyncio.sleep(wait)
        inputs = {"sent": time.time(), "seconds": work}
        task = task_id((number * _STEP + number * _STEP // TASKS) % TASKS)
        command = ExecuteTask(task_id=task, task_version="1.0.0", inputs=inputs)
        sent.append(asyncio.create_task(client.publish(command)))
        await asyncio.sleep(0)
    ids = await asyncio.gather(*sent)
    until = time.time() + _LATE_SECONDS
    while not set(ids) <= bench.begun().keys() and time.time() < until:  # noqa: ASYNC110 - others write them
        await asyncio.sleep(0.05)
    took = time.time() - began
    await asyncio.sleep(work + 0.5)
    return ids, took


def _definition(number: int) -> TaskDefinition:
    return TaskDefinition.model_validate(
        {
            "taskId": task_id(number), "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
            "inputVariables": [{"name": "sent", "type": "number"}, {"name": "seconds", "type": "number"}],
        }
    )  # fmt: skip


class _Bench:
    """Where everything is, and what of it is measured."""

    def __init__(self, kafka: str, clickhouse: str, home: Path) -> None:
        self.kafka, self._home = kafka, home
        self._roles = Roles(kafka, clickhouse, home)
        self.role = self._roles.role

    @contextmanager
    def pool(self, url: str, first: int, count: int, tasks: int) -> Iterator[None]:
        """Run so many workers while the context is open."""
        arguments = [url, str(first), str(count), str(tasks), str(self._home / f"{first}.runs")]
        with ended(psutil.Popen([sys.executable, "-m", "bench.pool", *arguments], env=self._roles.environment)):
            yield

    def begun(self) -> dict[str, list[tuple[float, float]]]:
        """By execution, when it was sent and when it began, each time that it did."""
        found: dict[str, list[tuple[float, float]]] = {}
        for file in self._home.glob("*.runs"):
            for line in file.read_text("utf-8").splitlines():
                if line.endswith("]"):
                    id_, sent, began = json.loads(line)
                    found.setdefault(id_, []).append((sent, began))
        return found

    async def during(self, what: str, watched: dict[str, list[psutil.Popen]], work: Work) -> dict[str, Any]:
        """What the work took."""
        cpu_before, sent_before, began = self._cpu(watched), await self._commands(), time.time()
        ids, took = await work()
        seconds = time.time() - began
        cpu = {name: after - cpu_before[name] for name, after in self._cpu(watched).items()}
        commands = await self._commands() - sent_before
        begun = self.begun()
        waits = [(begun[id_][0][1] - begun[id_][0][0]) * 1000 for id_ in ids if id_ in begun]
        figures: dict[str, Any] = {"what": what, "executions": len(ids), "begun": len(waits)}
        figures |= {f"{name}_cores": round(used / seconds, 3) for name, used in cpu.items()}
        if not ids:
            return figures
        figures |= {f"{name}_cpu_ms": round(used * 1000 / len(ids), 2) for name, used in cpu.items()}
        return figures | {
            "p50_ms": round(median(waits), 1), "p99_ms": round(quantiles(waits, n=100)[98], 1),
            "per_second": round(len(ids) / took, 1), "commands_each": round(commands / len(ids), 2),
            "twice": sum(len(begun[id_]) > 1 for id_ in ids if id_ in begun),
        }  # fmt: skip

    async def _commands(self) -> int:
        """How many there are on the topic."""
        return sum((await TopicEnds(Kafka(self.kafka), (COMMANDS_TOPIC,), PARTITIONS).ends()).values())

    @staticmethod
    def _cpu(watched: dict[str, list[psutil.Popen]]) -> dict[str, float]:
        return {name: sum(map(cpu_seconds, processes)) for name, processes in watched.items()}


if __name__ == "__main__":
    typer.run(main)

"""What the HTTP API costs: requests, beside an app that answers a constant, and events for many who watch.

`python -m bench.http --json`. It needs Debian's wrk. Every role is a process of its own.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import psutil
import typer

from bench.roles import Roles, cpu_seconds, ended
from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition
from service.embedded.broker import EmbeddedBroker
from service.embedded.ports import free_port
from tests.clickhouse_server import running_server

_TASK: Final = "bench:http"
_DEFINITION: Final = {"taskId": _TASK, "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": []}
_EXECUTE: Final = {"taskId": _TASK, "taskVersion": "1.0.0", "inputs": {}}
_EXECUTIONS: Final = "/api/v1/task-executions"
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_POST: Final = """
wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["Content-Type"] = "application/json"
"""


def main(  # noqa: PLR0913 - each is an option
    *,
    executions: Annotated[int, typer.Option(help="So many are there to be asked for.")] = 30_000,
    seconds: Annotated[int, typer.Option(help="For each kind of request, and each rate of events.")] = 10,
    connections: Annotated[int, typer.Option(help="At once, of requests.")] = 16,
    readers: Annotated[int, typer.Option(help="Who watch, beside one who never reads.")] = 1_000,
    rates: Annotated[str, typer.Option(help="Events a second.")] = "10,50",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure, and print the figures."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt install wrk")
    figures = _measure(executions, seconds, connections, readers, [int(rate) for rate in rates.split(",")])
    for figure in asyncio.run(figures):
        print(json.dumps(figure) if as_json else figure)


async def _measure(
    executions: int, seconds: int, connections: int, readers: int, rates: list[int]
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        home = Path(directory)
        for part in ("kafka", "clickhouse"):
            (home / part).mkdir()
        async with EmbeddedBroker(home / "kafka", port=0) as broker:
            clickhouse = stack.enter_context(running_server(home / "clickhouse"))
            roles = Roles(broker.bootstrap_servers, clickhouse, home)
            for name in ("projector", "handler"):
                stack.enter_context(roles.role(name))
            port, other = free_port("127.0.0.1"), free_port("127.0.0.1")
            api = stack.enter_context(roles.role("api", TASKEXEC_HTTP_PORT=str(port)))
            command = [sys.executable, "-m", "bench.constant", str(other)]
            constant = stack.enter_context(ended(psutil.Popen(command)))
            await publish_definitions(broker.bootstrap_servers, [TaskDefinition.model_validate(_DEFINITION)])
            async with CommandClient(broker.bootstrap_servers, "/bench") as client:
                ids = await _publish(client, executions)
                await _until_there(port, executions)
                post = home / "post.lua"
                post.write_text(_POST.format(body=json.dumps(_EXECUTE)), "utf-8")
                urls: list[tuple[str, psutil.Popen, str, list[str]]] = [
                    ("a constant", constant, f"http://127.0.0.1:{other}/", []),
                    ("get", api, f"http://127.0.0.1:{port}{_EXECUTIONS}/{ids[-1]}", []),
                    ("list", api, f"http://127.0.0.1:{port}{_EXECUTIONS}?taskId={_TASK}", []),
                    ("stats", api, f"http://127.0.0.1:{port}/api/v1/task-execution-stats?taskId={_TASK}", []),
                    ("execute", api, f"http://127.0.0.1:{port}{_EXECUTIONS}", ["-s", str(post)]),
                ]
                figures = [
                    {"what": what} | await asyncio.to_thread(_wrk, process, url, more, connections, seconds)
                    for what, process, url, more in urls
                ]
                return figures + await _watched(client, api, port, readers, rates, seconds)


async def _publish(client: CommandClient, count: int, rate: float = 0) -> list[str]:
    began, sent = time.time(), []
    for number in range(count):
        if rate and (wait := began + number / rate - time.time()) > 0:
            await asyncio.sleep(wait)
        sent.append(asyncio.create_task(client.publish(ExecuteTask.model_validate(_EXECUTE))))
        if number % 500 == 0:
            await asyncio.sleep(0)
    return await asyncio.gather(*sent)


async def _until_there(port: int, count: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60) as http:
        while (await http.get("/task-execution-stats")).json()["total"] < count:  # noqa: ASYNC110 - others write them
            await asyncio.sleep(0.5)


def _wrk(process: psutil.Popen, url: str, more: list[str], connections: int, seconds: int) -> dict[str, Any]:
    """Requests for so long; a second of them before, of which nothing is measured."""
    command = ["wrk", "-t1", f"-c{connections}", "--latency", *more, url]
    subprocess.run([*command, "-d1s"], check=True, capture_output=True)
    before = cpu_seconds(process)
    said = subprocess.run([*command, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(process) - before
    counted = re.search(r"(\d+) requests in", said)
    if counted is None or "Non-2xx" in said:
        raise RuntimeError(said)
    waits = {
        share: float(time_) * _UNITS[unit] for share, time_, unit in re.findall(r"(\d+)% +([\d.]+)(us|ms|s)", said)
    }
    count = int(counted[1])
    return {
        "per_second": round(count / seconds, 1), "p50_ms": round(waits["50"], 1), "p99_ms": round(waits["99"], 1),
        "cpu_ms": round(used * 1000 / count, 2), "cores": round(used / seconds, 2),
    }  # fmt: skip


async def _watched(  # noqa: PLR0913, PLR0917 - what is measured
    client: CommandClient, api: psutil.Popen, port: int, readers: int, rates: list[int], seconds: int
) -> list[dict[str, Any]]:
    memory_before = api.memory_info().rss
    command = [sys.executable, "-m", "bench.watchers", str(port), str(readers)]
    watchers = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert watchers.stdin is not None  # noqa: S101 - they are pipes
    assert watchers.stdout is not None  # noqa: S101 - they are pipes
    await watchers.stdout.readline()
    figures = []
    for rate in rates:
        watchers.stdin.write(b"begin\n")
        before = cpu_seconds(api)
        await _publish(client, rate * seconds, rate)
        used = cpu_seconds(api) - before
        await asyncio.sleep(3)
        watchers.stdin.write(b"tell\n")
        told = json.loads(await watchers.stdout.readline())
        memory = (api.memory_info().rss - memory_before) / (1 << 20)
        messages = told.pop("messages")
        figures.append(
            {"what": f"{readers} readers, {rate} events/s", "missing": readers * rate * seconds - messages}
            | {"messages_per_second": round(messages / seconds)} | told
            | {"cores": round(used / seconds, 2), "memory_mb": round(memory)}
        )  # fmt: skip
    watchers.stdin.close()
    await watchers.wait()
    return figures


if __name__ == "__main__":
    typer.run(main)

"""Posts an alert to a webhook for each execution that fails.

    python examples/alerts/alerts.py --webhook https://chat.example.org/hooks/42 --task 'sales:*' --tag nightly

Every failure is posted at least once. It is posted twice only if this program is killed, or another one joins or leaves
its group, just when the webhook has taken it; the header Idempotency-Key is the same then. While the webhook refuses or
is down, the program waits with that alert, and loses none. Where Kafka is, and how to connect, say the environment
variables of the service.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import httpx2
import stamina
import typer
from pydantic import ValidationError

from service.client import EventConsumer, ReceivedEvent, SeenEvents
from service.contracts.events import TaskExecutionFailed
from service.kafka.connection import Kafka
from service.kafka.settings import KafkaSettings

Wanted = Callable[[TaskExecutionFailed], bool]


def chosen(tasks: Iterable[str], tags: Iterable[str]) -> Wanted:
    """Those of a task that one of these globs fits, with all of these tags."""
    needed = frozenset(tags)
    return lambda event: needed.issubset(event.tags) and any(fnmatchcase(event.task_id, glob) for glob in tasks)


def alert(received: ReceivedEvent, event: TaskExecutionFailed) -> dict[str, Any]:
    """What is posted; chats show `text`."""
    return {
        "text": f"{event.task_id} {event.task_version} failed: {event.error_message}",
        "id": received.id,
        "failedAt": str(event.occurred_at),
        "executionId": event.execution_id,
        "taskId": event.task_id,
        "taskVersion": event.task_version,
        "createdBy": event.created_by,
        "tags": event.tags,
        "errorMessage": event.error_message,
    }


async def post(http: httpx2.AsyncClient, webhook: str, body: dict[str, Any]) -> None:
    """Return when the webhook has taken it, however long that takes."""
    async for attempt in stamina.retry_context(httpx2.HTTPError, attempts=None, timeout=None, wait_max=30.0):
        with attempt:
            answer = await http.post(webhook, json=body, headers={"Idempotency-Key": body["id"]})
            answer.raise_for_status()


DAY = 86_400.0


async def run(kafka: Kafka, group: str, memory: Path, wanted: Wanted, webhook: str) -> None:
    """Post alerts until the program is ended."""
    with SeenEvents(memory) as seen:
        consumer = EventConsumer(kafka, group, only=[TaskExecutionFailed], max_handling=DAY)
        async with consumer as events, httpx2.AsyncClient() as http:
            async for received in events:
                event = received.event
                if isinstance(event, TaskExecutionFailed) and wanted(event) and received.id not in seen:
                    await post(http, webhook, alert(received, event))
                    seen.add(received.id)


def http_url(text: str) -> str:
    """The address, if it can be posted to."""
    if httpx2.URL(text).scheme not in {"http", "https"}:
        raise typer.BadParameter("give an http:// or https:// address")
    return text


def main(
    *,
    webhook: Annotated[
        str, typer.Option(callback=http_url, envvar="ALERTS_WEBHOOK", metavar="URL", help="Where alerts are posted to.")
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(envvar="ALERTS_TASK", metavar="GLOB", help="Tasks, such as 'sales:*'. [default: all]"),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(envvar="ALERTS_TAG", metavar="TAG", help="Only executions with all of these tags."),
    ] = None,
    group: Annotated[
        str, typer.Option(envvar="ALERTS_GROUP", help="The consumer group, by which Kafka knows what was handled.")
    ] = "failure-alerts",
    memory: Annotated[
        Path, typer.Option(envvar="ALERTS_MEMORY", help="The file of what was posted; one for each process.")
    ] = Path("alerts.sqlite3"),
) -> None:
    """Post an alert to a webhook for each execution that fails; what failed before the first start included.

    KAFKA_BOOTSTRAP_SERVERS says where Kafka is; the other variables of the service for Kafka are read, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(run(KafkaSettings().kafka, group, memory, chosen(task or ["*"], tag or []), webhook))
    except KeyboardInterrupt:
        pass
    except (ConnectionError, ValidationError) as error:
        typer.echo(f"alerts: {error}", err=True)
        raise typer.Exit(3) from None


if __name__ == "__main__":
    typer.run(main)

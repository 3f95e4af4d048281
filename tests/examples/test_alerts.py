"""examples/alerts: each failure that is wanted is posted, whatever is killed or down, and once where nothing is."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.client import SeenEvents
from service.contracts.events import Event
from service.contracts.status import Status
from tests.client.published import EventsTopic
from tests.e2e.process import clean_environment
from tests.examples.webhook import Webhook, a_webhook
from tests.queries.lives import life

ALERTS = Path(__file__).parents[2] / "examples/alerts/alerts.py"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with a_webhook() as webhook:
        yield webhook


def failed(name: object, **changes: Any) -> list[Event]:
    return life(name, Status.FAILURE, **({"task_id": "sales:daily", "tags": ("nightly", "x")} | changes))


def failures(*names: object) -> list[Event]:
    return [failed(name)[-1] for name in names]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


class Alerts:
    """Starts the program, as often as wanted, with one memory."""

    def __init__(self, topic: EventsTopic, webhook: Webhook, folder: Path) -> None:
        self._topic, self._webhook, self._folder = topic, webhook, folder

    def remembered(self) -> int:
        """How many it will not post again."""
        with SeenEvents(self._folder / "memory") as seen:
            return len(seen)

    @contextmanager
    def running(self, *, ends: bool = True) -> Iterator[subprocess.Popen[bytes]]:
        kafka = self._topic.kafka
        command = [sys.executable, str(ALERTS), "--task", "sales:*", "--task", "hr:pay?", "--tag", "nightly"]
        environment = clean_environment() | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.servers, "TASKEXEC_PREFIX": kafka.prefix, "NO_PROXY": "127.0.0.1",
            "ALERTS_WEBHOOK": self._webhook.url, "ALERTS_MEMORY": str(self._folder / "memory"),
        }  # fmt: skip
        with subprocess.Popen(command, env=environment) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM if ends else signal.SIGKILL)
        assert process.returncode == (0 if ends else -signal.SIGKILL)


@pytest.fixture
def alerts(events_topic: EventsTopic, webhook: Webhook, tmp_path: Path) -> Alerts:
    return Alerts(events_topic, webhook, tmp_path)


async def test_each_failure_that_is_wanted_is_posted_once_with_what_one_wants_to_know(
    events_topic: EventsTopic, webhook: Webhook, alerts: Alerts
) -> None:
    await events_topic.publish(
        [
            *failed("a"), *failed("pay", task_id="hr:pay1"),
            *failed("other task", task_id="hr:hire"), *failed("other tag", tags=("x",)),
            *life("succeeded", task_id="sales:daily", tags=("nightly",)), *failed("last"),
        ]
    )  # fmt: skip
    wanted = sorted(f"{failed(name)[0].execution_id}/3" for name in ("a", "pay", "last"))
    with alerts.running():
        await until(lambda: len(webhook.taken) >= 3 and alerts.remembered() >= 3)  # else it may be ended in between
    assert sorted(webhook.ids) == wanted
    body = next(body for body in webhook.taken if body["taskId"] == "hr:pay1")
    event = failed("pay", task_id="hr:pay1")[-1]
    assert body == {
        "text": "hr:pay1 1.0.0 failed: disk full", "id": f"{event.execution_id}/3", "executionId": event.execution_id,
        "taskId": "hr:pay1", "taskVersion": "1.0.0", "createdBy": "ana", "tags": ["nightly", "x"],
        "errorMessage": "disk full", "failedAt": str(event.completed_at),
    }  # fmt: skip
    (more,) = await events_topic.publish(failures("after a restart"))
    with alerts.running():
        await until(lambda: more in webhook.ids)
    assert sorted(webhook.ids) == sorted([*wanted, more])


async def test_killed_while_it_posts_it_loses_none_and_repeats_that_one_only(
    events_topic: EventsTopic, webhook: Webhook, alerts: Alerts
) -> None:
    sent = await events_topic.publish(failures(*range(30)))
    webhook.hold = 10
    with alerts.running(ends=False):
        await until(webhook.held.is_set)
    webhook.hold = None
    webhook.released.set()
    with alerts.running():
        await until(lambda: set(webhook.ids) >= set(sent))
    assert sorted(webhook.ids) == sorted([*sent, webhook.ids[9]])


async def test_killed_at_any_time_it_loses_none(events_topic: EventsTopic, webhook: Webhook, alerts: Alerts) -> None:
    sent: list[str] = []
    kills = 2
    for number in range(kills):
        sent += await events_topic.publish(failures(*((number, index) for index in range(200))))
        before = len(webhook.taken)
        with alerts.running(ends=False):
            await until(lambda before=before: len(webhook.taken) > before + 20)  # type: ignore[misc]  # bound
    with alerts.running():
        await until(lambda: set(webhook.ids) >= set(sent))
    assert len(webhook.ids) <= len(sent) + kills, "a kill repeats one alert at most"


async def test_while_the_webhook_refuses_alerts_wait_and_none_is_lost(
    events_topic: EventsTopic, webhook: Webhook, alerts: Alerts
) -> None:
    webhook.status = 503
    sent = await events_topic.publish(failures(*range(20)))
    with alerts.running():
        await until(lambda: webhook.refused >= 3)
        webhook.status = 404  # somebody mends the wrong thing first
        await until(lambda: webhook.refused >= 4)
        webhook.status = 200
        await until(lambda: set(webhook.ids) >= set(sent))
    assert sorted(webhook.ids) == sorted(sent)


def test_wrong_usage_is_told_of(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ALERTS), *arguments]
        variables = clean_environment() | environment
        return subprocess.run(
            command, cwd=tmp_path, env=variables, check=False, capture_output=True, text=True, timeout=60
        )

    helped = run("--help")
    assert helped.returncode == 0
    assert "--webhook" in helped.stdout
    assert run().returncode == 2
    assert "http://" in run("--webhook", "chat.example.org").stderr
    away = run("--webhook", "http://127.0.0.1:9/", KAFKA_BOOTSTRAP_SERVERS="nothing")
    assert (away.returncode, "not host:port" in away.stderr) == (3, True)
    assert not list(tmp_path.iterdir())

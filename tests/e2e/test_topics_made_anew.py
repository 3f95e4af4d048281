"""The events topic is deleted and made anew under the running roles: each ends with one line, and none starts again."""

import asyncio
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import stamina
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from service.contracts.topics import EVENTS_TOPIC, TOPICS
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.e2e.process import TASKEXEC, clean_environment, taskexec

PREFIX = "made-anew."
SAID = f"Error: {PREFIX}task-execution.events was deleted and made anew: its id was "
ROLES = {"handler": "1", "two handlers": "2", "projector": "1", "api": "1"}


def environment(kafka: str, directory: Path, processes: str) -> dict[str, str]:
    return clean_environment() | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TASKEXEC_PREFIX": PREFIX,
        "CLICKHOUSE_DSN": f"chdb://{directory}",
        "TASKEXEC_PARTITIONS": "2",
        "TASKEXEC_HTTP_PORT": "0",
        "TASKEXEC_PROCESSES": processes,
    }


def make_events_anew(kafka: str) -> None:
    admin, name = AdminClient({"bootstrap.servers": kafka}), PREFIX + EVENTS_TOPIC
    config = next(topic.config for topic in TOPICS if topic.name == EVENTS_TOPIC)
    admin.delete_topics([name])[name].result()
    for attempt in stamina.retry_context(on=KafkaException, timeout=20):
        with attempt:
            admin.create_topics([NewTopic(name, 2, 1, config=config)])[name].result()


def test_each_role_ends_with_one_line_and_none_starts_again(kafka: str, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(replace(Kafka(kafka), prefix=PREFIX), 2))
    with ExitStack() as stack:
        running = {}
        for role, processes in ROLES.items():
            command = [*TASKEXEC, role.split()[-1].removesuffix("s")]
            process = subprocess.Popen(
                command, env=environment(kafka, tmp_path / role, processes), stderr=subprocess.PIPE, text=True
            )
            running[role] = stack.enter_context(process)
            stack.callback(process.kill)
        for role, process in running.items():
            assert process.stderr is not None
            assert any("Ready." in line for line in process.stderr), role
        make_events_anew(kafka)
        for role, process in running.items():
            _, said = process.communicate(timeout=60)
            assert process.returncode == 3, (role, said)
            assert said.count(SAID) == 1, (role, said)
            assert "Traceback" not in said, (role, said)
    for role in ("handler", "projector", "api"):
        ran = taskexec(role, environment=environment(kafka, tmp_path / role, "1"))
        assert ran.returncode == 3, (role, ran.stderr)
        assert SAID in ran.stderr, (role, ran.stderr)
    settings = environment(kafka, tmp_path, "1")
    refused = taskexec("state", "rebuild", "--yes", environment=settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Restore it from a backup; when it has all events again, say so with --accept-events" in refused.stderr
    rebuilt = taskexec("state", "rebuild", "--yes", "--accept-events", environment=settings)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "The state has 0 executions again, in 2 partitions, and was verified." in rebuilt.stderr

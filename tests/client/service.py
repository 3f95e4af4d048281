"""The whole service in this process, and clients of it over both transports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.bootstrap import running_service
from service.client import TaskExecutions, publish_definitions
from service.contracts.definitions import TaskDefinition
from service.embedded.broker import EmbeddedBroker
from service.handling.metrics import COMMANDS_ANSWERED
from service.runtime.running import Role
from service.settings import Settings

TASK: Final = "client:report"
VERSION: Final = "1.2.0"
DEFINITION: Final[dict[str, Any]] = {
    "taskId": TASK, "version": VERSION, "status": "PUBLISHED", "type": "sql",
    "inputVariables": [
        {"name": "day", "type": "string", "validation": {"pattern": r"^\d{4}-\d{2}-\d{2}$"}},
        {"name": "top", "type": "number", "required": False, "defaultValue": 10},
        {"name": "region", "type": "string", "required": False},
        {"name": "token", "type": "string", "required": False, "sensitive": True},
    ],
    "outputVariables": [{"name": "rows", "type": "number"}],
}  # fmt: skip
INPUTS: Final = {"day": "2026-03-01"}
TRANSPORTS: Final = ("kafka", "http")


class Service(NamedTuple):
    """Where it is."""

    kafka: str
    url: str

    def client(self, transport: str, **options: Any) -> TaskExecutions:
        if transport == "http":
            return TaskExecutions.over_http(self.url, **options)
        return TaskExecutions.over_kafka(self.kafka, "/client-tests", url=self.url, **options)


@asynccontextmanager
async def a_service(directory: Path) -> AsyncIterator[Service]:
    """On a broker of its own: once a definition has a sensitive variable, other tests would see less."""
    (directory / "broker").mkdir()
    async with EmbeddedBroker(directory / "broker", port=0) as broker:
        kafka = broker.bootstrap_servers
        settings = Settings(
            kafka_bootstrap_servers=kafka, clickhouse_dsn=f"chdb://{directory}/clickhouse", partitions=4, http_port=0
        )
        async with running_service(settings, tuple(Role)) as running:
            assert running.url
            await publish_definitions(kafka, [TaskDefinition.model_validate(DEFINITION)])
            yield Service(kafka, running.url)


def forwarded() -> float:
    """How many commands were not sent to their owner."""
    return COMMANDS_ANSWERED.labels("forwarded")._value.get()  # type: ignore[no-any-return]

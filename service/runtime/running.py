"""What a process does, and what of it runs."""

from asyncio import Task
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from service.kafka.connection import Kafka
from service.ports.readiness import Check

if TYPE_CHECKING:
    from service.queries.executions import TaskExecutionQueries


class Role(StrEnum):
    """What a process does. One process may have several roles; `projector` and `api` share its ClickHouse client."""

    HANDLER = "handler"
    PROJECTOR = "projector"
    API = "api"


@dataclass(frozen=True, slots=True)
class Running:
    """What runs, and where: `queries` where there is a ClickHouse, `url` where there is an API.

    `checks` tell, by role or part, what it has open. `watch` ends only by an error, which must end the process: nothing
    may half run.
    """

    roles: tuple[Role, ...]
    kafka: Kafka
    queries: "TaskExecutionQueries | None"
    url: str | None
    checks: Mapping[str, Check]
    watch: Task[None]

    @property
    def summary(self) -> str:
        """One line for whoever started it."""
        pages, api = (f"Pages: {self.url}/. ", f" API: {self.url}.") if self.url else ("", "")
        return f"{pages}{', '.join(self.roles)} running. Kafka: {self.kafka.servers}.{api}"

"""Follows the task definitions for those who ask for them again and again."""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from service.client.definition_reading import reading_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, reject
from service.contracts.timestamps import Timestamp
from service.definitions.answering import answer_of, page_of
from service.definitions.rehearsing import rehearsed
from service.definitions.versions import Versions
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import KafkaRefusedError
from service.ports.definitions import ListTaskDefinitions, TaskDefinitionAnswer, TaskDefinitionPage

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0


class FollowedDefinitions:
    """`Definitions` from Kafka, with one consumer that reads on whenever somebody asks; `run` must be running."""

    def __init__(self, kafka: Kafka, patience: float = _PATIENCE_SECONDS) -> None:
        self._kafka, self._patience = kafka, patience
        self._wanted = asyncio.Event()
        self._asked: list[asyncio.Future[Versions]] = []

    async def list(self, request: ListTaskDefinitions) -> TaskDefinitionPage:
        """See `Definitions`."""
        return page_of(await self._now(), request)

    async def get(self, task_id: str, version: str) -> TaskDefinitionAnswer:
        """See `Definitions`."""
        return answer_of(await self._now(), task_id, version)

    async def rehearse(self, command: ExecuteTask, execution_id: str, source: str, at: Timestamp) -> TaskExecution:
        """See `Definitions`."""
        return rehearsed(await self._now(), command, execution_id, source, at)

    async def run(self) -> None:
        """Read until cancelled. While Kafka does not answer, whoever asks is told so."""
        while True:
            try:
                async with reading_definitions(self._kafka) as reader:
                    while True:
                        asked, self._asked = self._asked, []
                        try:
                            await reader.read_on()
                        except KafkaError:
                            self._asked += asked
                            raise
                        for future in asked:
                            if not future.done():
                                future.set_result(reader.versions)
                        await self._wanted.wait()
                        self._wanted.clear()
            except (KafkaError, KafkaRefusedError) as error:
                log.warning("definitions_not_read", error=repr(error))
                self._refuse(error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _now(self) -> Versions:
        """All that Kafka has by now.

        Raises:
            RejectedError: UNAVAILABLE.
        """
        future: asyncio.Future[Versions] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        self._wanted.set()
        try:
            async with asyncio.timeout(self._patience):
                return await future
        except TimeoutError:
            told = f"Kafka has not told the task definitions within {self._patience:g} s. Ask again later."
            raise reject(Code.UNAVAILABLE, told) from None

    def _refuse(self, error: Exception) -> None:
        refused = reject(Code.UNAVAILABLE, f"Kafka does not tell the task definitions: {error!r}. Ask again later.")
        for future in self._asked:
            if not future.done():
                future.set_exception(refused)
        self._asked = []

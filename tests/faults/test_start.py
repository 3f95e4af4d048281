"""A broker that goes away while a process starts."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faststream.kafka import KafkaBroker
from uuid_utils.compat import uuid7

from service.bootstrap import running_service
from service.handling import definitions_table
from service.handling.definitions_table import DefinitionsTable
from service.runtime.running import Role
from service.settings import Settings
from tests.handling.world import PARTITIONS, World


@pytest.mark.parametrize(
    ("part", "step"), [(DefinitionsTable, "start"), (DefinitionsTable, "catch_up"), (KafkaBroker, "start")]
)
async def test_it_ends_the_process_with_a_line_that_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, part: Any, step: str
) -> None:
    async def fails(_: object) -> None:
        raise KafkaConnectionError("Connection closed")

    monkeypatch.setattr(part, step, fails)
    settings = Settings(kafka_bootstrap_servers=world.kafka.servers, partitions=PARTITIONS)
    with pytest.raises(ConnectionError, match=r"does not answer any more.*Connection closed"):
        async with running_service(settings, {Role.HANDLER}):
            raise AssertionError


async def test_so_does_a_log_of_published_definitions_that_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise KafkaConnectionError("Not written")

    monkeypatch.setattr(definitions_table, "write_published", fails)
    task_id = f"start:{uuid7()}"
    await world.define({"taskId": task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
    settings = Settings(kafka_bootstrap_servers=world.kafka.servers, partitions=PARTITIONS)
    with pytest.raises(ConnectionError, match=r"does not answer any more.*Not written"):
        async with running_service(settings, {Role.HANDLER}):
            raise AssertionError

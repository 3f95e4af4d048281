"""Secrets when things fail: what is decided again is written once, and what is set aside is not shown."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.embedded.broker import EmbeddedBroker
from service.handling import transaction
from service.handling.deciding import Decider
from service.handling.handler import HandlerOptions
from service.handling.incoming import Readable
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.sealing import KeyRing
from tests.handling.world import PARTITIONS, QUICK, World, a_world, body, eventually, execution_id, id_owned_by

SECRET = "canary-of-a-secret"  # noqa: S105 - it opens nothing
RING = KeyRing(b'{"keys":[{"kty":"oct","kid":"a","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}]}')
COMMAND = {"taskId": "faults:secret", "taskVersion": "1.0.0", "inputs": {"token": SECRET}}
DEFINITION = {
    "taskId": "faults:secret", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
    "inputVariables": [{"name": "token", "type": "string", "sensitive": True}],
}  # fmt: skip


class PlantedError(Exception):
    """A defect that a record brings to light."""


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """On a broker of its own: once a definition has a sensitive variable, other tests would see less."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        async with a_world(broker.bootstrap_servers) as world:
            await world.define(DEFINITION)
            yield world


async def test_what_is_sealed_again_after_a_failed_transaction_is_written_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sealing gives another text: the event, the reply and the state are of the same one."""
    reply_record = transaction.reply_record
    failed: list[Any] = []
    sealed: list[Any] = []

    def failing(answer: Any, *rest: Any) -> Any:
        if len(failed) < 2:
            failed.append(answer)
            raise PlantedError
        return reply_record(answer, *rest)

    def seal(value: Any) -> Any:
        sealed.append(RING.seal(value))
        return sealed[-1]

    monkeypatch.setattr(transaction, "reply_record", failing)
    id_ = id_owned_by(1)
    async with world.handler(HandlerOptions(world.kafka, PARTITIONS, timeouts=QUICK, seal=seal)):
        await world.command(COMMAND, "ExecuteTask", id_=id_, partition=1, reply=True)
        await world.command(COMMAND, "ExecuteTask", id_=id_, partition=1, reply=True)
        await world.settled(60)
    (event,) = await world.events(execution_id(id_))
    first, again = await world.replies(id_)
    token = body(event)["resolvedInputs"]["token"]
    assert (first["outcome"], again["outcome"]) == ("accepted", "duplicate")
    assert first["taskExecution"]["resolvedInputs"]["token"] == token == sealed[-1]
    assert len(failed) < len(sealed) == len({json.dumps(one) for one in sealed})
    assert RING.open(token) == SECRET
    assert again["taskExecution"]["resolvedInputs"] == {"token": {"sealed": None}}


async def test_nothing_is_told_of_a_record_that_the_service_fails_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the rejection nor in the log, though the error that nobody foresaw says what it failed on."""
    answer = Decider.answer

    def failing(self: Decider, incoming: Any, *rest: Any) -> Any:
        if isinstance(incoming, Readable):
            raise PlantedError(incoming.command)
        return answer(self, incoming, *rest)

    monkeypatch.setattr(Decider, "answer", failing)
    id_ = id_owned_by(0)
    place = await world.command(COMMAND, "ExecuteTask", id_=id_, partition=0, reply=True)
    with capture_logs() as logs:
        async with world.handler() as running:
            await eventually(lambda: "Planted" in (running.owners[0].flaw() or ""), "it fails")
            trouble = running.owners[0].flaw() or ""
            await world.settled(60)
    (rejection,) = await world.rejections(place)
    assert rejection["problem"]["code"] == "internal_error"
    assert (rejection["record"]["valueWithheld"], "value" in rejection["record"]) == ("whole", False)
    assert any(line["event"] == "partition_reset" and line["error"] == "PlantedError" for line in logs)
    assert SECRET not in f"{logs} {trouble} {await world.replies(id_)}"

"""Nothing that one record does may stop its partition: whatever the service fails on is found and set aside, loudly."""

import asyncio
from base64 import b64decode
from typing import Any

import pytest
from prometheus_client import REGISTRY

from service.contracts.topics import EVENTS_TOPIC
from service.handling import partition, rejection_records, transaction, unit_of_work
from service.handling.batches import Batches
from service.handling.deciding import Accepted, Decider
from service.handling.incoming import CommandReader, Readable
from tests.faults.conftest import TASK
from tests.handling.world import World, execution_id, id_owned_by

PARTITION = 1
PLANTED = "planted"


class PlantedError(Exception):
    """A defect that one record brings to light."""


@pytest.fixture(autouse=True)
def _without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is searched for in many steps, after each of which the partition is opened anew."""
    monkeypatch.setattr(partition, "_PAUSE", 0.01)


def of_planted(record: Any) -> bool:
    return any(name == "x" and value == PLANTED.encode() for name, value in record.headers)


def set_aside() -> float:
    return REGISTRY.get_sample_value("taskexec_commands_set_aside_total") or 0.0


def break_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Decider.answer

    def failing(self: Decider, incoming: Any, *rest: Any) -> Any:
        if of_planted(incoming.record) and isinstance(incoming, Readable):
            raise PlantedError
        return answer(self, incoming, *rest)

    monkeypatch.setattr(Decider, "answer", failing)


def break_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read = CommandReader.read

    def failing(self: CommandReader, record: Any) -> Any:
        if of_planted(record):
            raise PlantedError
        return read(self, record)

    monkeypatch.setattr(CommandReader, "read", failing)


def break_events(monkeypatch: pytest.MonkeyPatch) -> None:
    event_records = unit_of_work.event_records

    def failing(answer: Any) -> Any:
        if of_planted(answer.record):
            raise PlantedError
        return event_records(answer)

    monkeypatch.setattr(unit_of_work, "event_records", failing)


def break_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the events are sent already."""
    reply_record = transaction.reply_record

    def failing(answer: Any, *rest: Any) -> Any:
        if of_planted(answer.record) and isinstance(answer, Accepted):
            raise PlantedError
        return reply_record(answer, *rest)

    monkeypatch.setattr(transaction, "reply_record", failing)


def break_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kafka would refuse: an event of 5 MB."""
    event_records = unit_of_work.event_records

    def huge(answer: Any) -> Any:
        planted = of_planted(answer.record)
        return [made._replace(value=b"x" * 5_000_000) if planted else made for made in event_records(answer)]

    monkeypatch.setattr(unit_of_work, "event_records", huge)


@pytest.mark.parametrize("broken", [break_reading, break_answering, break_events, break_replies, break_sending])
async def test_the_record_is_refused_and_all_others_are_handled_once(
    world: World, monkeypatch: Any, broken: Any
) -> None:
    broken(monkeypatch)
    before = set_aside()
    ids = [id_owned_by(PARTITION) for _ in range(40)]
    places = [
        await world.command(
            TASK, id_=id_, partition=PARTITION, reply=True, headers=[("x", PLANTED.encode())] if id_ == ids[21] else []
        )
        for id_ in ids
    ]
    async with world.handler():
        await world.settled(60)
    events = [len(await world.events(execution_id(id_))) for id_ in ids]
    assert events == [1] * 21 + [0] + [1] * 18
    (rejection,) = await world.rejections(places[21])
    assert rejection["problem"]["code"] == "internal_error"
    assert "Planted" not in rejection["problem"]["detail"]
    assert b64decode(rejection["record"]["value"]) == TASK.model_dump_json(exclude_none=True).encode()
    replies = [[reply["outcome"] for reply in await world.replies(id_)] for id_ in ids]
    assert replies == [["accepted"]] * 21 + [["rejected"]] + [["accepted"]] * 18
    assert set_aside() > before


async def test_a_rejection_that_fails_itself_is_made_in_the_barest_form(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = rejection_records._original

    def failing(record: Any, withheld: Any) -> Any:
        if of_planted(record):
            raise PlantedError
        return original(record, withheld)

    monkeypatch.setattr(rejection_records, "_original", failing)
    poison = await world.write(b"{oops", [("x", PLANTED.encode())], partition=PARTITION)
    behind = await world.write(b"{oops", [], partition=PARTITION)
    async with world.handler():
        await world.settled(60)
    (rejection,) = await world.rejections(poison)
    assert (rejection["problem"]["code"], rejection["record"]["headers"]) == ("internal_error", [])
    assert b64decode(rejection["record"]["value"]) == b"{oops"
    assert len(await world.rejections(behind)) == 1


async def test_the_other_partitions_go_on_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_reading(monkeypatch)
    monkeypatch.setattr("service.handling.bisection.STRIKES", 10_000)
    others = {id_owned_by(number): number for number in range(4) if number != PARTITION for _ in range(20)}
    async with world.handler() as running:
        await running.all_open()
        await world.write(b"{}", [("x", PLANTED.encode())], partition=PARTITION)
        for id_, number in others.items():
            await world.command(TASK, id_=id_, partition=number, reply=True)
        async with asyncio.timeout(30):
            while [len(await world.replies(id_)) for id_ in others] != [1] * len(others):
                await asyncio.sleep(0.01)
        monkeypatch.undo()
        await world.settled(60)


@pytest.mark.parametrize(
    "limits", [{"processing.MAX_SECONDS": 0, "processing.TURN_SECONDS": 0}, {"processing.MAX_EVENTS_BYTES": 0}]
)
async def test_a_batch_ends_when_its_time_or_its_room_is_used_up_and_the_rest_follows(
    world: World, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    """As if every command took for ever, or made a large event."""
    sizes: list[int] = []
    send = Batches.send

    async def seen(batches: Batches, producer: Any) -> Any:
        if packed := batches.packed.get((EVENTS_TOPIC, PARTITION)):
            sizes.append(sum(batch.record_count() for batch in packed))
        return await send(batches, producer)

    monkeypatch.setattr(Batches, "send", seen)
    for name, limit in limits.items():
        monkeypatch.setattr(f"service.handling.{name}", limit)
    ids = [id_owned_by(PARTITION) for _ in range(20)]
    for id_ in ids:
        await world.command(TASK, id_=id_, partition=PARTITION)
    async with world.handler():
        await world.settled()
    assert sizes == [1] * 20
    events = [event.key for event in await world.read(EVENTS_TOPIC)]
    assert [key for key in events if key in {execution_id(id_).encode() for id_ in ids}] == [
        execution_id(id_).encode() for id_ in ids
    ]

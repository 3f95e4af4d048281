"""The projector on a real broker and a real engine: exact, whatever stops it."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from service.contracts.codec import encode
from service.contracts.envelope import envelope_headers
from service.contracts.events import Event
from service.contracts.problems import Code, problem
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalRecord
from service.contracts.status import Status
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.connection import Kafka
from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow, ProjectionStore
from service.projection import projector
from service.queries.executions import TaskExecutionQueries
from tests.engines import ENGINES
from tests.projection.stage import ALL, PARTITIONS, Delegating, Stage, until, whole
from tests.queries.lives import T0, life


def some_lives(count: int, seed: int = 0) -> list[list[Event]]:
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    return [
        life((seed, number), rng.choice(list(Status)), task_id=f"etl:{rng.randrange(3)}", outputs={"n": [None, 1.0]})
        for number in range(count)
    ]


async def publish_mixed(stage: Stage, lives: Sequence[Sequence[Event]]) -> None:
    """Transactions of many executions, one of which is aborted, the lives going on from one to the next."""
    for step in range(3):
        for first in range(0, len(lives), 100):
            now = lives[first : first + 100]
            await stage.publish([events[step] for events in now if step < len(events)])
        await stage.publish([event for events in some_lives(5, seed=99) for event in events], commit=False)


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
async def test_everything_committed_is_projected_and_the_lag_goes_to_zero(stage: Stage) -> None:
    lives = some_lives(250)
    async with stage.projecting():
        await publish_mixed(stage, lives)
        # The last offsets are markers, of aborted transactions even: no record will ever stand there.
        await stage.caught_up()
        stats = await TaskExecutionQueries(stage.store, PARTITIONS).stats()
    assert stats.lag == 0
    assert await stage.projected() == whole(lives)
    assert await stage.events_stored() == sum(map(len, lives))


async def test_commits_go_on_while_nothing_happens(stage: Stage) -> None:
    async with stage.projecting():
        await stage.caught_up()
        before = await stage.positions()

        async def newer() -> bool:
            now = await stage.positions()
            return all(now[partition].as_of > before[partition].as_of for partition in ALL)

        await until(newer)


class Watching(Delegating):
    """Checks, before every commit, that what it says is true; counts the event inserts."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.store)
        self.stage = stage
        self.inserts = 0

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        await super().insert_events(rows, token)
        self.inserts += 1

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        there = await self.stage.places_stored()
        for topic, partition, offset, *_ in positions:
            if topic == EVENTS_TOPIC:
                said = {(partition, o) for o in self.stage.published[partition] if o <= offset}
                assert said <= there, f"{topic}/{partition} is ahead"
        await super().write_positions(positions)


async def test_stopped_in_the_middle_again_and_again_it_is_exact_and_never_ahead(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "MAX_ROWS", 40)
    monkeypatch.setattr(projector, "LINGER_SECONDS", 0.0)
    lives = some_lives(300)
    await publish_mixed(stage, lives)
    watching = Watching(stage)
    for stop in range(1, 8):

        async def some_more(wanted: int = watching.inserts + stop % 3 + 1) -> bool:
            return watching.inserts >= wanted or await stage.events_stored() == sum(map(len, lives))

        async with stage.projecting(watching):
            await until(some_more)
    async with stage.projecting(watching):
        await stage.caught_up()
    assert await stage.projected() == whole(lives)


class Holding(Delegating):
    """Its first insert waits until it is let go; `inserted` has how many events each has."""

    def __init__(self, real: ProjectionStore) -> None:
        super().__init__(real)
        self.inserted: list[int] = []
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        self.inserted.append(len(rows))
        self.begun.set()
        await self.let_go.wait()
        await super().insert_events(rows, token)


async def test_all_that_comes_while_one_is_written_is_the_next_insert(stage: Stage) -> None:
    """Not what came first of it, and the rest another turn later."""
    lives = [life(number) for number in range(13)]
    holding = Holding(stage.store)
    async with stage.projecting(holding):
        await stage.publish(lives[0])
        await holding.begun.wait()
        for events in lives[1:]:  # each is a transaction of its own, in one of the partitions
            await stage.publish(events)
            await until(stage.visible)
        holding.let_go.set()
        await stage.caught_up()
    assert holding.inserted == [3, 36]
    assert await stage.projected() == whole(lives)


@pytest.mark.parametrize("rows_per_insert", [projector.MAX_ROWS, 17])
async def test_a_replay_changes_nothing_with_the_same_or_other_batches(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, rows_per_insert: int
) -> None:
    start = list((await stage.positions()).values())
    lives = some_lives(120)
    await publish_mixed(stage, lives)
    async with stage.projecting():
        await stage.caught_up()
    await stage.driver.command("TRUNCATE TABLE projector_position")
    await stage.store.write_positions(start)
    monkeypatch.setattr(projector, "MAX_ROWS", rows_per_insert)
    monkeypatch.setattr(projector, "LINGER_SECONDS", 0.0)
    async with stage.projecting():
        # In the middle of a replay, too, the answers are whole.
        assert await stage.projected() == whole(lives)
        await stage.caught_up()
    assert await stage.projected() == whole(lives)
    assert await stage.events_stored() == sum(map(len, lives))


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the server of the tests does not tell that a view failed
async def test_an_insert_that_fails_between_events_and_views_surfaces_and_is_repaired(stage: Stage) -> None:
    lives = some_lives(60)
    before = await stage.positions()
    await stage.driver.command("ALTER TABLE task_execution_transitions ADD CONSTRAINT broken CHECK status < 3")
    await publish_mixed(stage, lives)
    run = projector.Projector(stage.store, Kafka(stage.bootstrap_servers), 3).run()
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        await asyncio.wait_for(run, 30)
    assert {tp: p.offset for tp, p in before.items()} == {tp: p.offset for tp, p in (await stage.positions()).items()}
    await stage.driver.command("ALTER TABLE task_execution_transitions DROP CONSTRAINT broken")
    async with stage.projecting():
        await stage.caught_up()
    assert await stage.projected() == whole(lives)


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
async def test_one_insert_can_hold_events_of_many_years(stage: Stage) -> None:
    lives = [life(number, at=T0.replace(year=2010 + number // 12, month=1 + number % 12)) for number in range(120)]
    await stage.publish(event for events in lives for event in events)
    async with stage.projecting():
        await stage.caught_up()
    assert await stage.projected() == whole(lives)


async def test_refused_commands_can_be_counted(stage: Stage) -> None:
    original = OriginalRecord(
        topic="task-execution.commands", partition=0, offset=0, timestamp=T0, headers=(), value_size=0
    )
    rejected = CommandRejected(problem=problem(Code.INVALID_JSON, "not JSON"), record=original)
    value = encode(rejected.model_dump(mode="json", exclude_none=True))
    offset = await stage.publish_raw(REJECTIONS_TOPIC, value, envelope_headers(REJECTION_TYPE, "id", "id", T0), 1)
    async with stage.projecting():
        await stage.caught_up()
    assert await TaskExecutionQueries(stage.store, PARTITIONS).rejections_count() == 1
    found = await stage.driver.query("SELECT partition, offset, code, problem FROM task_command_rejections")
    assert found[0].pop("problem").startswith('{"type":"urn:')
    assert found == [{"partition": 1, "offset": offset, "code": "invalid_json"}]

"""Stage 2, look up: what commands name, and how seldom the cluster is asked for it."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from service.contracts.topics import REPLIES_TOPIC
from service.domain.definitions import Definition, UnusableDefinition
from service.domain.execution import Execution
from service.handling.deciding import DefinitionName, Known
from service.handling.incoming import CommandReader
from service.handling.lookup import Lookup
from service.handling.unit_of_work import UnitOfWork
from service.kafka.records import Record
from tests.handling.pure import (
    AT,
    EXECUTE,
    START,
    TASK,
    accepted,
    command_record,
    definition,
    execution,
    known,
    raw_record,
    reply_headers,
)
from tests.handling.stages import remembering

NAME = ("sales:report", "1.0.0")
MISSING = command_record("ExecuteTask", {**TASK, "taskVersion": "2.0.0"})
NONSENSE = raw_record(b"{")
DRAFT = definition(status="DRAFT")
UNUSABLE = UnusableDefinition(*NAME, "no type")


@dataclass
class Definitions:
    """Stands in for the definitions table; `published` is on the topic, and only seen after catching up."""

    seen: dict[DefinitionName, Definition]
    published: dict[DefinitionName, Definition] = field(default_factory=dict)
    caught_up: int = 0
    sensitive: bool = False

    def get(self, task_id: str, version: str) -> Definition | None:
        return self.seen.get((task_id, version))

    async def catch_up(self) -> None:
        self.caught_up += 1
        self.seen.update(self.published)


@dataclass
class Topics:
    """Stands in for the reply topics; `asked` is what was asked, and by whom."""

    flawed: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[set[str], object]] = field(default_factory=list)

    async def flaws(self, topics: set[str], consumer: object) -> dict[str, str]:
        self.asked.append((topics, consumer))
        return {topic: flaw for topic, flaw in self.flawed.items() if topic in topics}


@dataclass
class Batch:
    """One batch of commands, looked up in slices."""

    definitions: Definitions = field(default_factory=lambda: Definitions({NAME: definition()}))
    topics: Topics = field(default_factory=Topics)
    remembered: dict[str, Execution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stands_in: Any = self
        self.lookup = Lookup(stands_in.definitions, stands_in.topics, stands_in)
        self.unit = UnitOfWork(0, 1, cast("Any", None), remembering(*self.remembered.values()), AT)

    async def find(self, *records: Record) -> Known:
        return await self.lookup.find([CommandReader(0, 1).read(record) for record in records], self.unit)


def asking(topic: str) -> Record:
    return command_record("ExecuteTask", TASK, headers=reply_headers(topic))


async def test_each_definition_that_is_named_is_found_and_nobody_is_asked() -> None:
    batch = Batch()
    assert (await batch.find(EXECUTE, EXECUTE)).definitions == batch.definitions.seen
    assert (batch.definitions.caught_up, batch.topics.asked) == (0, [])


async def test_nothing_is_looked_up_for_what_names_nothing() -> None:
    batch = Batch(Definitions({}))
    assert await batch.find(START) == Known({}, {})
    assert (batch.definitions.caught_up, batch.topics.asked) == (0, [])


async def test_before_a_record_is_told_as_it_came_all_that_could_be_sensitive_is_read() -> None:
    batch = Batch()
    assert not (await batch.find(EXECUTE, NONSENSE)).sensitive
    assert not (await batch.find(EXECUTE, NONSENSE)).sensitive
    assert batch.definitions.caught_up == 1
    batch = Batch()
    batch.definitions.sensitive = True
    assert (await batch.find(NONSENSE)).sensitive
    assert batch.definitions.caught_up == 0


@pytest.mark.parametrize("seen", [{}, {NAME: DRAFT}, {NAME: UNUSABLE}])
async def test_before_a_definition_is_said_to_be_missing_all_that_was_published_is_read(
    seen: dict[DefinitionName, Definition],
) -> None:
    batch = Batch(Definitions(seen, {NAME: definition()}))
    found = await batch.find(EXECUTE)
    assert found.definitions == batch.definitions.published
    assert batch.definitions.caught_up == 1


async def test_a_batch_catches_up_once_however_much_is_missing_in_however_many_slices() -> None:
    batch = Batch()
    for _ in range(3):
        found = await batch.find(EXECUTE, MISSING)
        assert found.definitions == {**batch.definitions.seen, ("sales:report", "2.0.0"): None}
    assert batch.definitions.caught_up == 1


async def test_a_slice_in_which_nothing_is_missing_leaves_the_catching_up_to_a_later_one() -> None:
    batch = Batch(Definitions({NAME: definition()}, {("sales:report", "2.0.0"): DRAFT}))
    await batch.find(EXECUTE)
    assert (await batch.find(MISSING)).definitions == {("sales:report", "2.0.0"): DRAFT}
    assert batch.definitions.caught_up == 1


async def test_what_fits_of_an_unfit_execute_task_names_its_definition() -> None:
    batch = Batch()
    found = await batch.find(command_record("ExecuteTask", {**TASK, "colour": "red"}))
    assert found.definitions == batch.definitions.seen


async def test_a_lifecycle_command_names_the_definition_of_the_execution_that_is_remembered() -> None:
    state = execution(accepted(EXECUTE))
    batch = Batch(remembered={state.execution_id: state})
    assert (await batch.find(START)).definitions == batch.definitions.seen


async def test_a_lifecycle_command_names_the_definition_of_an_execution_of_the_same_batch() -> None:
    batch = Batch()
    state = execution(accepted(EXECUTE))
    batch.unit.changed[state.execution_id] = state
    assert (await batch.find(START)).definitions == batch.definitions.seen


async def test_each_reply_topic_that_is_named_is_asked_about_and_its_flaw_told() -> None:
    batch = Batch(topics=Topics({f"{REPLIES_TOPIC}.none": "the topic does not exist"}))
    found = await batch.find(asking(REPLIES_TOPIC), asking(f"{REPLIES_TOPIC}.none"), EXECUTE)
    assert found.topic_flaws == batch.topics.flawed
    assert batch.topics.asked == [({REPLIES_TOPIC, f"{REPLIES_TOPIC}.none"}, batch)]


async def test_a_batch_asks_about_a_topic_once_however_many_slices_it_has() -> None:
    batch = Batch(topics=Topics({REPLIES_TOPIC: "full", f"{REPLIES_TOPIC}.none": "missing"}))
    await batch.find(EXECUTE)
    for _ in range(3):
        assert (await batch.find(asking(REPLIES_TOPIC))).topic_flaws == {REPLIES_TOPIC: "full"}
    assert (await batch.find(asking(f"{REPLIES_TOPIC}.none"))).topic_flaws[f"{REPLIES_TOPIC}.none"] == "missing"
    assert [topics for topics, _ in batch.topics.asked] == [{REPLIES_TOPIC}, {f"{REPLIES_TOPIC}.none"}]


async def test_the_topic_of_a_command_that_cannot_be_read_is_looked_up_as_well() -> None:
    batch = Batch(topics=Topics({REPLIES_TOPIC: "full"}))
    assert (await batch.find(raw_record(b"{", reply_headers()))).topic_flaws == batch.topics.flawed


def test_known_gives_the_definition_of_a_command_and_of_an_execution() -> None:
    found = known(definition())
    state = accepted(EXECUTE, using=found).state
    assert found.definition_of(state) is found.definitions[NAME]
    assert known(None).definition_of(state) is None
    assert Known({}, {}).definition_of(state) is None

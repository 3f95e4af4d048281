"""A commit that fails, or whose answer is lost: what was forwarded and what was handled is there exactly once."""

from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from service.contracts.commands import ExecuteTask
from service.contracts.topics import COMMANDS_TOPIC
from service.handling import metrics
from tests.handling.world import Running, World, execution_id, header, id_owned_by

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="commits:task", task_version="1.0.0", inputs={})


class InjectedError(Exception):
    """What the test broke."""


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    await world.define({"taskId": "commits:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})


@pytest.mark.parametrize("committed", [False, True], ids=["before it is sent", "after it was carried out"])
@pytest.mark.parametrize("owned", [False, True], ids=["forwarded", "owned"])
async def test_a_commit_fails_and_everything_is_there_once(
    world: World, monkeypatch: pytest.MonkeyPatch, *, owned: bool, committed: bool
) -> None:
    resets = metrics.PARTITION_RESETS.labels("InjectedError")._value.get()
    commit: Any = AIOKafkaProducer.commit_transaction
    commits = count()

    async def failing(producer: AIOKafkaProducer) -> None:
        if producer._txn_manager.transactional_id.endswith(".1") and next(commits) == 0:
            if committed:
                await commit(producer)
            raise InjectedError
        await commit(producer)

    monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", failing)
    ids = [id_owned_by(1 if owned else 2) for _ in range(5)]
    for id_ in ids:
        await world.command(TASK, id_=id_, partition=1, reply=True)
    await world.settled()
    assert metrics.PARTITION_RESETS.labels("InjectedError")._value.get() == resets + 1
    written = [header(record, "ce_id") for record in await world.read(COMMANDS_TOPIC)]
    for id_ in ids:
        assert written.count(id_) == (1 if owned else 2)
        assert len(await world.events(execution_id(id_))) == 1
        assert [reply["outcome"] for reply in await world.replies(id_)] == ["accepted"]

"""A transactional request without an answer is never sent again (KAFKA-17754).

The protocol that aiokafka speaks has no epoch per transaction: the first one, delayed, could end a later transaction
half-way, or set its offset back. The last test shows that this is still so without the guard.
"""

import asyncio
from typing import Any

import pytest
from aiokafka.conn import create_conn

from service.contracts.commands import ExecuteTask
from service.handling import producer, transaction
from tests.faults.proxy import END_TXN, TXN_OFFSET_COMMIT, Proxy, a_proxy
from tests.handling.world import World, execution_id, id_owned_by

TASK = ExecuteTask(task_id="faults:task", task_version="1.0.0", inputs={})
PARTITION = 1


class InjectedError(Exception):
    """The handler fails at a bad moment."""


@pytest.fixture
async def proxy(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """All transactional producers speak through it."""
    async with a_proxy(world.servers) as proxy:

        def through(host: str, port: int, **options: Any) -> Any:
            behind = options["client_id"].startswith("aiokafka-producer")
            return create_conn(host, proxy.own_port if behind else port, **options)

        monkeypatch.setattr("aiokafka.client.create_conn", through)
        yield proxy


async def a_delayed_request(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, api_key: int, seconds: float = 60
) -> None:
    """Hold a request of the first command's transaction; deliver it before the replies of the second one's."""
    send_replies, late = transaction._send_replies, asyncio.Event()

    async def interrupted(*arguments: Any) -> None:
        ((answer, _),) = arguments[1].replies
        if answer.record.offset == second_offset and not late.is_set():
            late.set()
            await proxy.release()
            if api_key == END_TXN:
                raise InjectedError  # what is committed by now is half of a transaction
        await send_replies(*arguments)

    async with world.handler() as running:
        await running.all_open()
        proxy.hold(api_key)
        ids = [id_owned_by(PARTITION), id_owned_by(PARTITION)]
        _, first_offset = await world.command(TASK, id_=ids[0], reply=True, partition=PARTITION)
        second_offset = first_offset + 1
        await asyncio.wait_for(proxy.held.wait(), 60)
        await world.settled()
        monkeypatch.setattr(transaction, "_send_replies", interrupted)
        await world.command(TASK, id_=ids[1], reply=True, partition=PARTITION)
        await asyncio.wait_for(late.wait(), 60)
        await world.settled(seconds)
    assert [len(await world.events(execution_id(id_))) for id_ in ids] == [1, 1]
    assert [len(await world.replies(id_)) for id_ in ids] == [1, 1]
    assert await world.committed(PARTITION) == second_offset + 1


@pytest.mark.parametrize("api_key", [END_TXN, TXN_OFFSET_COMMIT], ids=["EndTxn", "TxnOffsetCommit"])
async def test_a_delayed_request_harms_no_later_transaction(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, api_key: int
) -> None:
    await a_delayed_request(world, proxy, monkeypatch, api_key)


@pytest.mark.parametrize("api_key", [END_TXN, TXN_OFFSET_COMMIT], ids=["EndTxn", "TxnOffsetCommit"])
async def test_without_the_guard_it_does(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, api_key: int
) -> None:
    monkeypatch.setattr(producer, "send_once", lambda _: None)
    with pytest.raises((AssertionError, TimeoutError)):
        await a_delayed_request(world, proxy, monkeypatch, api_key, seconds=5)
    monkeypatch.undo()
    async with world.handler():  # the offset that was set back is put right
        await world.command(TASK, id_=id_owned_by(PARTITION), partition=PARTITION)
        await world.settled()

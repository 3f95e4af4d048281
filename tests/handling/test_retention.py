"""Retention when the clock was wrong for a while."""

from datetime import timedelta

from service.contracts.commands import ExecuteTask, StopTaskExecution
from service.contracts.timestamps import Timestamp
from service.handling.handler import FORGET_AFTER_DROP, utc_now
from tests.handling.world import World, execution_id, id_owned_by

TASK = ExecuteTask(task_id="retention:task", task_version="1.0.0", inputs={})
RETENTION = timedelta(minutes=10)
KEPT = RETENTION + FORGET_AFTER_DROP


async def finish(world: World) -> str:
    """Execute a task and stop it; returns the executionId."""
    execution = execution_id(id_ := id_owned_by(2))
    await world.command(TASK, id_=id_)
    await world.settled()
    await world.command(StopTaskExecution(execution_id=execution))
    await world.settled()
    return execution


async def test_one_that_finished_in_the_future_keeps_no_other_in_memory(world: World) -> None:
    await world.define({"taskId": "retention:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
    times: list[Timestamp] = [now := utc_now()]
    async with world.handler(clock=lambda: times[-1], retention=RETENTION) as running:
        await running.all_open()
        times.append(now + timedelta(minutes=30))
        future = await finish(world)
        times.append(now)
        ordinary = await finish(world)
        times.append(now + KEPT + timedelta(seconds=1))
        await finish(world)
        states = running.states(2)
        assert (future in states, ordinary in states) == (True, False)
    assert (await world.snapshots(ordinary))[-1].value is None

"""Answers to commands hold what the execution was made of: the write side does not remember it, the read side does."""

import asyncio
from typing import Final

from service.api.ports import Queries
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.replies import CommandReply
from service.contracts.status import Status
from service.domain.view import CREATED

PATIENCE_SECONDS: Final = 2.0
"""How long an answer waits for the read side. The command is carried out however: the answer then goes without."""


async def completed(reply: CommandReply, queries: Queries) -> CommandReply:
    """The reply with what its execution was made of, if the read side tells it in time."""
    told = reply.task_execution
    if told is None or told.resolved_inputs is not None:
        return reply
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            known = await _read(told.id, reply, queries)
    except (RejectedError, TimeoutError):
        return reply
    names = (*CREATED, "payloads_dropped", *(("outputs",) if told.status is Status.SUCCESS else ()))
    update = {name: getattr(known, name) for name in names if getattr(told, name) is None}
    return reply.model_copy(update={"task_execution": told.model_copy(update=update)})


async def _read(id_: str, reply: CommandReply, queries: Queries) -> TaskExecution:
    """Any state of it will do: what is asked for never changes. So it is waited for only if it is not there at all."""
    try:
        return await queries.get(id_)
    except RejectedError as refused:
        if refused.code is not Code.EXECUTION_NOT_FOUND or reply.position is None:
            raise
        return await queries.get(id_, min_position=str(reply.position))

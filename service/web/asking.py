"""Several questions at once, of which one that has no answer does not take the others with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, NamedTuple, TypeVar

from service.contracts.problems import Problem, RejectedError

Answer = TypeVar("Answer")


class Asked(NamedTuple, Generic[Answer]):
    """The answer, or the problem why there is none."""

    answer: Answer | None
    problem: Problem | None = None


async def asked(question: Coroutine[Any, Any, Answer]) -> Asked[Answer]:
    """What it gives."""
    try:
        return Asked(await question)
    except RejectedError as refused:
        return Asked(None, refused.problem)


async def together(**questions: Coroutine[Any, Any, Any]) -> dict[str, Asked[Any]]:
    """What each gives, by its name."""
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(asked(question)) for name, question in questions.items()}
    return {name: task.result() for name, task in tasks.items()}

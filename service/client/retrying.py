"""Asks again until there is an answer, or the time is over."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic
from typing import Final, TypeVar

import stamina

from service.client.errors import ServiceUnavailableError
from service.contracts.replies import CommandUnansweredError

Answer = TypeVar("Answer")

PATIENCE_SECONDS: Final = 10.0
"""How long one attempt waits: an answer that was lost does not come any more."""

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 1.0


async def persistently(
    ask: Callable[[float], Awaitable[Answer]],
    timeout: float,  # noqa: ASYNC109 - of all attempts
) -> Answer:
    """Call `ask` with the seconds that it may take, until it has an answer, or `timeout` seconds and a wait are over.

    Only what can be repeated may be asked so: the same command with the same id, or a query.

    Raises:
        CommandUnansweredError, ServiceUnavailableError: that of the last attempt.
    """
    deadline = monotonic() + timeout
    context = stamina.retry_context(
        on=_passes,
        attempts=None,
        timeout=timeout,
        wait_initial=_FIRST_WAIT,
        wait_max=_LONGEST_WAIT,
        wait_jitter=_FIRST_WAIT,
    )
    async for attempt in context:
        with attempt:
            return await ask(max(min(PATIENCE_SECONDS, deadline - monotonic()), _FIRST_WAIT))
    raise AssertionError  # the last attempt raises its error


def _passes(error: Exception) -> bool:
    match error:
        case CommandUnansweredError():
            return True
        case ServiceUnavailableError():
            return error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return False

"""Asks again until there is an answer, or the time is over."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic
from typing import Final, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_random_exponential

from service.client.errors import ServiceUnavailableError
from service.contracts.replies import CommandUnansweredError

Answer = TypeVar("Answer")

PATIENCE_SECONDS: Final = 15.0
"""How long one attempt waits: a lost answer never comes. The API needs 10 to say that it is behind."""

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0


async def persistently(
    ask: Callable[[float], Awaitable[Answer]],
    timeout: float,  # noqa: ASYNC109 - of all attempts
) -> Answer:
    """Call `ask` with the seconds that it may take, until it has an answer, or `timeout` seconds are over.

    Only what can be repeated may be asked so: the same command with the same id, or a query.

    Raises:
        CommandUnansweredError, ServiceUnavailableError: that of the last attempt.
    """
    deadline = monotonic() + timeout

    async def attempt() -> Answer:
        return await ask(max(min(PATIENCE_SECONDS, deadline - monotonic()), _FIRST_WAIT))

    # Not stamina: it tells of each attempt, in programs that have not set up structlog on their standard output.
    trying = AsyncRetrying(
        retry=retry_if_exception(passes),
        stop=stop_before_delay(timeout),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        reraise=True,
    )
    return await trying(attempt)


def passes(error: BaseException) -> bool:
    """Whether the same may be asked again: it is not known whether it was answered, or only for now refused."""
    match error:
        case CommandUnansweredError():
            return True
        case ServiceUnavailableError():
            return error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return False

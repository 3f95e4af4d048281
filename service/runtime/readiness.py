"""Waits until all parts of a process are ready."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from service.contracts.readiness import Readiness
from service.ports.readiness import Check, ask

_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 10.0
"""So long parts may take to be ready before it is said why they are not."""

log = structlog.get_logger(__name__)


def told(readiness: Callable[[], Readiness]) -> Check:
    """The check of a part that knows the answer without asking."""

    async def check() -> Readiness:
        return readiness()

    return check


def answers(question: Callable[[], Awaitable[object]]) -> Check:
    """The check of a part that is ready if it answers at all."""

    async def check() -> Readiness:
        await question()
        return Readiness(ready=True, detail="answers")

    return check


async def until_ready(checks: Mapping[str, Check], watch: asyncio.Task[None]) -> None:
    """Return once all parts are ready; raises what ends `watch` before."""
    told_at = asyncio.get_running_loop().time()
    while True:
        answers = {name: await ask(check) for name, check in checks.items()}
        flaws = {name: answer.detail for name, answer in answers.items() if not answer.ready}
        if not flaws:
            return
        done, _ = await asyncio.wait([watch], timeout=_POLL_SECONDS)
        if done:
            watch.result()
        if asyncio.get_running_loop().time() > told_at + _PATIENCE_SECONDS:
            told_at = asyncio.get_running_loop().time()
            log.warning("not_ready_yet", **flaws)

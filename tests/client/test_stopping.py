"""Stopping waits for nobody for long, and takes nobody else's cancellation for its own."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from service.client import stopping
from service.client.stopping import stop


@pytest.mark.parametrize("error", [KafkaConnectionError, asyncio.CancelledError])
async def test_what_went_wrong_while_stopping_is_nobodys_concern(error: type[BaseException]) -> None:
    async def fail() -> None:
        raise error

    await stop(fail)


async def test_who_does_not_stop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_SECONDS", 0.01)
    await stop(lambda: asyncio.sleep(60))


async def test_who_is_cancelled_while_stopping_is_cancelled() -> None:
    stopped = asyncio.create_task(stop(lambda: asyncio.sleep(60)))
    await asyncio.sleep(0)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped

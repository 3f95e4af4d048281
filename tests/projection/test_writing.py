"""One batch is written at a time, in order, and nothing that fails goes unnoticed."""

import asyncio

import pytest

from service.projection.writing import writing


async def test_a_write_begins_once_the_one_before_has_ended() -> None:
    seen: list[str] = []
    release = asyncio.Event()

    async def write(name: str) -> None:
        seen.append(f"{name} begins")
        await release.wait()
        seen.append(f"{name} ends")

    async with writing() as writes:
        await writes.begin(lambda: write("first"))
        second = asyncio.create_task(writes.begin(lambda: write("second")))
        await asyncio.sleep(0.01)
        assert seen == ["first begins"]
        release.set()
        await second
    assert seen == ["first begins", "first ends", "second begins", "second ends"]


async def test_after_one_that_fails_none_is_begun() -> None:
    async def fails() -> None:
        raise ConnectionError("the store is gone")

    async def never() -> None:
        pytest.fail("it was begun")

    with pytest.raises(ConnectionError):
        async with writing() as writes:
            await writes.begin(fails)
            await writes.begin(never)


async def test_the_last_one_that_fails_is_noticed_at_the_end() -> None:
    async def fails() -> None:
        raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError):
        async with writing() as writes:
            await writes.begin(fails)


async def test_who_is_cancelled_leaves_off_what_is_under_way() -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def write() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def works() -> None:
        async with writing() as writes:
            await writes.begin(write)
            await asyncio.sleep(60)

    task = asyncio.create_task(works())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()

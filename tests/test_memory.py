import asyncio
import gc
import sys

import pytest

from service.memory import give_back, resident_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no glibc")
async def test_what_large_payloads_leave_behind_is_given_back() -> None:
    """Among them what is left in cycles, of which the collector would know nothing for long."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1_000_000, 20, 50)
    keeper = asyncio.create_task(give_back())
    try:
        await asyncio.sleep(0)
        before = resident_bytes()
        for number in range(200):
            cycle: list[object] = [[bytes([number]) * 1_000 for _ in range(1_000)]]
            cycle.append(cycle)
        del cycle
        assert resident_bytes() > before + (150 << 20)
        async with asyncio.timeout(30):
            while resident_bytes() > before + (50 << 20):
                await asyncio.sleep(0.05)
    finally:
        keeper.cancel()
        gc.set_threshold(*thresholds)
        gc.unfreeze()

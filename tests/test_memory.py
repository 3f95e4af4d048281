"""In a process of its own: what other tests have freed would be used first."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, gc
from service.memory import give_back, resident_bytes

async def main():
    gc.set_threshold(1_000_000, 20, 50)
    keeper = asyncio.create_task(give_back())
    await asyncio.sleep(0)
    before = resident_bytes()
    for number in range(200):
        cycle = [[bytes([number]) * 1_000 for _ in range(1_000)]]
        cycle.append(cycle)
    del cycle
    assert resident_bytes() > before + (150 << 20), "the cycles are there"
    async with asyncio.timeout(30):
        while resident_bytes() > before + (50 << 20):
            await asyncio.sleep(0.05)
    keeper.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no glibc")
def test_what_large_payloads_leave_behind_is_given_back() -> None:
    """Among them what is left in cycles, of which the collector would know nothing for long."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr

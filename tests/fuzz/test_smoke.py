"""A real service, and whatever a client can write: nothing stops it, every command is answered exactly once."""

import asyncio
from pathlib import Path

from tests.fuzz.run import Summary, run_fuzz

SEED = 20261125


async def test_nothing_that_a_client_sends_stops_or_fools_the_service(
    tmp_path: Path, fuzz_summaries: list[Summary]
) -> None:
    summary = await asyncio.to_thread(run_fuzz, tmp_path, seed=SEED, seconds=60)
    fuzz_summaries.append(summary)
    assert not summary.flaws, summary.replay
    assert {name.partition(":")[0] for name in summary.outcomes} >= {"accepted", "duplicate", "rejected"}

"""Real processes, a real broker, and what can happen to them: nothing is lost, nothing is done twice."""

from pathlib import Path

from tests.chaos.faults import KINDS
from tests.chaos.run import run_chaos
from tests.chaos.summary import Summary

SEED = 20261123


async def test_everything_is_answered_exactly_once_whatever_breaks(tmp_path: Path, summaries: list[Summary]) -> None:
    summary = await run_chaos(tmp_path, seed=SEED, seconds=35, rate=300)
    summaries.append(summary)
    assert summary.violations == {}, summary.examples
    assert set(summary.faults) == set(KINDS)

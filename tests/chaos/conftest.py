"""Puts what the run was and found into the test run's own summary, so that it can be read in every log."""

import pytest

from tests.chaos.summary import Summary

SUMMARIES = pytest.StashKey[list[Summary]]()


@pytest.fixture
def summaries(request: pytest.FixtureRequest) -> list[Summary]:
    """What is put here is printed when all tests have ended."""
    return request.config.stash.setdefault(SUMMARIES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for summary in config.stash.get(SUMMARIES, []):
        terminalreporter.section("chaos")
        terminalreporter.write_line(str(summary))

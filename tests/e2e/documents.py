"""Runs what documents show, as a reader would."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2
import stamina

from tests.e2e.process import Up

ROOT: Final = Path(__file__).parents[2]


def blocks(document: str) -> list[tuple[str, str]]:
    """The language and the text of every block of code."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(shown: Iterable[tuple[str, str]], service: Up, directory: Path) -> Iterator[str]:
    """What each of these blocks prints, run one after the other in this directory."""
    for kind, text in shown:
        match kind:
            case "sh":
                program = ["bash", "-euo", "pipefail", "-c", text]
            case "python":
                program = [sys.executable, "-c", text]
            case _:
                raise AssertionError(f"a block that nobody runs: {kind}")
        settle(service.url)
        ran = subprocess.run(
            program, cwd=directory, env=service.environment, check=False, timeout=60, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
        yield ran.stdout


def settle(url: str) -> None:
    """Return when the read side has all that was published until now: a reader is slower than it."""
    began = datetime.now(UTC)
    for attempt in stamina.retry_context(
        on=(AssertionError, httpx2.TransportError), attempts=None, timeout=60, wait_max=0.2
    ):
        with attempt:
            answer = httpx2.get(f"{url}/api/v1/task-execution-stats", trust_env=False, timeout=30).json()
            assert answer.get("lag") == 0  # absent until the projector has begun
            assert datetime.fromisoformat(answer["asOf"]) > began

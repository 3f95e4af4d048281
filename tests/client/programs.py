"""Programs of a client's own, in a process of their own."""

import subprocess
import sys
from typing import Final

_PATIENT: Final = "import logging; logging.getLogger('asyncio').setLevel('ERROR')\n"
"""Else asyncio tells of each step that a busy machine took a tenth of a second for."""


def run_strictly(program: str) -> tuple[str, str, int]:
    """What it prints, what it complains of, leaks and warnings included, and its exit status."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", _PATIENT + program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return ran.stdout, ran.stderr, ran.returncode

"""Logs show where something failed, and not what the variables held."""

import subprocess
import sys

PROGRAM = """
import logging, sys
from service.logs import configure_logs

sys.stderr.isatty = lambda: {terminal}
configure_logs()

def fail(payload):
    raise ValueError("it failed")

try:
    fail("canary-" + "of-a-secret")
except ValueError:
    logging.getLogger("a library").exception("unforeseen")
"""


def test_a_traceback_shows_no_payload_on_a_terminal_or_elsewhere() -> None:
    for terminal in (True, False):
        program = [sys.executable, "-c", PROGRAM.format(terminal=terminal)]
        said = subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stderr
        assert "it failed" in said
        assert "in fail" in said
        assert "canary-of-a-secret" not in said

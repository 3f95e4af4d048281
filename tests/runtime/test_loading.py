"""A process loads what its roles need: half of a start is loading."""

import subprocess
import sys

OTHERS = ("service.projection", "service.queries", "service.read_model", "service.api", "service.client", "starlette")


def test_a_handler_does_not_load_what_reads_and_serves() -> None:
    loaded = f"[name for name in sys.modules if name.startswith({OTHERS})]"
    code = f"import sys, service.bootstrap, service.handling.handler; print({loaded})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"

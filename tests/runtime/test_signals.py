import subprocess
import sys

SCRIPT = """
import asyncio, os, signal
from asyncio.selector_events import BaseSelectorEventLoop
from service.runtime.signals import run_until_terminated

def stop_again(loop, close=BaseSelectorEventLoop.close):
    close(loop)
    os.kill(os.getpid(), signal.SIGTERM)

async def work():
    BaseSelectorEventLoop.close = stop_again
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()

run_until_terminated(work())
"""


def test_whoever_is_stopped_twice_ends_as_if_once() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")

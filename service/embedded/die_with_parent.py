"""Become another program, which the kernel kills when its parent dies: `python die_with_parent.py PARENT PROGRAM …`.

A program of its own, because what `preexec_fn` runs between fork and exec can deadlock a process with threads.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main(parent: int, command: list[str]) -> None:
    """Run `command` in this process, unless `parent` is dead already.

    Only Linux can do this; elsewhere the program outlives a parent that is killed.
    """
    if sys.platform == "linux":
        # SIGKILL: a restarted parent finds the port and the files free at once. Kafka recovers from it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:
        os.execv(command[0], command)  # noqa: S606 - becoming this program is the purpose


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

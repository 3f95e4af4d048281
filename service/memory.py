"""Gives back what large commands and answers leave behind.

CPython's collector counts objects, not bytes, and glibc keeps what was freed: without this, a process grows to several
times of what it uses.
"""

import asyncio
import ctypes
import gc
import sys
from pathlib import Path
from typing import Final

_GROWTH_BYTES: Final = 64 << 20
_SECONDS: Final = 1.0
_PAGE_BYTES: Final = 4096
_STATM: Final = Path("/proc/self/statm")
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # <malloc.h>
_ARENAS: Final = 2
_LARGE_BYTES: Final = 256 << 10


def collect_seldom() -> None:
    """For processes that handle many records: each leaves small, long-lived objects behind.

    The default thresholds spend 40 % of a handler's time on looking through them, and a fifth of a projector's.
    """
    gc.set_threshold(1_000_000, 20, 50)


def resident_bytes() -> int:
    """How much memory this process has now."""
    return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES


async def give_back() -> None:
    """Collect and give back whenever the process has grown, until cancelled. Does nothing but on Linux with glibc."""
    try:
        libc = ctypes.CDLL("libc.so.6" if sys.platform == "linux" else None)
        libc.mallopt(_ARENA_MAX, _ARENAS)  # else every thread keeps its own
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)  # what is larger goes back at once
        trim = libc.malloc_trim
    except (OSError, AttributeError):
        await asyncio.Event().wait()
    gc.freeze()  # what is there when it starts, stays: to look through it takes a tenth of a second
    least = resident_bytes()
    while True:
        await asyncio.sleep(_SECONDS)
        if resident_bytes() > least + _GROWTH_BYTES:
            gc.collect()
            await asyncio.to_thread(trim, 0)
            least = resident_bytes()
        least = min(least, resident_bytes())

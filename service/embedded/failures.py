"""Why a broker ended, from its log."""

import re
import shutil
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 200_000
_FULL_BYTES: Final = 1_000_000
_ADVICE: Final = {
    "Address already in use": "another process took the port: choose another one with --kafka-port",
    "OutOfMemoryError": "the memory did not suffice: give the machine, or the container, 1 GB more",
}
_TELLING: Final = re.compile(
    r"^(?:Caused by: |Exception in thread \S+ )?([\w.$]+(?:Exception|Error): .+)$", re.MULTILINE
)


def reason(log_file: Path) -> str:
    """Return one line: the reason with what to do about it, else the log's own last complaint; and the log's name."""
    try:
        # Asked of the disk itself: the log can't tell that there was no room for it.
        if shutil.disk_usage(log_file.parent).free < _FULL_BYTES:
            return f"the disk of {log_file.parent} is full: free some room."
        text = log_file.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError as error:
        return f"its log {log_file} can't be read ({error.strerror})."
    for sign, advice in _ADVICE.items():
        if sign in text:
            return f"{advice} ({log_file})."
    complaints = _TELLING.findall(text) or text.strip().splitlines()[-1:] or ["it said nothing"]
    return f"{complaints[-1].rstrip('.')} ({log_file})."

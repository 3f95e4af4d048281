"""What `taskexec doctor` checks of this machine and of the environment."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from service.cli.contexts import config_file, read_contexts
from service.cli.environment import read_settings
from service.cli.exits import CommandError
from service.cli.findings import Finding, fail, ok, warn
from service.cli.serve import default_data_dir

_PYTHONS: Final = ((3, 11), (3, 14))
_GIGABYTE: Final = 1 << 30
_LITTLE: Final = 2 * _GIGABYTE
_TOO_LITTLE: Final = _GIGABYTE // 4
_OF_UP: Final = "`taskexec up`, `demo` and `play`"


def local_checks() -> Iterator[Finding]:
    """Programs, disk, configuration."""
    yield _python()
    yield _java()
    yield _maven()
    yield from _disks()
    yield from _environment()
    yield _config()


def _python() -> Finding:
    first, last = _PYTHONS
    found = f"{platform.python_version()} ({sys.executable})"
    if first <= sys.version_info[:2] <= last:
        return ok("python", found)
    return fail("python", found, f"Use Python {first[0]}.{first[1]} to {last[0]}.{last[1]}.")


def _java() -> Finding:
    from service.embedded.errors import EmbeddedError  # noqa: PLC0415 - seldom needed
    from service.embedded.java import find_java  # noqa: PLC0415 - the same

    try:
        java = find_java()
    except EmbeddedError as error:
        return warn("java", str(error), f"Only {_OF_UP} need it: they run a broker of their own.")
    return ok("java", f"{java.version} ({java.program})")


def _maven() -> Finding:
    from service.embedded.jars import kept_jars  # noqa: PLC0415 - seldom needed

    jars = kept_jars()
    if jars is not None:
        return ok("maven", f"not needed: Kafka's jars are in {jars}")
    if program := shutil.which("mvn"):
        return ok("maven", f"{program}; Kafka's jars will be fetched once")
    advice = f"Only {_OF_UP} need it, to fetch Kafka once. Debian: apt install maven."
    return warn("maven", "there is no mvn, and Kafka's jars are not here yet", advice)


def _disks() -> Iterator[Finding]:
    places = {"data": os.environ.get("TASKEXEC_DATA_DIR") or default_data_dir()}
    if state := os.environ.get("TASKEXEC_STATE_DIR"):
        places["state"] = state
    for name, place in places.items():
        there = next(folder for folder in (Path(place).resolve(), *Path(place).resolve().parents) if folder.exists())
        free = shutil.disk_usage(there).free
        found = f"{free / _GIGABYTE:.1f} GB free for {place}"
        if not os.access(there, os.W_OK):
            yield fail(f"disk ({name})", f"{there} cannot be written", "Give it to this user, or name another one.")
        elif free < _TOO_LITTLE:
            yield fail(f"disk ({name})", found, "Make room: Kafka and ClickHouse stop when the disk is full.")
        elif free < _LITTLE:
            yield warn(f"disk ({name})", found, "Make room before it is full.")
        else:
            yield ok(f"disk ({name})", found)


def _environment() -> Iterator[Finding]:
    from service.settings import Settings  # noqa: PLC0415 - seldom needed

    known = sorted(Settings.variables())
    for name in Settings.unknown(dict(os.environ)):
        close = get_close_matches(name, known, 1)
        advice = f"Did you mean {close[0]}? Else unset it." if close else "Unset it. The README lists all there are."
        yield fail("environment", f"{name} is set, and nothing reads it", advice)
    given = sorted(name for name in os.environ if name in Settings.variables())
    try:
        if not Settings.unknown(dict(os.environ)):
            read_settings()
    except CommandError as error:
        for line in error.lines[1:]:
            yield fail("environment", line, "The README says what each variable may be.")
    else:
        yield ok("environment", ", ".join(given) or "nothing is set: all is as the README says")


def _config() -> Finding:
    try:
        current, contexts = read_contexts()
    except CommandError as error:
        return fail("contexts", "; ".join(error.lines), f"Mend {config_file()}, or remove it.")
    if current is not None and current not in contexts:
        return fail("contexts", f"the current one, {current}, is not in {config_file()}", "taskexec context use NAME")
    if not contexts:
        return ok("contexts", f"none, for there is no {config_file()}")
    return ok("contexts", f"{', '.join(contexts)}; the current one is {current}")

"""Reads JSON that people type or keep in files."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from service.cli.exits import CommandError, Exit


def read_given(what: str, file: str | None, pairs: list[str] | None) -> dict[str, Any]:
    """The inputs or outputs of a command: of `--inputs FILE`, and of each `--input NAME=JSON`, which win.

    Raises:
        CommandError: as of both.
    """
    return (read_object(f"--{what}s", file) if file else {}) | read_pairs(f"--{what}", pairs or [])


def read_object(option: str, file: str) -> dict[str, Any]:
    """The JSON object in the file; `-` is stdin. Raises CommandError: unreadable, not JSON, or not an object."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(Exit.USAGE, f"{option} {file} cannot be read: {error.strerror}") from None
    value = _decode(raw, f"{option} {file}")
    if not isinstance(value, dict):
        raise CommandError(Exit.USAGE, f'{option} {file} must hold a JSON object, such as {{"day": "2026-03-01"}}')
    return value


def read_pairs(option: str, pairs: list[str]) -> dict[str, Any]:
    """Each `name=value`. A value that is not JSON is a text: `day=2026-03-01`; but not if it looks like JSON.

    Raises:
        CommandError: no `=`, a name twice, or broken JSON.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not (name and separator):
            raise CommandError(Exit.USAGE, f"{option} {pair} must be NAME=VALUE, the value in JSON")
        if name in values:
            raise CommandError(Exit.USAGE, f"{option} {name} is given twice; keep one")
        values[name] = _value(option, name, text)
    return values


def read_dependencies(option: str, texts: list[str]) -> list[dict[str, str]]:
    """Each `node=id` or `node=id:output`. Raises CommandError: no `=`."""
    dependencies: list[dict[str, str]] = []
    for text in texts:
        node, _, target = text.partition("=")
        if not (node and target):
            raise CommandError(Exit.USAGE, f"{option} {text} must be NODE=ID or NODE=ID:OUTPUT")
        id_, _, condition = target.partition(":")
        dependencies.append({"executionId": id_, "node": node, **({"condition": condition} if condition else {})})
    return dependencies


def read_timeout(text: str) -> timedelta:
    """How long that is: `90s`, `5m`. Raises CommandError: it says no duration."""
    from service.ports.moments import read_duration  # noqa: PLC0415 - seldom needed

    try:
        return cast("timedelta", read_duration(text))
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"--timeout {text} {error}") from None


def _value(option: str, name: str, text: str) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return _decode(text.encode(), f"{option} {name}")
    except CommandError:
        if text.startswith(("{", "[", '"')):
            raise
        return text


def _decode(raw: bytes, what: str) -> Any:  # noqa: ANN401 - JSON is any
    from service.contracts.codec import MalformedJsonError, decode  # noqa: PLC0415 - only what reads JSON pays for it

    try:
        return decode(raw)
    except MalformedJsonError as error:
        raise CommandError(Exit.USAGE, f"{what} is not strict JSON: {error.detail}") from None

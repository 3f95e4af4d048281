"""Values that a terminal shows in a shorter way: ids, times, statuses. To every other reader they are plain texts."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.text import Text

STYLES: Final = {
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "FAILURE": "bold red",
    "STOPPED": "magenta",
    "SKIPPED": "dim",
}
ICONS: Final = {"PENDING": "○", "RUNNING": "▶", "SUCCESS": "✓", "FAILURE": "✗", "STOPPED": "■", "SKIPPED": "↷"}

SHORT_ID: Final = 8
"""Digits of an id that a terminal shows: commands take them in place of the id."""

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class Id(str):
    """Of an execution."""

    __slots__ = ()


class Time(str):
    """RFC 3339."""

    __slots__ = ()


class Word(str):
    """A status."""

    __slots__ = ()


def drawn(value: Any, text: str, *, brief: bool) -> "Text":  # noqa: ANN401 - JSON is any
    """How a table shows the value, whose text is this. `brief`: for who reads it on a terminal."""
    from rich.text import Text  # noqa: PLC0415 - only what draws tables pays for it

    style = STYLES.get(text, "") if isinstance(value, Word) else ""
    if not brief:
        return Text(text, style)
    if isinstance(value, Id):
        text = text[:SHORT_ID]
    elif isinstance(value, Time):
        text = age(text)
    elif isinstance(value, Word):
        text = f"{ICONS.get(text, '?')} {text}"
    return Text(text.replace("\n", " "), style, no_wrap=True, overflow="ellipsis")


def age(time: str, now: datetime | None = None) -> str:
    """How long ago that was, in its largest unit: `3m ago`; `in 2h`, of what is still to come."""
    left = datetime.fromisoformat(time) - (now or datetime.now(UTC))
    seconds = abs(left) // timedelta(seconds=1)
    text = next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds >= size), "0s")
    return f"in {text}" if left > timedelta(seconds=1) else f"{text} ago"

"""What a shell offers while a command is typed. It asks for a moment only; whatever goes wrong, it offers nothing."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import typer

_PATIENCE: Final = 1.0
_OFFERED: Final = 50


def complete_context(incomplete: str) -> list[str]:
    """The names of contexts that begin so."""
    from service.cli.contexts import read_contexts  # noqa: PLC0415 - contexts and options know each other

    return _fitting(incomplete, lambda: read_contexts()[1])


def complete_id(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of the newest executions that begin so."""
    return _fitting(incomplete, lambda: (item["id"] for item in _ask(ctx, "", {"pageSize": _OFFERED})["items"]))


def complete_task(ctx: typer.Context, incomplete: str) -> list[str]:
    """The tasks that begin so, of which there are executions."""
    asked = {"groupBy": "taskId"}
    return _fitting(incomplete, lambda: (group["key"] for group in _ask(ctx, "stats", asked).get("groups", ())))


def _ask(ctx: typer.Context, what: str, parameters: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON is any
    from service.cli.asking import address  # noqa: PLC0415 - as above
    from service.cli.remote import STATS, Remote, path_of  # noqa: PLC0415 - as above

    remote = Remote(address(ctx.params.get("url"), ctx.params.get("context")), timeout=_PATIENCE)
    return remote.get(STATS if what else path_of(), parameters).body


def _fitting(incomplete: str, offered: Callable[[], Iterable[str]]) -> list[str]:
    with suppress(Exception):
        return [one for one in offered() if one.startswith(incomplete)]
    return []

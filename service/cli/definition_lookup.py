"""Finds the definition that an argument names: a version on the topic, or a file."""

import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.cli.asking import Broker
from service.cli.definition_files import check_definitions, refuse_flaws
from service.cli.exits import CommandError, Exit
from service.cli.kafka import all_versions
from service.definitions.answering import newest_first
from service.domain.definitions import Definition

if TYPE_CHECKING:
    from service.definitions.versions import Versions

_TASK: Final = re.compile(r"(?P<task>[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+)(@(?P<version>.*))?")


def find(versions: "Versions", task_id: str, version: str | None) -> Definition:
    """The version of the task; without one, its newest published one, or else its newest.

    Raises:
        CommandError: there is none.
    """
    there = [one for one in newest_first(versions) if one.task_id == task_id]
    wanted = [one for one in there if version is None or one.version == version]
    if not wanted:
        known = f"There are: {', '.join(one.version for one in there)}." if there else "There is no version of it."
        name = task_id if version is None else f"{task_id}@{version}"
        raise CommandError(Exit.NOT_FOUND, f"{name} is not on the topic.", known)
    return next((one for one in wanted if one.is_published), wanted[0])


def named(text: str) -> tuple[str, str | None]:
    """The task, and the version if there is one, of `TASK[@VERSION]`.

    Raises:
        CommandError: it is not of this form.
    """
    if (match := _TASK.fullmatch(text)) is None:
        raise CommandError(Exit.USAGE, f"'{text}' must be TASK or TASK@VERSION, such as sales:daily_report@1.2.0")
    return match["task"], match["version"]


class Finder:
    """Finds what each of several arguments names; Kafka is asked at most once."""

    def __init__(self, broker: Broker) -> None:
        self._versions = cache(partial(all_versions, broker))

    def find(self, text: str) -> Definition:
        """`TASK[@VERSION]`, or a file with one definition.

        Raises:
            CommandError: there is none, or it cannot be used.
        """
        found = find(self._versions(), *named(text)) if _TASK.fullmatch(text) else _in_file(Path(text))
        if found.flaw is not None:
            raise CommandError(Exit.REFUSED, f"{found.name} cannot be used: {found.flaw}")
        return found


def _in_file(file: Path) -> Definition:
    checked = check_definitions([file])
    refuse_flaws(checked, "There are mistakes in the file:")
    definitions = [item.definition for item in checked if item.definition]
    if len(definitions) != 1:
        raise CommandError(Exit.USAGE, f"{file} must hold one definition; it has {len(definitions)}")
    return Definition(definitions[0])

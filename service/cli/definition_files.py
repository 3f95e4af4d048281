"""Task definitions in files, checked as strictly as the service does: what passes here can be executed."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import to_json
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import AliasToken

from service.cli.exits import CommandError, Exit
from service.contracts.codec import MalformedJsonError, decode
from service.contracts.definitions import TaskDefinition
from service.contracts.envelope import MAX_COMMAND_DEPTH
from service.contracts.problems import field_errors
from service.contracts.topics import MAX_RECORD_BYTES
from service.domain.definitions import Definition, InvalidDefinitionError

_MAX_BYTES: Final = MAX_RECORD_BYTES - 65_536  # the rest is for the headers and what Kafka adds


class _UnreadableError(Exception):
    """The file holds no definitions; the message says why."""


class Checked(Struct, frozen=True):
    """A definition in a file (`place`), or None and all that is wrong with it or with the file."""

    place: str
    definition: TaskDefinition | None
    flaws: Sequence[str] = ()


def read_definitions(files: Iterable[Path]) -> list[TaskDefinition]:
    """All definitions in the files, in order.

    Raises:
        CommandError: a file cannot be read, or a definition is not valid or given twice: all that is wrong, by file.
    """
    checked = check_definitions(files)
    refuse_flaws(checked, "Nothing was published, for there are mistakes in the files:")
    return [item.definition for item in checked if item.definition]


def refuse_flaws(checked: Iterable[Checked], summary: str) -> None:
    """Return if nothing is wrong.

    Raises:
        CommandError: something is: the summary, then all of it.
    """
    if flaws := [f"{item.place}: {flaw}" for item in checked for flaw in item.flaws]:
        raise CommandError(Exit.USAGE, summary, *flaws)


def check_definitions(files: Iterable[Path]) -> list[Checked]:
    """All definitions in the files, in order, and all that is wrong."""
    checked: list[Checked] = []
    places: dict[str, str] = {}
    for file in files:
        try:
            documents = _documents(file)
        except _UnreadableError as error:
            checked.append(Checked(str(file), None, [str(error)]))
            continue
        for number, data in enumerate(documents, start=1):
            place = f"{file}, definition {number}"
            definition, flaws = _definition(data)
            if definition and (first := places.get(definition.key)):
                flaws = [f"{definition.key} is given twice, first in {first}; keep one"]
            elif definition:
                places[definition.key] = place
            checked.append(Checked(place, None if flaws else definition, flaws))
    return checked


def _definition(data: object) -> tuple[TaskDefinition | None, list[str]]:
    try:
        definition = TaskDefinition.model_validate(data, by_alias=True, by_name=False, extra="forbid")
        Definition(definition)
        return definition, _record_flaws(definition.model_dump_json(exclude_none=True).encode())
    except ValidationError as error:
        return None, list(_schema_flaws(error))
    except InvalidDefinitionError as error:
        return None, [f"{e.pointer}: {e.detail}" for e in error.errors]


def _record_flaws(record: bytes) -> list[str]:
    """What the service would refuse of what is published."""
    if len(record) > _MAX_BYTES:
        return [f"it has {len(record)} bytes as JSON; at most {_MAX_BYTES} are allowed"]
    try:
        decode(record, MAX_COMMAND_DEPTH)
    except MalformedJsonError as error:
        return [f"{error.pointer}: {error.detail}"]
    return []


def _schema_flaws(error: ValidationError) -> Iterator[str]:
    for found, flaw in zip(error.errors(), field_errors(error, ()), strict=False):  # of very many, the first ones
        unknown = found["type"] == "extra_forbidden"
        yield f"{flaw.pointer}: {'unknown field; it would not be published' if unknown else flaw.detail}"


def _documents(file: Path) -> list[Any]:
    """What the file holds: the definition, or all that are in an array or in several YAML documents."""
    try:
        raw = file.read_bytes()
        documents = [decode(raw)] if file.suffix == ".json" else _yaml(raw)
    except OSError as error:
        raise _UnreadableError(f"cannot be read: {error.strerror}") from None
    except MalformedJsonError as error:
        raise _UnreadableError(f"not strict JSON: {error.detail} ({error.pointer})") from None
    except MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _UnreadableError(f"not valid YAML: {where}{error.problem}") from None
    except RecursionError:
        raise _UnreadableError("not valid YAML: nested too deeply") from None
    except (YAMLError, ValueError) as error:
        raise _UnreadableError(f"not valid YAML: {error}") from None
    found = [item for document in documents for item in (document if isinstance(document, list) else [document])]
    if not found:
        raise _UnreadableError("holds no definition")
    return found


def _yaml(raw: bytes) -> list[Any]:
    """Every document, through JSON: so YAML can say no more than what JSON can."""
    yaml = YAML(typ="safe", pure=True)
    for token in yaml.scan(raw):
        if isinstance(token, AliasToken):
            raise _UnreadableError(f"line {token.start_mark.line + 1}: aliases are not allowed; write the value out")
    return [decode(to_json(document, inf_nan_mode="constants")) for document in yaml.load_all(raw)]

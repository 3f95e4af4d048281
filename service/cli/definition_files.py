"""Task definitions in files, checked as strictly as the service does: what passes here can be executed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import AliasToken

from service.cli.exits import CommandError, Exit
from service.contracts.codec import MalformedJsonError, decode, pointer
from service.contracts.definitions import TaskDefinition
from service.contracts.wording import detail_of
from service.domain.definitions import Definition, InvalidDefinitionError


class _UnreadableError(Exception):
    """The file holds no definitions; the message says why."""


def read_definitions(files: Iterable[Path]) -> list[TaskDefinition]:
    """All definitions in the files, in order.

    Raises:
        CommandError: a file cannot be read, or a definition is not valid or given twice: all that is wrong, by file.
    """
    definitions: dict[str, TaskDefinition] = {}
    flaws: list[str] = []
    for file in files:
        try:
            documents = _documents(file)
        except _UnreadableError as error:
            flaws.append(f"{file}: {error}")
            continue
        for number, data in enumerate(documents, start=1):
            definition, wrong = _definition(data)
            if definition and definition.key in definitions:
                wrong = [f"{definition.key} is given twice; keep one"]
            if definition:
                definitions[definition.key] = definition
            flaws += [f"{file}, definition {number}: {flaw}" for flaw in wrong]
    if flaws:
        raise CommandError(Exit.USAGE, "Nothing was published, for there are mistakes in the files:", *flaws)
    return list(definitions.values())


def _definition(data: object) -> tuple[TaskDefinition | None, list[str]]:
    try:
        definition = TaskDefinition.model_validate(data, by_alias=True, by_name=False, extra="forbid")
        Definition(definition)
    except ValidationError as error:
        return None, [f"{pointer('#', *e['loc'])}: {_detail(e)}" for e in error.errors()]
    except InvalidDefinitionError as error:
        return None, [str(error)]
    return definition, []


def _detail(flaw: ErrorDetails) -> str:
    return "unknown field; it would not be published" if flaw["type"] == "extra_forbidden" else detail_of(flaw)


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

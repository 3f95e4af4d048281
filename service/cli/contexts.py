"""The installations that the command line knows by name, in a file of the user's.

Where the service is: --url, TASKEXEC_URL, --context, TASKEXEC_CONTEXT, the file's current context, this machine.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from service.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DEFAULT_SERVERS: Final = "127.0.0.1:9092"
FIELDS: Final = ("url", "bootstrap_servers", "prefix")
"""What is known of an installation: the API's address; Kafka's, and what its topics' names begin with."""


def config_file() -> Path:
    """Where the file is: TASKEXEC_CONFIG, or in the user's directory for configuration."""
    if given := os.environ.get("TASKEXEC_CONFIG"):
        return Path(given)
    from platformdirs import user_config_path  # noqa: PLC0415 - seldom needed

    return user_config_path("task-execution-service") / "config.toml"


def read_contexts() -> tuple[str | None, dict[str, dict[str, str]]]:
    """The name of the current context, and all there are; none if there is no file.

    Raises:
        CommandError: the file cannot be read, or has something else in it.
    """
    import tomllib  # noqa: PLC0415 - seldom needed

    file = config_file()
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, {}
    except (OSError, ValueError) as error:
        raise CommandError(Exit.USAGE, f"{file} cannot be read: {error}", "Mend it, or remove it.") from None
    return content.get("current"), _checked(file, content)


def find_context(name: str | None) -> dict[str, str]:
    """The context of this name, or the current one; without any, nothing is known.

    Raises:
        CommandError: there is none of this name.
    """
    current, contexts = read_contexts()
    wanted = name or current
    if wanted is None:
        return {}
    if wanted not in contexts:
        known = f"There are: {', '.join(contexts)}." if contexts else "There is none yet."
        advice = "Add it: taskexec context set NAME --url URL"
        raise CommandError(Exit.USAGE, f"There is no context {wanted!r} in {config_file()}.", known, advice)
    return contexts[wanted]


@contextmanager
def changing() -> Iterator["TOMLDocument"]:
    """The file's content, to change; it is written, with what people wrote in it, when this ends well."""
    import tomlkit  # noqa: PLC0415 - seldom needed

    from service.cli.files import replacing  # noqa: PLC0415 - the same

    read_contexts()  # says what is wrong
    file = config_file()
    document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    yield document
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as written:
        written.write(tomlkit.dumps(document).encode())


def _checked(file: Path, content: dict[str, Any]) -> dict[str, dict[str, str]]:
    contexts: dict[str, dict[str, str]] = content.get("contexts", {})
    flaws = [f"{name}: unknown; there are: current, contexts" for name in content.keys() - {"current", "contexts"}]
    if not isinstance(content.get("current", ""), str) or not isinstance(contexts, dict):
        flaws.append("current must be a name, and contexts a table")
    else:
        for name, fields in contexts.items():
            if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
                flaws.append(f"contexts.{name}: must be a table of texts")
            elif unknown := fields.keys() - {*FIELDS}:
                flaws.append(f"contexts.{name}: unknown: {', '.join(sorted(unknown))}; there are: {', '.join(FIELDS)}")
    if flaws:
        raise CommandError(Exit.USAGE, f"{file} is not what it must be:", *flaws)
    return contexts

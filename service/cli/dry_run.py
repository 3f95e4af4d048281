"""What `taskexec execute --dry-run` shows."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from pydantic import ValidationError

from service.cli.exits import CommandError, Exit
from service.cli.output import Output, Table, write_note
from service.cli.remote import Remote, path_of
from service.contracts.commands import ExecuteTask
from service.contracts.problems import field_errors


def show_command(remote: Remote, body: Mapping[str, Any], key: str | None, out: Output) -> None:
    """The request, as it would be sent.

    Raises:
        CommandError: it does not fit the schema of commands.
    """
    given = {name: value for name, value in body.items() if value is not None}
    try:
        ExecuteTask.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        flaws = (f"{flaw.pointer}: {flaw.detail}" for flaw in field_errors(error, ExecuteTask.wire_names()))
        raise CommandError(Exit.REFUSED, "The command does not fit its schema; nothing was sent.", *flaws) from None
    url = remote.url.rstrip("/") + path_of()
    headers = {"Idempotency-Key": key} if key else {}
    text = json.dumps(given, ensure_ascii=False, indent=2)
    lines = [f"POST {url}", *(f"{name}: {value}" for name, value in headers.items()), "", text]
    out.write(
        {"method": "POST", "url": url, "headers": headers, "body": given},
        lambda: Table([*given], [[*given.values()]]),
        lambda: typer.echo("\n".join(lines)),
    )
    write_note("Nothing was sent. Whether the inputs fit the definition, the service says when it is.")

"""`taskexec context`: the installations that the command line knows by name."""

import re
from typing import Annotated, Final

import typer

from service.cli.asking import asking
from service.cli.completion import complete_context
from service.cli.contexts import FIELDS, changing, config_file, find_context, read_contexts
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import Output, Table, write_note

app = typer.Typer(help="Installations by name.", no_args_is_help=True)

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The name of the context.", autocompletion=complete_context, show_default=False
    ),
]


@app.callback()
def _group() -> None:
    """Installations by name: where each is. `--context NAME` or TASKEXEC_CONTEXT names one for a command."""


@asking
def list_(*, out: Output) -> None:
    """List the contexts; `*` is the current one."""
    current, contexts = read_contexts()
    document = [{"name": name, "current": name == current, **fields} for name, fields in contexts.items()]
    heads = ("NAME", "URL", "BOOTSTRAP SERVERS", "PREFIX")
    rows = [(name, *(fields.get(field) for field in FIELDS)) for name, fields in contexts.items()]
    marked = [("*" if row[0] == current else None, *row) for row in rows]
    out.write(
        document,
        lambda: Table((*heads, "CURRENT"), [(*row, row[0] == current) for row in rows]),
        lambda: out.table(Table(("CURRENT", *heads), marked)),
    )
    if not contexts:
        write_note(f"{config_file()} has none. Add one: taskexec context set NAME --url URL")


def use(name: Name) -> None:
    """Make a context the current one: it is used where nothing else says where the service is."""
    find_context(name)
    with changing() as document:
        document["current"] = name
    write_note(f"{name} is the current context.")


def set_(
    name: Name,
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where its API is.", show_default=False)] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(metavar="HOST:PORT,…", help="Where its Kafka is.", show_default=False)
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Before the names of its topics.", show_default=False)
    ] = None,
) -> None:
    """Add a context, or change what is given of one. The first one becomes the current one."""
    given = {"url": url, "bootstrap_servers": bootstrap_servers, "prefix": prefix}
    if not _NAME.fullmatch(name):
        raise CommandError(Exit.USAGE, f"{name!r} cannot be a name: at most 64 letters, digits, '.', '_' and '-'")
    if not any(value is not None for value in given.values()):
        raise CommandError(Exit.USAGE, "Nothing is given: name --url, --bootstrap-servers or --prefix.")
    if url is not None and not url.startswith(("http://", "https://")):
        raise CommandError(Exit.USAGE, f"--url {url} is not an address: it looks like http://127.0.0.1:8080")
    current, contexts = read_contexts()
    with changing() as document:
        known = contexts.get(name, {})
        document.setdefault("contexts", {})[name] = known | {k: v for k, v in given.items() if v is not None}
        if current is None:
            document["current"] = name
    write_note(f"{name} is in {config_file()}.")


def delete(name: Name) -> None:
    """Remove a context from the file; the installation stays as it is."""
    find_context(name)
    current, _ = read_contexts()
    with changing() as document:
        del document["contexts"][name]
        if current == name:
            del document["current"]
    write_note(f"{name} is removed." + (" There is no current context now." if current == name else ""))


for _name, _command, _lines in (
    ("list", list_, ("taskexec context list",)),
    ("use", use, ("taskexec context use production",)),
    ("set", set_, ("taskexec context set production --url https://tasks.example.com --bootstrap-servers kafka:9092",)),
    ("delete", delete, ("taskexec context delete staging",)),
):
    app.command(_name, epilog=examples(*_lines))(_command)

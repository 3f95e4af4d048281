"""`taskexec definitions`: what the service that owns definitions does, and what is published."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.asking import Broker, asking
from service.cli.exits import CommandError, Exit
from service.cli.kafka import all_versions, ask_kafka
from service.cli.options import examples
from service.cli.output import Output, Table, write_json, write_note
from service.ports.definitions import DefinitionState

if TYPE_CHECKING:
    from service.client.definitions import PublishedAlreadyError

app = typer.Typer(help="Task definitions.", no_args_is_help=True)


Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON or YAML; one definition or several in each.")]


@app.command(
    epilog=examples(
        "taskexec definitions validate daily_report.yaml",
        "taskexec definitions validate definitions/*.json",
    )
)
def validate(files: Files) -> None:
    """Check definitions as `publish` does, and publish nothing. Each is usable, or all that is wrong is told."""
    from service.cli.definition_files import check_definitions, refuse_flaws  # noqa: PLC0415 - help does not pay for it

    checked = check_definitions(files)
    for item in checked:
        if item.definition:
            name = f"{item.definition.task_id} {item.definition.version} ({item.definition.status})"
            write_note(f"{item.place}: {name} is usable")
    refuse_flaws(checked, "There are mistakes in the files:")


@app.command(
    epilog=examples(
        "taskexec definitions publish daily_report.yaml",
        "taskexec definitions publish definitions/*.json --bootstrap-servers kafka:9092",
    )
)
@asking
def publish(files: Files, *, broker: Broker) -> None:
    """Publish definitions to Kafka. All files are checked first; if one is wrong, none is published.

    A published version never changes: another body for it is refused. What is there already is left as it is.
    """
    from service.cli.definition_files import read_definitions  # noqa: PLC0415 - as above
    from service.client.definitions import PublishedAlreadyError, publish_definitions  # noqa: PLC0415 - as above

    definitions = read_definitions(files)
    publishing: Any = partial(publish_definitions, definitions=definitions)
    try:
        written = ask_kafka(broker, publishing, "did not take the definitions", "then publish again")
    except PublishedAlreadyError as error:
        raise _refusal(error) from None
    for definition in definitions:
        done = "published" if definition in written else "there already:"
        write_note(f"{done} {definition.task_id} {definition.version} ({definition.status})")


def _refusal(error: "PublishedAlreadyError") -> CommandError:
    from service.cli.definition_show import lines_of  # noqa: PLC0415 - as above
    from service.domain.definition_changes import changes  # noqa: PLC0415 - as above

    lines = []
    for published, given in error.conflicts:
        lines.append(f"{given.task_id} {given.version}, as it is published and as it is given:")
        if published is None:
            lines.append("  it was published by a later version of the service; this one cannot read it")
        else:
            lines += (f"  {line}" for line in lines_of(changes(published, given)))
    first = "somebody was faster by a moment" if error.written else "nothing was published"
    return CommandError(
        Exit.REFUSED,
        f"A published version never changes, and {first}. Publish a new version instead.",
        *lines,
    )


@asking
def list_(
    *,
    task_id: Annotated[
        str | None, typer.Option("--task", metavar="TASK_ID", help="Of this task.", show_default=False)
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAMESPACE", help="Of tasks whose id begins so.", show_default=False)
    ] = None,
    status: Annotated[DefinitionState | None, typer.Option(case_sensitive=False, help="With this status.")] = None,
    broker: Broker,
    out: Output,
) -> None:
    """List the versions on the topic by task, the newest one first, `draft` last. Filters combine."""
    from service.cli import definition_show  # noqa: PLC0415 - as above
    from service.definitions.answering import fitting  # noqa: PLC0415 - as above

    versions = all_versions(broker)
    found = fitting(versions, task_id, namespace, status)
    document = [definition_show.as_json(one) for one in found]
    if out.write(document, lambda: definition_show.definitions_table(found)):
        write_note(f"{len(found)} of {len(list(versions))}")
    for one in found:
        if versions.is_changed(one.task_id, one.version):
            write_note(f"{one.name}: its record has changed since it was published; that is ignored")


@asking
def show(
    task: Annotated[str, typer.Argument(metavar="TASK[@VERSION]", help="Without a version: the newest published one.")],
    *,
    broker: Broker,
    out: Output,
) -> None:
    """Show a version as it is executed."""
    from service.cli import definition_show  # noqa: PLC0415 - as above
    from service.cli.definition_lookup import find, named  # noqa: PLC0415 - as above

    found = find(all_versions(broker), *named(task))
    out.write(
        definition_show.as_json(found),
        lambda: definition_show.definitions_table([found]),
        lambda: definition_show.show_definition(found),
    )


@asking
def diff(
    one: Annotated[str, typer.Argument(metavar="TASK[@VERSION]|FILE", help="A version on the topic, or a file.")],
    other: Annotated[str, typer.Argument(metavar="TASK[@VERSION]|VERSION|FILE", help="What it is compared with.")],
    third: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="With TASK VERSION VERSION.", show_default=False)
    ] = None,
    *,
    broker: Broker,
    out: Output,
) -> None:
    """Show what changes for a caller: variables, types, defaults, limits. Exit code 0: nothing; 1: something.

    Version and status are not compared.
    """
    from service.cli import definition_show  # noqa: PLC0415 - as above
    from service.cli.definition_lookup import Finder, named  # noqa: PLC0415 - as above
    from service.domain.definition_changes import IDENTITY, changes  # noqa: PLC0415 - as above

    if third is not None:
        task, _ = named(one)
        one, other = f"{task}@{other}", f"{task}@{third}"
    finder = Finder(broker)
    old, new = finder.find(one), finder.find(other)
    found = changes(old.source, new.source, IDENTITY | {"status"})

    def show() -> None:
        for sign, side in (("---", old), ("+++", new)) if found else ():
            typer.echo(f"{sign} {side.task_id}@{side.version} ({side.status})")
        for line in definition_show.lines_of(found):
            typer.echo(line)

    out.write(
        [{"pointer": change.where, "old": change.old, "new": change.new} for change in found],
        lambda: Table(("POINTER", "OLD", "NEW"), [(change.where, change.old, change.new) for change in found]),
        show,
    )
    if found:
        raise typer.Exit(1)


def schema() -> None:
    """Print the JSON Schema of a file of definitions, for editors."""
    from service.contracts.definition_schema import definition_file_schema  # noqa: PLC0415 - as above

    write_json(definition_file_schema())


for _name, _command, _lines in (
    ("list", list_, ("taskexec definitions list", "taskexec definitions list --namespace sales --status published")),
    (
        "show",
        show,
        ("taskexec definitions show sales:daily_report", "taskexec definitions show sales:daily_report@1.2.0 -o yaml"),
    ),
    (
        "diff",
        diff,
        (
            "taskexec definitions diff sales:daily_report 1.2.0 1.3.0",
            "taskexec definitions diff sales:daily_report@1.2.0 daily_report.yaml",
        ),
    ),
    ("schema", schema, ("taskexec definitions schema > task-definition.schema.json",)),
):
    app.command(_name, epilog=examples(*_lines))(_command)

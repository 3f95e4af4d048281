"""`taskexec projection`: how the read side stands; made anew, or verified row by row."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.cli.asking import asking
from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import Output, Table, write_note
from service.cli.remote import PROJECTION, Remote
from service.cli.serve import DataDirOption
from service.cli.show import time_of

if TYPE_CHECKING:
    from service.ports.progress import Tell
    from service.projection.rebuild import Rebuilder, Verified

_EXAMPLES: Final = 20

app = typer.Typer(help="How the read side stands; made anew, or verified.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """How the read side stands; made anew, or verified."""


@app.command(epilog=examples("taskexec projection status", "taskexec projection status -o json"))
@asking
def status(*, remote: Remote, out: Output) -> None:
    """Show what Kafka has that answers lack; exit code 3 if the projector does not follow."""
    answer = remote.get(PROJECTION).body
    heads = ("TOPIC", "PARTITION", "STORED", "END", "LAG", "AS OF")
    rows = (
        [one["topic"], one["partition"], one["stored"], one["end"], one["lag"], time_of(one, "asOf")]
        for one in answer["partitions"]
    )
    if out.write(answer, lambda: Table(heads, rows)):
        write_note(f"{answer['state']}; {answer['lag']} offsets behind, as of {answer.get('asOf', 'never')}")
    if answer["state"] != "FOLLOWING":
        raise CommandError(
            Exit.UNAVAILABLE,
            "The projector does not follow: answers lack what has come since. See /readyz and the log of the "
            "projector, and whether ClickHouse answers.",
        )


@app.command(epilog=examples("taskexec projection rebuild", "taskexec projection rebuild --data-dir ~/taskexec"))
def rebuild(data_dir: DataDirOption = None) -> None:
    """Make the read model anew from Kafka, beside the one in use, and put it in its place.

    Of the installation that KAFKA_BOOTSTRAP_SERVERS and CLICKHOUSE_DSN name, while everything runs; or of `up`, which
    is stopped, in --data-dir. Answers are given all the time. What is killed half-way leaves everything as it was.
    """

    async def work(rebuilder: "Rebuilder", tell: "Tell") -> int:
        return await rebuilder.rebuild(tell)

    count = _run(data_dir, work)
    write_note(f"The read model was made anew of {count} records, and is in use.")


@app.command(
    epilog=examples("taskexec projection verify", "taskexec projection verify --dry-run --data-dir ~/taskexec")
)
@asking
def verify(
    *,
    data_dir: DataDirOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Repair nothing.")] = False,
    out: Output,
) -> None:
    """Compare every row of the read model with what Kafka's records make, and repair each that differs.

    While everything runs, or of `up`, which is stopped, in --data-dir: see `rebuild`. Exit code 1 if rows still differ.
    """

    async def work(rebuilder: "Rebuilder", tell: "Tell") -> "Verified":
        return await rebuilder.verify(tell, repairing=not dry_run)

    verified = _run(data_dir, work)
    comparison, differences = verified.comparison, verified.comparison.differences
    counts = Counter((one.table, one.kind) for one in differences)
    document = {
        "records": verified.records,
        "rows": dict(comparison.rows),
        "differences": [one._asdict() for one in differences],
        "left": verified.left,
    }
    rows = (
        (table, rows, *(counts[table, kind] for kind in ("missing", "surplus", "different")))
        for table, rows in comparison.rows.items()
    )
    if out.write(document, lambda: Table(("TABLE", "ROWS", "MISSING", "SURPLUS", "DIFFERENT"), rows)):
        for one in differences[:_EXAMPLES]:
            write_note(f"{one.kind}: {one.table} {one.row}, of {one.subject}")
        if len(differences) > _EXAMPLES:
            write_note(f"and {len(differences) - _EXAMPLES} more: see -o json")
    if verified.left:
        raise CommandError(Exit.REFUSED, f"{verified.left} rows differ. Run it again without --dry-run to repair them.")
    repaired = f"{len(differences)} rows differed and were repaired" if differences else "every row is as Kafka has it"
    write_note(f"{verified.records} records read; {repaired}.")


def _run(data_dir: Any, work: Callable[["Rebuilder", "Tell"], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what the work returns
    """Run it with progress bars; errors that an operator can mend become one clear line."""
    import asyncio  # noqa: PLC0415 - what only shows help does not pay for Kafka

    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from service.bootstrap import OPERATOR_ERRORS, opened_rebuilder  # noqa: PLC0415 - as above
    from service.cli.progress import steps  # noqa: PLC0415 - as above
    from service.logs import configure_logs  # noqa: PLC0415 - as above
    from service.projection.rebuild import REBUILD_ERRORS  # noqa: PLC0415 - as above

    settings = read_settings()
    configure_logs("ERROR")

    async def open_and_work(tell: "Tell") -> Any:  # noqa: ANN401 - as above
        async with opened_rebuilder(settings, data_dir) as rebuilder:
            return await work(rebuilder, tell)

    try:
        with steps() as tell:
            return asyncio.run(open_and_work(tell))
    except (*REBUILD_ERRORS, KafkaError, *OPERATOR_ERRORS) as error:
        raise CommandError(Exit.REFUSED, str(error)) from None

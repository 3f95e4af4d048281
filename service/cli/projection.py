"""`taskexec projection`: how the read side stands."""

import typer

from service.cli.exits import EXIT_CODES, CommandError, Exit
from service.cli.options import DEFAULT_URL, AsJson, Url, examples
from service.cli.output import write_json, write_note, write_table
from service.cli.remote import PROJECTION, Remote

app = typer.Typer(help="How the read side stands.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """How the read side stands."""


@app.command(epilog=examples("taskexec projection status", "taskexec projection status --json") + EXIT_CODES)
def status(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what Kafka has that answers lack; exit code 3 if the projector does not follow."""
    answer = Remote(url).get(PROJECTION).body
    if as_json:
        write_json(answer)
    else:
        write_table(
            ("TOPIC", "PARTITION", "STORED", "END", "LAG", "AS OF"),
            (
                [one["topic"], one["partition"], one["stored"], one["end"], one["lag"], one.get("asOf")]
                for one in answer["partitions"]
            ),
        )
        write_note(f"{answer['state']}; {answer['lag']} offsets behind, as of {answer.get('asOf', 'never')}")
    if answer["state"] != "FOLLOWING":
        raise CommandError(
            Exit.UNAVAILABLE,
            "The projector does not follow: answers lack what has come since. See /readyz and the log of the "
            "projector, and whether ClickHouse answers.",
        )

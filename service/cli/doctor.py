"""`taskexec doctor`: what a new user, or who is on call, would look at first."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import typer

from service.cli.asking import Broker, asking
from service.cli.exits import CommandError, Exit
from service.cli.findings import Finding, Level
from service.cli.options import examples
from service.cli.output import Format, Output, Table, console, write_note
from service.cli.remote import Remote
from service.cli.serve import PANEL

_STYLES: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
_ICONS: Final = {Level.OK: "✓", Level.WARN: "!", Level.FAIL: "✗"}


@asking
def doctor(*, remote: Remote, broker: Broker, out: Output) -> None:
    """Check this machine, the environment, Kafka, ClickHouse and the API, and say what to do. Nothing is changed.

    What is checked is what this shell would use: the variables, the contexts, and the options given here.
    """
    from service.cli.local_checks import local_checks  # noqa: PLC0415 - what only shows help does not pay for it
    from service.cli.remote_checks import remote_checks  # noqa: PLC0415 - as above

    impatient = Remote(remote.url, timeout=5.0)
    checks = (finding for found in (local_checks(), remote_checks(impatient, broker)) for finding in found)
    findings = [*_shown(checks)] if out.format in {Format.TABLE, Format.WIDE} else [*checks]
    counts = Counter(finding.level for finding in findings)
    if out.write([_document(one) for one in findings], lambda: Table(Finding._fields, findings), lambda: None):
        write_note(f"{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} to mend.")
    if failed := [f"{one.check}: {one.advice}" for one in findings if one.level is Level.FAIL]:
        raise CommandError(Exit.REFUSED, f"{len(failed)} checks failed.", *failed)


def _shown(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Each when it is found: some take seconds."""
    from rich.text import Text  # noqa: PLC0415 - only what draws pays for it

    screen = console()
    for one in findings:
        word = (f"{_ICONS[one.level]} {one.level:4}", _STYLES[one.level])
        screen.print(Text.assemble(word, f"  {one.check}: {one.detail}"), soft_wrap=True)
        if one.advice:
            screen.print(Text(f"        {one.advice}"), soft_wrap=True)
        yield one


def _document(one: Finding) -> dict[str, Any]:
    return {name: value for name, value in one._asdict().items() if value is not None}


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = "taskexec doctor", "taskexec doctor --context production -o json | jq '.[] | select(.level != \"ok\")'"
    app.command(rich_help_panel=PANEL, epilog=examples(*lines))(doctor)

"""`taskexec play`: a recorded workflow, through the whole service."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli.demo import ExitAfter, JsonReport, invite
from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_json, write_note, write_table
from service.cli.serve import PANEL, DataDirOption, HttpPort, KafkaPort, run
from service.contracts.status import Status

if TYPE_CHECKING:
    from service.demo.recorded_run import Ended
    from service.demo.recordings import Recording
    from service.runtime.running import Running

_SHOWN: Final = 20

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A recorded workflow: JSON, WfFormat 1.5.", show_default=False)
]
Failing = Annotated[
    list[str] | None,
    typer.Option(
        "--fail", metavar="TASK", show_default=False, help="A task that fails, by its name or id; several times: all."
    ),
]
Speed = Annotated[
    float,
    typer.Option("--speed", min=0, help="How many recorded seconds pass in a second; 0: tasks take no time."),
]
Seed = Annotated[int, typer.Option("--seed", help="The same seed submits the tasks in the same order.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    lines = "taskexec play montage.json --exit", "taskexec play montage.json --fail mProject_ID0000001 --exit --json"
    app.command(rich_help_panel=PANEL, epilog=examples(*lines))(play)


def play(  # noqa: PLR0913 - the options of a command line
    file: File,
    *,
    fail: Failing = None,
    speed: Speed = 0.0,
    seed: Seed = 1,
    exit_: ExitAfter = False,
    json: JsonReport = False,
    data_dir: DataDirOption = None,
    kafka_port: KafkaPort = 9092,
    http_port: HttpPort = 8080,
) -> None:
    """Play a recorded workflow through the whole service, show the result, and stay up until Ctrl-C.

    All its tasks are submitted at once, each with the tasks that it waits for. The service decides what may start and
    what is skipped; that is compared with what the file says. Without --data-dir everything is gone afterwards.
    """
    recording = _read(file)
    failing = _failing(recording, fail or [])
    from service.bootstrap import running_embedded  # noqa: PLC0415 - loads everything
    from service.demo.recorded_run import Play, play_recording  # noqa: PLC0415 - the same
    from service.demo.staging import run_play  # noqa: PLC0415 - the same

    def finished(ended: "Ended", running: "Running") -> None:
        _write_report(ended, as_json=json)
        if ended.wrong:
            raise CommandError(Exit.REFUSED, "The play did not end as the recording says.", *ended.wrong[:_SHOWN])
        if not exit_:
            invite(running)

    wanted = Play(recording, failing, seed, 1 / speed if speed else 0.0)
    settings = read_settings(http_port=http_port)
    with TemporaryDirectory(prefix="taskexec-play-") as scratch:
        service = running_embedded(data_dir or Path(scratch), settings, kafka_port)
        playing = run_play(service, lambda *stage: play_recording(wanted, *stage), finished, stay=not exit_)
        run(playing, "WARNING")


def _read(file: Path) -> "Recording":
    from service.demo.recordings import RecordingError, read_recording  # noqa: PLC0415 - seldom needed

    try:
        return read_recording(file.read_bytes())
    except OSError as error:
        raise CommandError(Exit.USAGE, f"{file} cannot be read: {error.strerror}.") from None
    except RecordingError as error:
        raise CommandError(
            Exit.USAGE, f"{file} is not a recorded workflow in WfFormat 1.5:", *error.flaws[:_SHOWN]
        ) from None


def _failing(recording: "Recording", given: list[str]) -> set[str]:
    from service.demo.recordings import UnknownTaskError  # noqa: PLC0415 - seldom needed

    try:
        return {recording.find(one) for one in given}
    except UnknownTaskError as error:
        raise CommandError(Exit.USAGE, f"--fail: {error}") from None


def _write_report(ended: "Ended", *, as_json: bool) -> None:
    if as_json:
        write_json(ended.summary)
        return
    counts = ended.counts
    total = sum(counts.values(), Counter[Status]())
    statuses = [status for status in Status if total[status]]
    rows = [*sorted(counts.items()), ("all", total)]
    write_table(
        ("TASK", "TOTAL", *statuses),
        ((name, each.total(), *(each[status] for status in statuses)) for name, each in rows),
    )
    skipped = ended.skipped
    if skipped:
        more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        write_note(f"Skipped: {', '.join(skipped[:_SHOWN])}{more}.")
    write_note(f"{len(ended.executions)} tasks in {ended.seconds:.1f} s.")

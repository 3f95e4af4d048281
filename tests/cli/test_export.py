"""`taskexec export`: files, formats and what can go wrong, over HTTP."""

import asyncio
import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from service.cli import columnar
from service.contracts.problems import Code, reject
from service.contracts.timestamps import Timestamp
from service.queries.answers import TaskExecutionPage
from service.queries.arrow import SCHEMA
from service.queries.flat import COLUMNS
from service.queries.requests import ListTaskExecutions
from tests.api.scripted import FAILURE, FRESH, ID, PENDING, ScriptedQueries
from tests.cli.conftest import Service

FIELDS = [*COLUMNS]
FAILED = {
    "id": ID, "taskId": "sales:daily_report", "taskVersion": "1.2.0", "status": "FAILURE",
    "createdAt": "2026-03-02T04:00:00.125Z", "startedAt": "2026-03-02T04:00:01.000Z",
    "completedAt": "2026-03-02T04:00:03.500Z", "queueMs": 875, "runMs": 2500, "createdBy": "anna", "tags": ["nightly"],
    "errorMessage": "disk full \x1b[31mon node 7", "skipReason": None, "sparkApplicationId": None,
    "resolvedInputs": '{"day":"2026-03-01","region":null,"nested":{"empty":null}}', "outputs": None,
}  # fmt: skip
NEW = FAILED | {
    "status": "PENDING", "startedAt": None, "completedAt": None, "queueMs": None, "runMs": None, "errorMessage": None
}  # fmt: skip


class Paged(ScriptedQueries):
    """Two pages of two; the service knows no others."""

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        self._ask(**request.model_dump(exclude_unset=True, by_alias=False))
        more = {} if request.cursor else {"nextCursor": f"1:{ID}"}
        items = [FAILURE, PENDING]
        return TaskExecutionPage.model_validate({"items": items, "total": 4, "pageSize": 2} | more | FRESH)


class Failing(Paged):
    """After the first page, ClickHouse does not answer any more."""

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        page = await super().list(request)
        if request.cursor:
            raise reject(Code.UNAVAILABLE, "For some reason.")
        return page


@pytest.fixture
def service(service: Service) -> Service:
    service.queries.__class__ = Paged
    return service


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of any format, as JSON lines have them."""
    match file.suffix:
        case ".csv":
            with file.open(encoding="utf-8", newline="") as text:
                return [as_text_says(row) for row in csv.DictReader(text)]
        case ".jsonl":
            return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        case ".parquet":
            table = parquet.read_table(file)
        case _:
            with ipc.open_file(file) as opened:
                table = opened.read_all()
    assert table.schema.equals(SCHEMA)
    times = [name for name in FIELDS if pa.types.is_timestamp(table.schema.field(name).type)]
    return [row | {name: row[name] and str(Timestamp.of(row[name])) for name in times} for row in table.to_pylist()]


def as_text_says(row: dict[str, str]) -> dict[str, Any]:
    numbers = {name: int(row[name]) if row[name] else None for name in ("queueMs", "runMs")}
    return {name: value or None for name, value in row.items()} | numbers | {"tags": json.loads(row["tags"])}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_every_page_is_in_the_file_by_what_its_name_ends_with(service: Service, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"runs.{suffix}"
    file.write_text("of yesterday")

    result = service.run("export", "--task", "sales:daily_report", "--status", "FAILURE", "--file", str(file))

    assert (result.exit_code, result.stdout) == (0, "")
    assert "4 executions, created before 2" in result.stderr
    assert read(file) == [FAILED, NEW] * 2
    assert [*tmp_path.iterdir()] == [file]
    first, second = service.queries.asked
    assert first["page_size"] == second["page_size"] == 1000
    assert {**second, "cursor": None} == {**first, "cursor": None}
    assert (first.get("cursor"), second["cursor"]) == (None, f"1:{ID}")


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet", "arrow"])
def test_stdout_has_data_only(service: Service, tmp_path: Path, format_: str) -> None:
    result = service.run("export", "--format", format_)

    assert result.exit_code == 0
    file = tmp_path / f"out.{format_}"
    file.write_bytes(result.stdout_bytes)
    assert read(file) == [FAILED, NEW] * 2


def test_csv_is_what_stdout_gets_unless_told_otherwise(service: Service) -> None:
    lines = service.run("export").stdout_bytes.decode().splitlines()

    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 5


def test_times_mean_the_same_for_every_page(service: Service) -> None:
    assert service.run("export", "--since", "24h", "--completed-to", "2026-03-02T04:00:00Z").exit_code == 0
    first, second = service.queries.asked
    assert first["created_from"] == second["created_from"]
    assert first["created_to"] == second["created_to"]
    now, ago = first["created_to"], first["created_from"]
    assert isinstance(now, Timestamp)
    assert isinstance(ago, Timestamp)
    assert 86_400 <= (now - ago).total_seconds() < 86_401
    assert first["completed_to"] == Timestamp.parse("2026-03-02T04:00:00Z")


def test_what_is_wrong_is_explained_by_the_service(service: Service, tmp_path: Path) -> None:
    result = service.run("export", "--since", "yesterday", "--file", str(tmp_path / "runs.csv"))

    assert result.exit_code == 2
    assert "--since: must be a time" in result.stderr
    assert "━" not in result.stderr  # no bar where nobody sees it
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_fails_half_way_leaves_the_old_file(service: Service, tmp_path: Path, suffix: str) -> None:
    service.queries.__class__ = Failing
    file = tmp_path / f"runs.{suffix}"
    file.write_text("of yesterday")

    result = service.run("export", "--file", str(file))

    assert result.exit_code == 3
    assert "For some reason." in result.stderr
    assert file.read_text() == "of yesterday"
    assert [*tmp_path.iterdir()] == [file]


def test_who_is_killed_half_way_leaves_the_old_file(service: Service, tmp_path: Path) -> None:
    going_on = Event()

    class Slow(Paged):
        async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
            page = await super().list(request)
            while request.cursor and not going_on.is_set():
                await asyncio.sleep(0.02)
            return page

    service.queries.__class__ = Slow
    file = tmp_path / "runs.csv"
    file.write_text("of yesterday")
    command = [sys.executable, "-m", "service", "export", "--url", service.url, "--file", str(file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while len(service.queries.asked) < 2:
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            process.kill()
    going_on.set()
    assert file.read_text() == "of yesterday"
    (aside,) = {*tmp_path.iterdir()} - {file}
    assert aside.name.startswith(".runs.csv.")
    assert service.run("export", "--file", str(file)).exit_code == 0
    assert len(read(file)) == 4


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_what_fails_half_way_gives_no_file_that_looks_whole(service: Service, format_: str) -> None:
    service.queries.__class__ = Failing

    result = service.run("export", "--format", format_)

    assert (result.exit_code, result.stdout_bytes, len(service.queries.asked)) == (3, b"", 2)


@pytest.mark.parametrize(
    ("name", "said"), [("runs.xls", "Give --format, or a name with .csv, .jsonl,"), ("runs", "does not say its format")]
)
def test_a_name_without_a_format_is_refused(service: Service, tmp_path: Path, name: str, said: str) -> None:
    result = service.run("export", "--file", str(tmp_path / name))

    assert (result.exit_code, service.queries.asked) == (2, [])
    assert said in result.stderr
    assert service.run("export", "--file", str(tmp_path / name), "--format", "jsonl").exit_code == 0
    assert len((tmp_path / name).read_text(encoding="utf-8").splitlines()) == 4


def test_what_is_no_file_or_cannot_be_written_is_named(service: Service, tmp_path: Path) -> None:
    directory = tmp_path / "runs.csv"
    directory.mkdir()
    for output, exit_code, said in (
        (directory, 2, "is not a file"),
        (Path("/dev/null"), 2, "/dev/null is not a file"),
        (tmp_path / "no" / "runs.csv", 1, "cannot be written: No such file or directory"),
    ):
        result = service.run("export", "--format", "csv", "--file", str(output))
        assert result.exit_code == exit_code, output
        assert said in result.stderr


def test_a_link_stays_a_link(service: Service, tmp_path: Path) -> None:
    link = tmp_path / "latest.csv"
    link.symlink_to(tmp_path / "runs.csv")

    assert service.run("export", "--file", str(link)).exit_code == 0
    assert link.is_symlink()
    assert len(read(tmp_path / "runs.csv")) == 4


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_without_pyarrow_it_says_which_extra_to_install(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "service.cli.columnar")
    monkeypatch.delattr("service.cli.columnar")

    result = service.run("export", "--format", format_, "--file", str(tmp_path / "runs"))

    assert (result.exit_code, service.queries.asked) == (2, [])
    assert "needs pyarrow: pip install 'task-execution-service[export]'" in result.stderr
    assert not [*tmp_path.iterdir()]
    assert service.run("export", "--format", "csv").exit_code == 0


def test_a_terminal_gets_no_binary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from service.cli.exits import CommandError  # noqa: PLC0415 - only here
    from service.cli.files import stdout  # noqa: PLC0415 - only here

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(CommandError, match="not for terminals"), stdout(at_once=True):
        pass


def test_parquet_is_written_in_groups_that_fit_into_memory(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "_GROUP_ROWS", 2)
    file = tmp_path / "runs.parquet"

    assert service.run("export", "--file", str(file)).exit_code == 0
    metadata = parquet.read_metadata(file)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [2, 2]


def test_of_nothing_there_is_a_file_without_rows(service: Service, tmp_path: Path) -> None:
    class Empty(ScriptedQueries):
        async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
            return TaskExecutionPage(items=(), total=0, page_size=request.page_size)

    service.queries.__class__ = Empty
    for suffix in ("csv", "jsonl", "parquet", "arrow"):
        file = tmp_path / f"none.{suffix}"
        result = service.run("export", "--file", str(file))
        assert (result.exit_code, read(file)) == (0, [])
        assert "0 executions" in result.stderr

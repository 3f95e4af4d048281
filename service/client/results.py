"""What the client answers: the answers of the API, which are also tables, in notebooks and for pandas and Arrow."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from service.contracts.executions import TaskExecution
from service.contracts.replies import Position
from service.ports.read_model import Grouping
from service.queries.answers import (
    Percentiles,
    StatusCounts,
    TaskExecutionAnswer,
    TaskExecutionPage,
    TaskExecutionStats,
)
from service.queries.flat import COLUMNS, Kind, row_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SHOWN: Final = (
    "id",
    "taskId",
    "taskVersion",
    "status",
    "createdAt",
    "startedAt",
    "completedAt",
    "runMs",
    "errorMessage",
)
_LONGEST_CELL: Final = 80


class Execution(TaskExecutionAnswer):
    """One execution as it was told.

    After a command, `position` is where its event is: as `min_position`, it makes a query include it. `duplicate`: the
    command said what was already so, and this is what the first one was told.
    """

    position: Position | None = None
    duplicate: bool = False

    def _repr_html_(self) -> str:
        shown = self.model_dump(mode="json", exclude_none=True)
        return _html(("", ""), shown.items())


class Page(TaskExecutionPage):
    """A page of executions; as a table, it has the columns that exports have."""

    items: tuple[Execution, ...]

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each execution. Times are in UTC; `queueMs` and `runMs` are milliseconds.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        pandas = _extra("pandas")
        frame = pandas.DataFrame(_rows(self.items), columns=[*COLUMNS])
        for name, kind in COLUMNS.items():
            if kind is Kind.TIME:
                frame[name] = pandas.to_datetime(frame[name], format="ISO8601", utc=True).dt.as_unit("ms")
            elif kind is Kind.MILLISECONDS:
                frame[name] = frame[name].astype("Int64")
        return frame

    def to_arrow(self) -> "pa.Table":
        """The same as an Arrow table.

        Raises:
            ModuleNotFoundError: pyarrow is not installed.
        """
        arrow = _extra("pyarrow")
        from service.queries.arrow import record_batch  # noqa: PLC0415 - pyarrow is an extra

        return arrow.Table.from_batches([record_batch(_rows(self.items))])

    def _repr_html_(self) -> str:
        rows = (dict(zip(COLUMNS, row, strict=True)) for row in _rows(self.items))
        return _html(_SHOWN, ([row[name] for name in _SHOWN] for row in rows), f"{len(self.items)} of {self.total}")


class Stats(TaskExecutionStats):
    """Counts by status; as a table, a row for each group of `grouped_by`, or one if they were not grouped."""

    grouped_by: Grouping | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """The index is the group's key, as a time where hours or days are counted; percentiles are milliseconds.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        pandas = _extra("pandas")
        columns = [*_counts("", self)]
        frame = (
            pandas.DataFrame(self._rows(), columns=columns)
            .set_index("key")
            .rename_axis(self.grouped_by and str(self.grouped_by))
        )
        if self.grouped_by is not None and self.grouped_by.is_of_time:
            frame.index = pandas.to_datetime(frame.index, utc=True)
        return frame

    def to_arrow(self) -> "pa.Table":
        """The same as an Arrow table, with the column `key`.

        Raises:
            ModuleNotFoundError: pyarrow is not installed.
        """
        return _extra("pyarrow").Table.from_pylist(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        if self.groups is None:
            return [_counts(self.task_id or "all", self)]
        return [_counts(group.key, group) for group in self.groups]

    def _repr_html_(self) -> str:
        rows = (row.values() for row in self._rows())
        return _html(_counts("", self), rows, f"{self.total} in all, as of {self.as_of}")


def _rows(items: Sequence[TaskExecution]) -> list[tuple[Any, ...]]:
    return [row_of(item.model_dump(mode="json", exclude_none=True)) for item in items]


def _counts(key: str, counted: StatusCounts) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "total": counted.total}
    row |= {name: getattr(counted, name) for name in ("pending", "running", "success", "failure", "stopped", "skipped")}
    row["successRate"] = counted.success_rate
    for name, times in (("queue", counted.queue_time), ("run", counted.run_time)):
        row |= {f"{name}Ms{p.upper()}": times and getattr(times, p) for p in Percentiles.model_fields}
    return row


def _extra(name: Literal["pandas", "pyarrow"]) -> Any:  # noqa: ANN401 - a module
    extra = {"pandas": "pandas", "pyarrow": "export"}[name]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        detail = f"{name} is not installed: pip install 'task-execution-service[{extra}]'"
        raise ModuleNotFoundError(detail, name=name) from error


def _html(names: Iterable[str], rows: Iterable[Iterable[object]], caption: str = "") -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")

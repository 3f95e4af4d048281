"""Answers as tables."""

import sys
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from service.client.results import Execution, Page, Stats
from service.ports.read_model import Grouping
from service.queries.flat import COLUMNS
from tests.api.scripted import COUNTS, FAILURE, FRESH, ID, PENDING

PAGE = Page.model_validate({"items": [FAILURE, PENDING], "total": 7, "pageSize": 2} | FRESH)
TIMES = {"p50": 10, "p90": 20, "p95": 30, "p99": 40}
COUNTED = COUNTS | {"total": 21, "successRate": 0.5, "runTime": TIMES}
ALL = Stats.model_validate({"taskId": "a:b"} | COUNTED | FRESH)
HOURS = Stats.model_validate(
    COUNTED | FRESH
    | {"groups": [COUNTED | {"key": f"2026-03-02T0{hour}:00:00Z"} for hour in (4, 5)]}
).model_copy(update={"grouped_by": Grouping.HOUR})  # fmt: skip


def test_a_page_is_a_frame_with_times_and_numbers() -> None:
    frame = PAGE.to_pandas()
    assert list(frame.columns) == [*COLUMNS]
    assert frame["runMs"].tolist() == [2_500, pd.NA]
    assert frame["createdAt"].tolist() == [pd.Timestamp("2026-03-02T04:00:00.125Z")] * 2
    assert pd.isna(frame["completedAt"][1])
    assert frame["tags"].tolist() == [["nightly"]] * 2


def test_a_page_without_executions_is_a_frame_of_the_same_columns() -> None:
    empty = Page.model_validate({"items": [], "total": 0, "pageSize": 2})
    full, columns = PAGE.to_pandas(), ["runMs", "createdAt"]
    assert dict(empty.to_pandas().dtypes[columns]) == dict(full.dtypes[columns])
    assert empty.to_arrow().schema == PAGE.to_arrow().schema
    assert "0 of 0" in empty._repr_html_()


def test_a_page_is_an_arrow_table_as_exports_are() -> None:
    table = PAGE.to_arrow()
    assert table.column_names == [*COLUMNS]
    assert table["runMs"].to_pylist() == [2_500, None]
    assert pa.types.is_timestamp(table.schema.field("startedAt").type)


def test_stats_are_a_frame_that_can_be_plotted() -> None:
    frame = HOURS.to_pandas()
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert frame.index.name == "hour"
    numeric = frame.select_dtypes("number").columns
    assert {"total", "failure", "successRate", "runMsP50", "runMsP99"} <= {*numeric}
    assert frame["runMsP95"].tolist() == [30, 30]
    assert ALL.to_pandas().loc["a:b", "total"] == 21
    assert HOURS.to_arrow()["key"].to_pylist() == ["2026-03-02T04:00:00Z", "2026-03-02T05:00:00Z"]
    nothing = HOURS.model_copy(update={"groups": ()})
    assert nothing.to_pandas().empty
    assert "21 in all" in nothing._repr_html_()


def test_in_a_notebook_they_are_tables_and_texts_are_no_markup() -> None:
    failed = Execution.model_validate(FAILURE | {"errorMessage": "<script>" + "x" * 99})
    page = PAGE.model_copy(update={"items": (failed,)})
    html = page._repr_html_()
    assert "<caption>1 of 7</caption>" in html
    assert "&lt;script&gt;" in html
    assert "…</td>" in html
    assert "<script>" not in html
    assert f"<td>{ID}</td>" in page.items[0]._repr_html_()
    assert "<th>failure</th>" in HOURS._repr_html_()


@pytest.mark.parametrize(
    ("make", "name", "extra"),
    [(PAGE.to_pandas, "pandas", "pandas"), (ALL.to_pandas, "pandas", "pandas"), (PAGE.to_arrow, "pyarrow", "export")],
)
def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, make: Any, name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{name} is not installed: pip install .*\[{extra}\]"):
        make()

"""service/web/charts.py: where everything is drawn."""

import pytest

from service.contracts.status import Status
from service.queries.answers import CountsByStatus
from service.web.charts import HEIGHT, Part, length, lines, scale, shares, stacked


def counts(**given: int) -> CountsByStatus:
    return CountsByStatus(
        **dict.fromkeys(("pending", "running", "success", "failure", "stopped", "skipped"), 0) | given
    )


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, (0, 1)),
        (1, (0, 1)),
        (4, (0, 1, 2, 3, 4)),
        (5, (0, 2, 4, 6)),
        (600, (0, 200, 400, 600)),
        (1_234_567, (0, 500_000, 1_000_000, 1_500_000)),
    ],
)
def test_a_scale_of_counts_is_round_and_reaches_the_most(most: int, ticks: tuple[int, ...]) -> None:
    assert scale(most) == ticks


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (0, ["0", "1 ms"]),
        (145, ["0", "50 ms", "100 ms", "150 ms"]),
        (1_200, ["0", "500 ms", "1 s", "1.5 s"]),
        (45_000, ["0", "15 s", "30 s", "45 s"]),
        (3 * 3_600_000, ["0", "1 h", "2 h", "3 h"]),
        (40 * 86_400_000, ["0", "10 d", "20 d", "30 d", "40 d"]),
    ],
)
def test_a_scale_of_time_has_steps_that_clocks_have(most: int, words: list[str]) -> None:
    assert [length(tick) for tick in scale(most, of_time=True)] == words


def test_a_column_stands_on_the_ground_with_its_failures_first() -> None:
    (column,) = stacked([counts(success=3, failure=1)], ["now"]).columns

    assert [(part.status, part.number) for part in column.parts] == [(Status.FAILURE, 1), (Status.SUCCESS, 3)]
    failure, success = column.parts
    assert failure.start + failure.size == HEIGHT
    assert success.start + success.size == pytest.approx(failure.start)
    assert success.size == pytest.approx(3 * failure.size)
    assert column.total == 4


def test_a_column_is_as_high_as_its_tick() -> None:
    chart = stacked([counts(success=4)], ["now"])

    assert chart.columns[0].parts[0].start == next(tick.y for tick in chart.ticks if tick.label == "4")


def test_slots_share_the_width_and_one_without_executions_keeps_its_place() -> None:
    first, empty, last = stacked([counts(success=1), counts(), counts(success=1)], ["", "", ""]).columns

    assert empty.parts == ()
    assert 0 < first.x < first.x + first.width < empty.x < last.x
    assert last.x + last.width < 100
    assert first.width == empty.width == last.width


def test_one_failure_among_a_million_is_seen() -> None:
    (column,) = stacked([counts(success=1_000_000, failure=1)], ["now"]).columns

    assert column.parts[0].size == 2
    assert column.parts[-1].start >= 0


def test_without_anything_there_is_still_a_scale() -> None:
    assert [tick.label for tick in stacked([], []).ticks] == ["0", "1"]
    assert lines({"p50": []}, []).paths == {"p50": ""}


def test_only_slots_with_a_name_are_labelled_below_their_middle() -> None:
    assert [tuple(label) for label in stacked([counts()] * 4, ["", "04:00", "", ""]).labels] == [(37.5, "04:00")]


def test_a_line_has_gaps_and_a_point_between_gaps_is_a_dot() -> None:
    chart = lines({"p50": [None, 100, 50, None, 100, None]}, [""] * 6)

    top, middle = 14, 82
    assert chart.paths["p50"] == f"M25 {top} L41.667 {middle} M75 {top}"
    assert chart.dots["p50"] == ((75.0, top),)


def test_a_point_at_the_edge_is_a_dot_as_well() -> None:
    assert lines({"p95": [7]}, [""]).dots["p95"] != ()


def test_shares_fill_the_bar() -> None:
    assert shares(counts(success=3, failure=1)) == (
        Part(Status.FAILURE, 1, 0, 25),
        Part(Status.SUCCESS, 3, 25, 75),
    )
    assert shares(counts()) == ()

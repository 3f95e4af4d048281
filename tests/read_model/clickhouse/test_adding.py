"""What is added up is what the rows one by one would say."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.contracts.status import Status
from service.ports.read_model import Percentiles, Times
from service.read_model.clickhouse.adding import counts_of, times_of


@given(st.lists(st.lists(st.integers(0, 10**9), max_size=30), min_size=1, max_size=3))
def test_percentiles_of_parts_are_those_of_the_whole(parts: list[list[int]]) -> None:
    rows = [{"what": "run", "ms": ms, "n": n} for part in parts for ms, n in Counter(part).items()]
    whole = sorted(ms for part in parts for ms in part)
    wanted = Percentiles(*(whole[len(whole) * percent // 100] for percent in (50, 90, 95, 99))) if whole else None
    assert times_of(rows) == ({"": Times(None, wanted)} if whole else {})


def test_percentiles_that_were_told_are_told_on() -> None:
    told = {"what": "queue", "percentiles": [1, 2, 3, 4]}
    rows = [told | {"key": "a", "of_all": 0}, told | {"key": "", "of_all": 1}]
    assert times_of(rows) == dict.fromkeys(("a", ""), Times(Percentiles(1, 2, 3, 4), None))


def test_counts_are_added_up_by_their_keys_in_order() -> None:
    rows = [
        {"key": "b", "counts": (["RUNNING", "PENDING"], [3, -3])},
        {"key": "b", "counts": (["PENDING", "NONE"], [4, -4])},
        {"key": "a", "counts": (["SUCCESS", "RUNNING"], [1, -1])},
    ]
    found = counts_of(rows)
    assert [*found] == ["a", "b"]
    assert found["b"] == dict.fromkeys(Status, 0) | {Status.PENDING: 1, Status.RUNNING: 3}

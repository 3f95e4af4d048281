"""Adds up what was counted of rows, and of hours that are closed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from service.contracts.status import Status
from service.ports.read_model import Counts, Percentiles, Times
from service.read_model.clickhouse.driver import Row

PERCENTS: Final = (50, 90, 95, 99)
"""Those of `Percentiles`, in order."""

_STATUSES: Final = tuple(Status)  # groups are many, and an enumeration walks slowly


def counts_of(rows: Iterable[Row]) -> dict[str, Counts]:
    """The counts of each key, in the order of the keys."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        of_key = found[row["key"]]
        for status, count in zip(*row["counts"], strict=True):
            of_key[status] += count
    return {key: of_all_statuses(found[key].items()) for key in sorted(found)}


def of_all_statuses(counts: Iterable[tuple[str, int]]) -> Counts:
    """Where some have none; `NONE` is what an execution was in before it was created."""
    found = dict(counts)
    return {status: int(found.get(status, 0)) for status in _STATUSES}


def times_of(rows: Iterable[Row]) -> dict[str, Times]:
    """The times of each key, and of all under "": of rows with their percentiles, or with how many took so long."""
    found: dict[str, dict[str, Percentiles]] = defaultdict(dict)
    took: dict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        if "percentiles" in row:
            found["" if row["of_all"] else row["key"]][row["what"]] = Percentiles(*row["percentiles"])
        else:
            took[row["what"]][row["ms"]] += row["n"]
    for what, counted in took.items():
        found[""][what] = _percentiles(counted)
    return {key: Times(of_key.get("queue"), of_key.get("run")) for key, of_key in found.items()}


def _percentiles(counted: Mapping[int, int]) -> Percentiles:
    """Of so many times of each length: as `Percentiles` says."""
    total, ascending, passed = sum(counted.values()), iter(sorted(counted)), 0
    found = []
    for percent in PERCENTS:
        while passed <= total * percent // 100:
            ms = next(ascending)
            passed += counted[ms]
        found.append(ms)
    return Percentiles(*found)

"""Messages of one kind have one fingerprint, and messages of two kinds have two."""

import pytest

from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.fingerprint import FINGERPRINT


async def fingerprint(driver: Driver, message: str) -> str:
    sql = f"SELECT {FINGERPRINT} AS fingerprint FROM (SELECT {{message:String}} AS message)"  # noqa: S608 - our own words
    (row,) = await driver.query(sql, {"message": message})
    return str(row["fingerprint"])


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("", ""),
        ("disk full", "disk full"),
        ("ümläut «größer» 日本", "ümläut «größer» 日本"),
        ("no such run 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11.", "no such run <id>."),
        ("no such run 0F2C1D9E-7B0A-5A64-9C3B-2F6B1C0D9E11.", "no such run <id>."),
        ("segfault at 0x7ffd3a2b1c00 in commit 9fceb02d0ae598e9", "segfault at <id> in commit <id>"),
        ("the facade is defaced: 1234567 rows", "the facade is defaced: <n> rows"),
        ("NoSuchKey: s3://lake/raw/run=00af/part-0.parquet (404)", "NoSuchKey: <path> (<n>)"),
        ("GET https://crm.internal:8443/v1/users?id=7, no answer", "GET <path>, no answer"),
        ("cannot write '/var/lib/spark/work/app-20260302/0': disk full", "cannot write '<path>': disk full"),
        ("/opt/job.py:12: error", "<path>:<n>: error"),
        ('File "/opt/app/job.py", line 88, in run', 'File "<path>", line <n>, in run'),
        ("1/2 of and/or, com/acme/GeoRule / n/a", "<n>/<n> of and/or, com/acme/GeoRule / n/a"),
        ("worker-17 lost 10.0.3.12:7077 after 30 s, 99.5 %", "worker-<n> lost <n> after <n> s, <n> %"),
        ("  two\n\tlines \r\n", "two lines"),
        ("Task 41 in stage 3.0 failed 4 times", "Task <n> in stage <n> failed <n> times"),
        ("deadline 12:30:11,204 passed, 5,000,000 rows", "deadline <n> passed, <n> rows"),
        ("x" * 500, "x" * 200),
        ("é" * 500, "é" * 200),
    ],
)
async def test_what_differs_from_run_to_run_is_masked(driver: Driver, message: str, wanted: str) -> None:
    assert await fingerprint(driver, message) == wanted


async def test_tracebacks_are_told_apart_by_more_than_their_first_line(driver: Driver) -> None:
    trace = 'Traceback (most recent call last):\n  File "/srv/{0}/job.py", line {0}, in run\n    {1}()\n{2}'
    of_one = {await fingerprint(driver, trace.format(n, "load", "ValueError: 7")) for n in (3, 44)}
    another = await fingerprint(driver, trace.format(3, "load", "KeyError: 'day'"))
    assert len(of_one) == 1
    assert another not in of_one


async def test_the_mask_of_one_thing_is_nothing_else(driver: Driver) -> None:
    """A fingerprint is its own: what is masked already is not masked again."""
    first = await fingerprint(driver, "run 9fceb02d0ae598e9 of /data/7/x.csv: 12 rows")
    assert await fingerprint(driver, first) == first

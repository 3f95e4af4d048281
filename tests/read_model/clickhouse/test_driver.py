import asyncio
import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from service.ports.errors import StoreSetupError, UnavailableError
from service.read_model.clickhouse import connecting
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.errors import translated


@pytest.mark.parametrize(
    "text", ["it's", "back\\slash", "tab\tnewline\n", "ünïcode 🎈", "{x:String}", "%s", "'; DROP", ""]
)
async def test_values_from_outside_are_bound_not_pasted(driver: Driver, text: str) -> None:
    sql = "SELECT {one:String} AS one, {many:Array(String)} AS many"
    assert await driver.query(sql, {"one": text, "many": [text, "b"]}) == [{"one": text, "many": [text, "b"]}]


async def test_queries_run_beside_each_other_and_beside_inserts(driver: Driver) -> None:
    await driver.command("CREATE TABLE numbers (n UInt64) ENGINE = MergeTree ORDER BY n")
    inserts = [driver.insert("numbers", ["n"], [(number,)], f"token {number}") for number in range(20)]
    queries = [driver.query("SELECT sum(number) AS s FROM numbers(1000000)") for _ in range(20)]
    answers = await asyncio.gather(*inserts, *queries)
    assert answers[20:] == [[{"s": 499999500000}]] * 20
    assert await driver.query("SELECT sum(n) AS s FROM numbers") == [{"s": 190}]


async def test_an_insert_repeated_with_its_token_has_no_further_effect(driver: Driver) -> None:
    await driver.command(
        "CREATE TABLE numbers (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 9"
    )
    for _ in range(2):
        await driver.insert("numbers", ["n"], [(1,), (2,)], "same")
    assert await driver.query("SELECT n FROM numbers ORDER BY n") == [{"n": 1}, {"n": 2}]


class Text(str):
    """A text that tells when it is gone."""

    __slots__ = ("__weakref__",)


async def test_what_was_inserted_is_let_go_of_and_needs_no_collector(driver: Driver) -> None:
    await driver.command("CREATE TABLE texts (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
    text = Text("inserted")
    there = weakref.ref(text)
    gc.disable()
    try:
        await driver.insert("texts", ["n", "text"], [(1, text)])
        del text
        async with asyncio.timeout(10):
            while there() is not None:  # the thread that inserted lets go a moment later
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
    assert await driver.query("SELECT text FROM texts") == [{"text": "inserted"}]


async def test_a_mistake_in_sql_is_not_called_unavailable(driver: Driver) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        await driver.query("SELECT * FROM nowhere")


async def test_too_little_memory_is_unavailable(driver: Driver) -> None:
    with pytest.raises(UnavailableError, match="MEMORY_LIMIT_EXCEEDED"):
        await driver.query("SELECT number FROM numbers(10000000) ORDER BY rand() SETTINGS max_memory_usage = 1000000")


async def test_the_engine_refuses_to_use_more_memory_than_it_may(tmp_path: Path) -> None:
    port = connect(f"chdb://{tmp_path}/small", memory_bytes=300 * 1024**2)
    with pytest.raises(UnavailableError, match="MEMORY_LIMIT_EXCEEDED"):
        await port.query("SELECT length(groupArray(toString(number))) AS n FROM numbers(50000000)")
    await port.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    port = connect("clickhouse://user:secret@127.0.0.1:9/db")
    with pytest.raises(UnavailableError) as caught:
        await port.query("SELECT 1")
    assert "secret" not in str(caught.value)
    await port.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("reset"), UnavailableError),
        (DatabaseError("502 from a proxy"), UnavailableError),
        (DatabaseError("too many parts", code=252), UnavailableError),
        (OSError("no space left on device"), UnavailableError),
        (DatabaseError("authentication failed", code=516), StoreSetupError),
        (DatabaseError("no such cluster", code=701), StoreSetupError),
        (DatabaseError("a shard is down", code=279), UnavailableError),
        (DatabaseError("unknown table", code=60), DatabaseError),
    ],
)
def test_errors_are_sorted_by_what_to_do(error: DatabaseError, expected: type[Exception]) -> None:
    assert type(translated(error)) is expected


async def test_a_database_that_does_not_exist_is_a_matter_of_setup(driver: Driver) -> None:
    with pytest.raises(StoreSetupError, match="Check the user, password and database"):
        await driver.query("SELECT * FROM nowhere.at_all")


@pytest.mark.parametrize("dsn", ["postgres://db", "chdb://", "chdb:relative/path", "clickhouse:///db", "nonsense"])
def test_a_wrong_dsn_is_refused_with_what_is_allowed(dsn: str) -> None:
    with pytest.raises(StoreSetupError, match=r"chdb:///path|clickhouse://user"):
        connect(dsn)


def test_without_chdb_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chdb", None)
    with pytest.raises(StoreSetupError, match=r"task-execution-service\[embedded\]"):
        connect(f"chdb://{tmp_path}/store")


def test_chdb_is_imported_only_where_it_is_used() -> None:
    check = (
        "import sys, service.read_model.clickhouse.connecting as connecting\n"
        "connecting.connect('clickhouse://h'); sys.exit('chdb' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_what_killed_inserts_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, fresh, other = (tmp_path / name for name in ("tmpabcdefgh.native", "tmp12345678.native", "tmpabcdefgh.txt"))
    for file in (old, fresh, other):
        file.touch()
    yesterday = time.time() - 86_400
    for file in (old, other):
        os.utime(file, (yesterday, yesterday))
    connecting._remove_leftovers()
    assert sorted(tmp_path.iterdir()) == [fresh, other]

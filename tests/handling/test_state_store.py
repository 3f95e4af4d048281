"""The store on the disk: what is written is found again, also after a crash; and what may be trusted. No broker."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from aiokafka import TopicPartition
from rocksdict import Cache

from service.contracts.timestamps import epoch_ms
from service.contracts.topics import EVENTS_TOPIC, STATE_TOPIC
from service.handling import stores as module
from service.handling.rocksdb import CACHE_BYTES
from service.handling.state_store import FORMAT, DamagedStoreError, LockedStoreError, Mark, StateStore, StoreError
from service.handling.state_topic import StateTopic
from service.handling.stores import TOMBSTONES_KEPT_MS, StateStores, distrust
from tests.handling.stages import AT

EVENTS = TopicPartition(EVENTS_TOPIC, 3)
CACHE = Cache(CACHE_BYTES)
MARK = Mark("here", 9, epoch_ms(AT))
TOPIC = StateTopic(cast("Any", None), TopicPartition(STATE_TOPIC, 3), 0, 10, EVENTS, 0, "here")

# A process that writes as a handler does, and is killed: b"flushed" is on the disk, the rest was in memory.
KILLED = """
import os, sys
from pathlib import Path
from rocksdict import Cache
from service.handling.state_store import Mark, StateStore
store = StateStore(Path(sys.argv[1]), Cache(1 << 20))
for number in range(100):
    store.write([(b"key %d" % number, b"value")], Mark("here", number + 1, 0))
    if number == 49:
        store._db.flush()
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path / "3", CACHE)
    yield store
    store.close()


def test_what_is_written_is_found_again_by_whoever_opens_it(tmp_path: Path) -> None:
    first = StateStore(tmp_path / "3", CACHE)
    assert (first.mark, first.offset) == (None, 0)
    first.write([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], MARK)
    first.write([(b"a", b"4"), (b"b", None), (b"never", None)], Mark("here", 12, 5))
    first.close()
    second = StateStore(tmp_path / "3", CACHE)
    assert (second.mark, second.offset) == (Mark("here", 12, 5), 12)
    assert second.get([b"a", b"b", b"c", b"never"]) == [b"4", None, b"3", None]
    second.close()


def test_the_first_of_a_kind_come_in_order(store: StateStore) -> None:
    store.write([(key, b"") for key in (b"\1b", b"\1a", b"\1c", b"\1longer", b"\0x", b"\2a")], MARK)
    assert [key for key, _ in store.scan(b"\1", 2, 2)] == [b"\1a", b"\1b"]
    assert [key for key, _ in store.scan(b"\1", 2, 9)] == [b"\1a", b"\1b", b"\1c"]
    assert store.scan(b"\3", 2, 9) == []


def test_after_a_kill_it_is_as_it_was_earlier_and_its_offset_says_how_early(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "3"], check=False, cwd=Path.cwd())
    assert killed.returncode == -9
    store = StateStore(tmp_path / "3", CACHE)
    assert store.offset == 50
    assert [key for key, _ in store.scan(b"key", 6, 200)] == [b"key %d" % number for number in range(10, 50)]
    store.close()


def test_nobody_else_opens_it(store: StateStore) -> None:
    with pytest.raises(LockedStoreError, match=str(store.path)):
        StateStore(store.path, CACHE)


def test_a_damaged_one_is_thrown_away(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "3", CACHE)
    store.write([(b"key %d" % number, os.urandom(100)) for number in range(1_000)], MARK)
    store.close()
    (table,) = (tmp_path / "3").glob("*.sst")
    content = bytearray(table.read_bytes())
    content[50_000:55_000] = bytes(5_000)
    table.write_bytes(content)
    again = StateStore(tmp_path / "3", CACHE)
    with pytest.raises(DamagedStoreError):
        again.get([b"key %d" % number for number in range(1_000)])
    again.close()
    assert not (tmp_path / "3").exists()


def test_where_there_can_be_none_it_says_so_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="TASKEXEC_STATE_DIR"):
        StateStore(tmp_path / "file" / "3", CACHE)


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (None, None),
        (MARK, None),
        (Mark("here", 10, 0), None),  # old, but nothing came since
        (Mark("elsewhere", 9, epoch_ms(AT)), "of elsewhere"),
        (Mark("here", 11, epoch_ms(AT)), "at offset 11"),
        (Mark("here", 9, epoch_ms(AT) - TOMBSTONES_KEPT_MS - 1), "so old"),
        (Mark("here", 9, epoch_ms(AT) - TOMBSTONES_KEPT_MS), None),
        (Mark("here", 9, epoch_ms(AT), FORMAT + 1), "format"),
    ],
)
def test_which_stores_are_trusted(mark: Mark | None, why: str | None) -> None:
    found = distrust(mark, "here", TOPIC, AT)
    assert found is None if why is None else why in (found or "")


async def test_one_that_is_trusted_is_gone_on_with(tmp_path: Path) -> None:
    stores = StateStores(tmp_path)
    for expected in (0, 9):
        store = await stores.open("here", TOPIC, AT)
        assert (store.path, store.offset) == (tmp_path / "3", expected)
        store.write([], MARK)
        store.close()


async def test_another_one_s_is_made_anew_and_that_is_said(tmp_path: Path) -> None:
    stores = StateStores(tmp_path)
    store = await stores.open("here", TOPIC, AT)
    store.write([(b"a", b"1")], MARK)
    store.close()
    with structlog.testing.capture_logs() as logs:
        store = await stores.open("elsewhere", TOPIC, AT)
    assert (store.offset, store.get([b"a"])) == (0, [None])
    assert [(line["event"], line["partition"]) for line in logs] == [("state_store_made_anew", 3)]
    store.close()


@pytest.mark.parametrize("broken", ["CURRENT", "*.sst"])
async def test_a_damaged_one_is_made_anew(tmp_path: Path, broken: str) -> None:
    store = StateStore(tmp_path / "3", CACHE)
    store.write([(b"a", b"1")], MARK)
    store.close()
    for path in (tmp_path / "3").glob(broken):
        path.write_bytes(b"nonsense" * 100)
    store = await StateStores(tmp_path).open("here", TOPIC, AT)
    assert store.offset == 0
    store.close()


async def test_while_another_process_has_it_a_temporary_one_stands_in(
    tmp_path: Path, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.3)
    other = await StateStores(tmp_path).open("here", TOPIC, AT)
    assert other.path != store.path
    other.close()
    assert not other.path.exists()


async def test_the_one_who_had_it_is_waited_for(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "3", CACHE)
    opening = asyncio.create_task(StateStores(tmp_path).open("here", TOPIC, AT))
    await asyncio.sleep(0.3)
    store.close()
    mine = await opening
    assert mine.path == store.path
    mine.close()


async def test_without_a_directory_each_is_new_and_is_gone_when_it_is_closed() -> None:
    stores = StateStores(None)
    store = await stores.open("here", TOPIC, AT)
    store.write([(b"a", b"1")], MARK)
    store.close()
    assert not store.path.exists()
    again = await stores.open("here", TOPIC, AT)
    assert again.offset == 0
    again.close()


def test_what_a_killed_process_left_is_removed_and_nothing_that_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    left, used = tmp_path / "taskexec-state-left", tmp_path / "taskexec-state-used"
    StateStore(left, CACHE).close()
    store = StateStore(used, CACHE)
    StateStores(None)
    assert (left.exists(), used.exists()) == (False, True)
    store.write([(b"a", b"1")], MARK)
    assert store.get([b"a"]) == [b"1"]
    store.close()
    shutil.rmtree(used)
    assert timedelta(milliseconds=TOMBSTONES_KEPT_MS) == timedelta(days=1)

"""Writes rows as Parquet and Arrow. Only who wants these loads it: pyarrow is an extra."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final

import pyarrow as pa
from pyarrow import ipc, parquet

from service.queries.arrow import SCHEMA, record_batch
from service.queries.flat import Row, Write

_GROUP_BYTES: Final = 32 << 20
_GROUP_ROWS: Final = 100_000
"""A row group of Parquet has at most a page more; it is held in memory until it is written."""


@contextmanager
def arrow(file: BinaryIO) -> Iterator[Write]:
    """The Arrow IPC file format, a batch for each page."""
    with ipc.new_file(file, SCHEMA) as writer:
        yield lambda page: writer.write_batch(record_batch(page))


@contextmanager
def parquet_groups(file: BinaryIO) -> Iterator[Write]:
    """Parquet, compressed with zstd."""
    group: list[pa.RecordBatch] = []

    def write_group() -> None:
        if group:
            writer.write_table(pa.Table.from_batches(group))
            group.clear()

    def write(page: Sequence[Row]) -> None:
        group.append(record_batch(page))
        if sum(each.nbytes for each in group) >= _GROUP_BYTES or sum(map(len, group)) >= _GROUP_ROWS:
            write_group()

    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        yield write
        write_group()

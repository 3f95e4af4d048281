"""Writes rows as Parquet and Arrow. Only who wants these loads it: pyarrow is an extra."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import pyarrow as pa
from pyarrow import ipc, parquet

from service.cli.flat import COLUMNS, Kind, Row, Write

_GROUP_BYTES: Final = 32 << 20
_GROUP_ROWS: Final = 100_000
"""A row group of Parquet has at most a page more; it is held in memory until it is written."""

_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.TIME: pa.timestamp("ms", "UTC"),
    Kind.MILLISECONDS: pa.int64(),
}
SCHEMA: Final = pa.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])
"""The columns and their types, in both formats."""


@contextmanager
def arrow(file: BinaryIO) -> Iterator[Write]:
    """The Arrow IPC file format, a batch for each page."""
    with ipc.new_file(file, SCHEMA) as writer:
        yield lambda page: writer.write_batch(_batch(page))


@contextmanager
def parquet_groups(file: BinaryIO) -> Iterator[Write]:
    """Parquet, compressed with zstd."""
    group: list[pa.RecordBatch] = []

    def write_group() -> None:
        if group:
            writer.write_table(pa.Table.from_batches(group))
            group.clear()

    def write(page: Sequence[Row]) -> None:
        group.append(_batch(page))
        if sum(each.nbytes for each in group) >= _GROUP_BYTES or sum(map(len, group)) >= _GROUP_ROWS:
            write_group()

    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        yield write
        write_group()


def _batch(page: Sequence[Row]) -> pa.RecordBatch:
    columns = zip(*page, strict=True) if page else ((),) * len(COLUMNS)
    return pa.record_batch(
        [_array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    return pa.array(values, pa.string()).cast(type_) if pa.types.is_timestamp(type_) else pa.array(values, type_)

"""Rows as Arrow. Only who wants it loads it: pyarrow is an extra."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from service.queries.flat import COLUMNS, Kind, Row

_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.TIME: pa.timestamp("ms", "UTC"),
    Kind.MILLISECONDS: pa.int64(),
}
SCHEMA: Final = pa.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])
"""The columns and their types."""


def record_batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """All of these rows."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return pa.record_batch(
        [_array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    return pa.array(values, pa.string()).cast(type_) if pa.types.is_timestamp(type_) else pa.array(values, type_)

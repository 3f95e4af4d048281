"""Produce requests that are put together at once: aiokafka copies a batch six times before it is in its request."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Array, Bytes, Int32, Schema


class WholeProduceRequest(ProduceRequest):
    """One of aiokafka's, of the same bytes; any that is not sent yet may become one by its `__class__`."""

    def build(self, request_struct_class: Any) -> Any:  # noqa: ANN401 - aiokafka's
        """The request, in this version of the protocol."""
        built: Any = super().build(request_struct_class)
        built.__class__ = _whole(request_struct_class)
        return built


class _Whole:
    SCHEMA: Schema

    def encode(self) -> bytes:
        return b"".join(_pieces(self.SCHEMA, [vars(self)[name] for name in self.SCHEMA.names]))


@cache  # there is one for each version
def _whole(kind: Any) -> Any:  # noqa: ANN401 - aiokafka's
    return type(kind.__name__, (_Whole, kind), {})


def _pieces(kind: Any, value: Any) -> Iterator[bytes]:  # noqa: ANN401 - aiokafka's
    match kind:
        case Schema():
            for field, item in zip(kind.fields, value, strict=True):
                yield from _pieces(field, item)
        case Array():
            yield Int32.encode(len(value))
            for item in value:
                yield from _pieces(kind.array_of, item)
        case _ if kind is Bytes:
            yield Int32.encode(len(value))
            yield value
        case _:
            yield kind.encode(value)

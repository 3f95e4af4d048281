"""Java's default partitioner, so that every client agrees which partition a key belongs to."""

from typing import Final

from murmurhash2 import murmurhash2

_SEED: Final = 0x9747B28C
_POSITIVE: Final = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """`toPositive(murmur2(key)) % partitions`, as `org.apache.kafka.clients.producer` computes it."""
    return (murmurhash2(key, _SEED) & _POSITIVE) % partitions

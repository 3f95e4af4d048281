"""service/kafka/streamed.py: where a reader of the stream goes on."""

from typing import NamedTuple

import pytest

from service.kafka.murmur2 import partition_of
from service.kafka.streamed import StreamPlace, untold_before

EXECUTION = "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"
PARTITION = partition_of(EXECUTION.encode(), 3)


class Message(NamedTuple):
    id: str
    retry: int | None = None


def test_it_goes_on_after_the_last_id_and_waits_as_it_is_told() -> None:
    place = StreamPlace()
    assert (place.headers, place.pause) == ({"Accept": "text/event-stream"}, 1.0)
    for message in (Message("0:1", 2_500), Message("0:2"), Message("")):
        place.take(message)
    assert (place.headers["Last-Event-ID"], place.pause) == ("0:2", 2.5)
    place.take(Message("0:3", 3_600_000))
    assert place.pause == 30


@pytest.mark.parametrize(("begin", "before"), [(0, None), (1, (PARTITION, 0)), (1207, (PARTITION, 1206))])
def test_what_was_before_a_stream_is_in_the_partition_of_the_execution(
    begin: int, before: tuple[int, int] | None
) -> None:
    offsets = [7, 8, 9]
    offsets[PARTITION] = begin
    id_ = ",".join(f"{partition}:{offset}" for partition, offset in enumerate(offsets))
    assert untold_before(id_, EXECUTION) == before

"""A produce request that is put together at once has the bytes that aiokafka gives it."""

from typing import Any, get_args

import pytest
from aiokafka.protocol.produce import ProduceRequest, ProduceRequestStruct
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.internals.whole_requests import WholeProduceRequest

TOPICS = st.lists(
    st.tuples(
        st.text(max_size=20),
        st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary() | st.binary().map(bytearray)), max_size=3),
    ),
    max_size=3,
)


@pytest.mark.parametrize("kind", get_args(ProduceRequestStruct))
@given(topics=TOPICS, transaction=st.none() | st.text(max_size=20), acks=st.sampled_from([-1, 0, 1]))
def test_its_bytes_are_aiokafkas(kind: Any, topics: Any, transaction: str | None, acks: int) -> None:
    transactional_id = transaction if kind.API_VERSION >= 3 else None
    request = ProduceRequest(transactional_id, acks, 30_000, topics)
    theirs = request.build(kind)
    request.__class__ = WholeProduceRequest
    ours = request.build(kind)
    assert ours.encode() == theirs.encode()
    assert isinstance(ours, kind)
    header, their_header = (built.build_request_header(7, "client") for built in (ours, theirs))
    assert header.encode() == their_header.encode()
    versions = {ProduceRequest.API_KEY: (kind.API_VERSION, kind.API_VERSION)}
    assert request.prepare(versions).encode() == theirs.encode()

"""service/client/redriving.py: a refused record as it is sent again."""

from base64 import b64encode
from typing import Any

import pytest

from service.client.redriving import NotKeptError, redriven
from service.contracts.rejections import Extent, OriginalHeader, OriginalRecord
from service.contracts.timestamps import from_epoch_ms


def base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def record(*headers: tuple[str, bytes], **more: Any) -> OriginalRecord:
    fields: dict[str, Any] = {
        "topic": "task-execution.commands", "partition": 3, "offset": 7, "timestamp": from_epoch_ms(0),
        "headers": tuple(OriginalHeader(name=name, value=base64(content)) for name, content in headers),
        "key": base64(b"k"), "value": base64(b"{}"), "value_size": 2,
    }  # fmt: skip
    return OriginalRecord(**fields | more)


NAMED = (("ce_type", b"ExecuteTask"), ("ce_id", b"1"), ("ce_source", b"/airflow"))


def test_it_is_sent_as_it_was_but_for_where_the_reply_goes() -> None:
    again = redriven(record(*NAMED, ("Reply_To", b"some.replies"), ("correlation_id", b"9"), ("other", b"\xff")))

    assert (again.key, again.value) == (b"k", b"{}")
    assert again.headers == [*NAMED, ("other", b"\xff")]


def test_what_its_place_named_keeps_that_name() -> None:
    again = redriven(record(("ce_type", b"ExecuteTask")))

    place = ("ce_id", b"task-execution.commands/3/7"), ("ce_source", b"/kafka/task-execution.commands")
    assert again.headers == [("ce_type", b"ExecuteTask"), *place]


def test_a_source_that_is_given_stays() -> None:
    again = redriven(record(("ce_type", b"ExecuteTask"), ("ce_source", b"/airflow")))

    assert dict(again.headers)["ce_source"] == b"/airflow"
    assert dict(again.headers)["ce_id"] == b"task-execution.commands/3/7"


@pytest.mark.parametrize("value", [b'{"id": "1"}', b"nonsense", b"[]"])
def test_a_structured_event_is_left_as_it_is(value: bytes) -> None:
    kind = ("content-type", b"application/cloudevents+json")

    assert redriven(record(kind, value=base64(value), value_size=len(value))).headers == [kind]


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (None, "kept no records"),
        (record(*NAMED, value_withheld=Extent.PART), "sensitive"),
        (record(*NAMED, value=None, value_size=2_000_000, value_head=base64(b"x")), "only its head"),
        (record(*NAMED, key=base64(b"k" * 4096)), "too large"),
        (record(*NAMED, ("big", b"h" * 4096)), "too large"),
        (record(*[(f"h{number}", b"") for number in range(100)]), "too large"),
        (record(*NAMED, key=None, value=None, value_size=0), "nothing to send"),
        (record(("content-type", b"application/cloudevents+json")), "without an id"),
    ],
)
def test_what_cannot_be_sent_as_it_was_is_not_sent(kept: OriginalRecord | None, why: str) -> None:
    with pytest.raises(NotKeptError, match=why):
        redriven(kept)

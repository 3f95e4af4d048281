"""A PlainText is written as any text is, by each encoder that meets one; and no other text is taken for one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service.contracts.codec import MAX_DEPTH, decode, decode_slowly, encode, read, sorted_json
from service.contracts.events import TaskExecutionCreated, TaskExecutionSucceeded, encode_event
from service.contracts.examples import EXAMPLES
from service.contracts.plain_text import LONG, PlainText
from service.contracts.replies import Position
from service.handling.accepted_replies import accepted_reply

PLAIN = [chr(code) for code in range(0x20, 0x80) if chr(code) not in '"\\']
LONG_TEXTS = st.text(st.sampled_from(PLAIN), min_size=1, max_size=20).map(lambda text: text * LONG)
SPOILT = st.sampled_from(["é", "\u2028", "😀", '"', "\\", "\n", "\x1f", "\x7f", "\\u0041"])
VALUES = (
    LONG_TEXTS
    | st.tuples(LONG_TEXTS, SPOILT, st.integers(0, LONG)).map(lambda t: t[0][: t[2]] + t[1] + t[0][t[2] :])
    | st.sampled_from([1, 2.5, None, [], ["x" * LONG], {"k": "x" * LONG}, "short"])
)
DATA = st.dictionaries(
    st.sampled_from(["inputs", "outputs", "b", "y" * LONG]),
    VALUES | st.dictionaries(st.sampled_from(["note", "é", "a", "z" * LONG]), VALUES, max_size=4),
    max_size=3,
)  # fmt: skip


def told(value: Any) -> list[PlainText]:
    """All PlainTexts in it."""
    if isinstance(value, dict | list):
        return [text for item in (value.values() if isinstance(value, dict) else value) for text in told(item)]
    return [value] if type(value) is PlainText else []


@settings(max_examples=300)
@given(DATA, st.booleans())
def test_what_is_read_is_what_the_slow_reader_reads_and_is_written_alike(data: Any, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    raw = json.dumps(data, ensure_ascii=ascii_only).encode()
    slow = decode_slowly(raw, MAX_DEPTH)
    value, again = read(raw)
    assert not told(slow)
    assert value == slow
    assert again == sorted_json(value) == msgspec.json.Encoder(order="deterministic").encode(slow)
    assert encode(value) == encode(slow)
    for text in told(value):
        assert (
            msgspec.json.encode(text.json)
            == msgspec.json.encode(str(text))
            == json.dumps(text, ensure_ascii=False).encode()
        )


def test_long_texts_of_variables_are_told_and_nothing_else() -> None:
    plain, spoilt = "x" * LONG, "é" * LONG
    data = {"inputs": {"a": plain, "b": spoilt, "c": "x" * (LONG - 1), "d": [plain]}, "taskId": plain}
    raw = json.dumps(data, ensure_ascii=False).encode()
    assert told(read(raw)[0]) == [plain]
    assert not told(decode(raw))
    assert not told(read(raw.replace(b'"d"', b'"\\n"'))[0])


@given(LONG_TEXTS)
def test_events_and_replies_are_the_same_with_one(text: str) -> None:
    created, succeeded = EXAMPLES["TaskExecutionCreated"][0].body, EXAMPLES["TaskExecutionSucceeded"][0].body
    assert isinstance(created, TaskExecutionCreated)
    assert isinstance(succeeded, TaskExecutionSucceeded)

    def events(text: str) -> list[TaskExecutionCreated | TaskExecutionSucceeded]:
        return [replace(created, resolved_inputs={"note": text}), replace(succeeded, outputs={"note": text, "n": 1})]

    as_ever, plain = events(text), events(PlainText(text))
    assert [*map(encode_event, plain)] == [*map(encode_event, as_ever)]
    position = Position(partition=0, offset=1)
    assert accepted_reply(plain, position) == accepted_reply(as_ever, position)


@pytest.mark.parametrize("name", EXAMPLES)
def test_times_are_written_as_texts(name: str) -> None:
    for example in EXAMPLES[name]:
        if hasattr(example.body, "occurred_at"):
            assert json.loads(encode_event(example.body))["occurredAt"] == str(example.body.occurred_at)  # type: ignore[arg-type]

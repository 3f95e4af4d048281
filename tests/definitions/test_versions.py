"""Which versions there are, and what each is: what the definitions topic and the log make of them; no broker needed."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.topics import DEFINITIONS_TOPIC, PUBLISHED_TOPIC
from service.definitions.versions import Versions
from service.domain.definitions import Definition
from service.kafka.records import CutValue, Record

KEY = b"a:b@1.0.0"
NAME = ("a:b", "1.0.0")
GOOD = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
OTHER = {**GOOD, "type": "flink_sql"}
DRAFT = {**GOOD, "status": "DRAFT"}
BAD = {**GOOD, "inputVariables": [{"name": "x", "type": "string", "validation": {"pattern": "(?=a)"}}]}
BROKEN = b"{oops"
WITHDRAWN = None
SENSITIVE = {**GOOD, "outputVariables": [{"name": "x", "type": "string", "sensitive": True}]}
STRUCTURED = (("Content-Type", b"application/CloudEvents+json; charset=utf-8"),)


def record(value: Any, key: bytes | None = KEY, topic: str = DEFINITIONS_TOPIC, headers: Any = ()) -> Record:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic, 0, 7, 0, key, raw, headers)


def versions(*values: Any, log: tuple[Any, ...] = ()) -> Versions:
    """What a reader makes of the log and then of the topic."""
    made = Versions()
    for value in log:
        made.take_published(record(value, topic=PUBLISHED_TOPIC))
    for value in values:
        made.take(value if isinstance(value, Record) else record(value))
    return made


def found(*values: Any, log: tuple[Any, ...] = ()) -> Definition | None:
    return versions(*values, log=log).get(*NAME)


def type_of(definition: Definition | None) -> str | None:
    return None if definition is None else definition.type


@pytest.mark.parametrize("later", [OTHER, DRAFT, BAD, BROKEN])
def test_a_published_version_is_never_replaced(later: Any) -> None:
    for log in ((), (GOOD,), (GOOD, OTHER), (GOOD, GOOD)):
        definition = found(GOOD, later, log=log)
        assert definition
        assert (definition.flaw, definition.type, definition.is_published) == (None, "sql", True)


@pytest.mark.parametrize("left", [OTHER, DRAFT, BAD, BROKEN])
def test_nor_by_what_compaction_leaves_of_it(left: Any) -> None:
    """The first record is gone from the topic; it was withdrawn in between, or was not: nobody can tell."""
    assert type_of(found(left, log=(GOOD,))) == "sql"
    assert type_of(found(GOOD, WITHDRAWN, left, log=(GOOD,))) == "sql"
    assert type_of(found(GOOD, WITHDRAWN, left)) == "sql"


def test_the_first_one_in_the_log_counts_whatever_was_seen_first() -> None:
    made = versions(OTHER)
    assert type_of(made.get(*NAME)) == "flink_sql"
    assert made.take_published(record(GOOD, topic=PUBLISHED_TOPIC)).changes == "a:b 1.0.0"
    assert type_of(made.get(*NAME)) == "sql"
    assert not made.unrecorded
    assert made.take_published(record(OTHER, topic=PUBLISHED_TOPIC)).changes is None
    assert type_of(made.get(*NAME)) == "sql"


def test_what_was_published_and_is_not_in_the_log_is_to_be_recorded() -> None:
    assert not versions(DRAFT, BAD, BROKEN, {**BAD, "version": "2.0.0"}).unrecorded
    assert not versions(GOOD, log=(GOOD,)).unrecorded
    for made in (versions(GOOD), versions(DRAFT, GOOD), versions(BAD, GOOD), versions(GOOD, WITHDRAWN, OTHER, BROKEN)):
        ((identity, unrecorded),) = made.unrecorded.items()
        assert identity == NAME
        assert (unrecorded.key, json.loads(unrecorded.value), unrecorded.headers) == (KEY, GOOD, ())


def test_what_is_recorded_reads_as_what_was_published() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/catalogue", "type": "TaskDefinitionPublished", "data": GOOD}
    made = versions(record(event, b"odd", headers=(*STRUCTURED, ("x", b"\xff"))))
    (unrecorded,) = made.unrecorded.values()
    written = Record(PUBLISHED_TOPIC, 0, 0, 0, unrecorded.key, unrecorded.value, unrecorded.headers)
    before = made.get(*NAME)
    assert made.take_published(written).flaw is None
    assert made.get(*NAME) is before, "it is made ready for use once"
    later = Versions()
    later.take_published(written)
    assert later.take(record(GOOD)).changes is None
    assert type_of(later.get(*NAME)) == "sql"


def test_an_unusable_one_is_replaced_by_what_comes_later() -> None:
    assert type_of(found(BAD, OTHER)) == "flink_sql"
    assert "not strict JSON" in str(getattr(found(BAD, BROKEN), "flaw", None))
    assert getattr(found(DRAFT, BAD), "flaw", None)


def test_a_draft_may_change_until_it_is_published() -> None:
    assert type_of(found(DRAFT, {**DRAFT, "type": "flink_jar"})) == "flink_jar"
    assert type_of(found(DRAFT, OTHER, {**DRAFT, "type": "flink_jar"})) == "flink_sql"


@pytest.mark.parametrize("value", [GOOD, BAD, BROKEN])
def test_a_tombstone_removes_whatever_its_key_held(value: Any) -> None:
    assert found(value)
    assert found(value, WITHDRAWN) is None
    assert found(value, record(WITHDRAWN, b"x:y@1.0.0"))
    assert found(value, WITHDRAWN, GOOD)
    assert found(log=(GOOD,)) is None
    assert versions(log=(GOOD,)).published(*NAME)


def test_the_body_says_which_definition_it_is_and_the_key_what_removes_it() -> None:
    odd = record(GOOD, b"odd")
    assert found(odd)
    assert found(odd, WITHDRAWN)  # its own key, but not that of the record
    assert found(odd, record(None, b"odd")) is None
    assert found(odd, GOOD, record(None, b"odd"))  # it is there under its own key as well
    assert found(odd, record({**GOOD, "taskId": "x:y"}, b"odd"), record(None, b"odd")) is None


@pytest.mark.parametrize(
    ("one", "other", "changed"),
    [
        ({}, {"inputVariables": []}, False),
        ({}, {"owner": "what others' fields say is their business"}, False),
        ({"inputVariables": [{"name": "x", "type": "number"}]},
         {"inputVariables": [{"type": "number", "name": "x", "required": True, "validation": None}]}, False),
        ({"inputVariables": [{"name": "x", "type": "number", "required": False, "defaultValue": 1}]},
         {"inputVariables": [{"name": "x", "type": "number", "required": False, "defaultValue": 1.0}]}, False),
        ({"inputVariables": [{"name": "x", "type": "array", "required": False, "defaultValue": [1]}]},
         {"inputVariables": [{"name": "x", "type": "array", "required": False, "defaultValue": [True]}]}, True),
        ({"inputVariables": [{"name": "x", "type": "object", "required": False, "defaultValue": {"a": 1, "b": None}}]},
         {"inputVariables": [{"name": "x", "type": "object", "required": False, "defaultValue": {"b": None, "a": 1}}]},
         False),
        ({"inputVariables": [{"name": "x", "type": "object", "required": False, "defaultValue": {"a": None}}]},
         {"inputVariables": [{"name": "x", "type": "object", "required": False, "defaultValue": {}}]}, True),
        ({"inputVariables": [{"name": "x", "type": "number"}, {"name": "y", "type": "number"}]},
         {"inputVariables": [{"name": "y", "type": "number"}, {"name": "x", "type": "number"}]}, True),
        ({}, {"status": "DRAFT"}, True),
        ({}, {"type": "flink_sql"}, True),
    ],
)  # fmt: skip
def test_bodies_are_compared_as_json_values(one: Any, other: Any, changed: bool) -> None:  # noqa: FBT001 - a parameter
    first, second = {**GOOD, **one}, {**GOOD, **other}
    made = versions(first)
    assert made.take(record(second)).changes == ("a:b 1.0.0" if changed else None)
    assert made.is_changed(*NAME) is changed
    made = versions(second)
    assert bool(made.take_published(record(first, topic=PUBLISHED_TOPIC)).changes) is changed
    assert not made.is_changed("a:b", "2.0.0")


def test_a_record_that_cannot_be_used_says_why() -> None:
    assert "pattern is not usable" in (versions().take(record(BAD)).flaw or "")
    assert "neither its body nor its key" in (versions().take(record(BROKEN, None)).flaw or "")
    assert "neither its body nor its key" in (versions().take_published(record(BROKEN, None)).flaw or "")
    assert "not strict JSON" in (versions().take_published(record(None, topic=PUBLISHED_TOPIC)).flaw or "")
    assert versions().take(record(GOOD)).flaw is None
    assert versions().take(record(None)).flaw is None


def test_one_in_the_log_that_this_version_cannot_use_is_unusable_and_nothing_takes_its_place() -> None:
    later = {**GOOD, "type": "of_a_later_version"}
    made = versions(later, log=(later,))
    definition = made.get(*NAME)
    assert definition
    assert "#/type" in (definition.flaw or "")
    assert made.take(record(OTHER)).changes is None
    assert made.get(*NAME) is definition
    assert not made.unrecorded


def test_all_that_are_there_can_be_gone_through() -> None:
    made = versions(GOOD, {**DRAFT, "version": "draft"}, record({**GOOD, "version": "2.0.0"}, b"k"), record(None, b"k"))
    assert sorted(definition.version for definition in made) == ["1.0.0", "draft"]
    assert [definition.type for definition in versions(OTHER, log=(GOOD,))] == ["sql"]


def test_that_one_was_sensitive_is_remembered_when_it_is_withdrawn() -> None:
    assert versions(SENSITIVE, WITHDRAWN).sensitive
    assert versions(log=(SENSITIVE,)).sensitive
    assert versions({**SENSITIVE, "status": "DRAFT"}).sensitive
    assert versions(b'{"sensitive":true').sensitive
    assert not versions(GOOD, log=(GOOD,)).sensitive


def test_what_is_left_of_a_record_that_is_too_large_is_never_taken_for_a_whole_one() -> None:
    whole = json.dumps(GOOD).encode()
    made = versions(GOOD)
    assert made.take(record(CutValue(whole, 9_000_000, None, "It is too large."))).flaw


_VALUES = st.lists(st.sampled_from([GOOD, OTHER, DRAFT, BAD, BROKEN, WITHDRAWN]), max_size=6)


@given(_VALUES, st.data())
def test_compaction_and_restarts_change_nothing(values: list[Any], data: st.DataObject) -> None:
    """Two handlers, one of which starts when the topic has been compacted, agree on every version at the end."""
    early = Versions()
    log: list[Record] = []
    for value in values:
        early.take(record(value))
        if data.draw(st.booleans()):  # the recorder's turn
            log += _record(early)
    log += _record(early)
    late = Versions()
    for value in (values[-1:], values)[data.draw(st.booleans())]:
        late.take(record(value))
    for written in log:
        late.take_published(written)
    assert not late.unrecorded
    one, other = early.get(*NAME), late.get(*NAME)
    assert (one is None) == (other is None)
    if one and other:
        assert (one.is_published, type_of(one) if one.flaw is None else one.flaw) == (
            other.is_published, type_of(other) if other.flaw is None else other.flaw,
        )  # fmt: skip


@pytest.mark.parametrize("order", list(product([0, 1], repeat=2)))
def test_of_two_handlers_that_found_different_ones_first_both_use_the_same(order: tuple[int, int]) -> None:
    handlers = [versions(GOOD), versions(OTHER)]
    log = [written for number in order for written in _copies(handlers[number])]
    for handler in handlers:
        for written in log:
            handler.take_published(written)
    assert {type_of(handler.get(*NAME)) for handler in handlers} == {("sql", "flink_sql")[order[0]]}


def _copies(versions: Versions) -> list[Record]:
    return [Record(PUBLISHED_TOPIC, 0, 0, 0, one.key, one.value, one.headers) for one in versions.unrecorded.values()]


def _record(versions: Versions) -> list[Record]:
    written = _copies(versions)
    for one in written:
        versions.take_published(one)
    return written

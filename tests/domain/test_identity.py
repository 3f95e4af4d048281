"""Identity never changes: these values are part of the contract."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity import NAMESPACE, command_hash, command_id, placed_id


def test_an_id_is_the_uuid5_of_source_and_id() -> None:
    assert command_id("/scheduler", "42") == "d48b8d59-c573-5fb3-b45a-577b5095e0d5"


@given(source=st.text(), id_=st.text())
def test_anybody_can_compute_it(source: str, id_: str) -> None:
    assert command_id(source, id_) == str(uuid5(UUID(str(NAMESPACE)), f"{source}\n{id_}"))


def test_a_command_without_id_is_told_by_its_place_and_stays_where_it_is() -> None:
    candidates = [str(uuid5(UUID(str(NAMESPACE)), f"\nt/3/17\n{number}")) for number in range(3)]
    assert placed_id("t/3/17", lambda _: True) == candidates[0]
    assert placed_id("t/3/17", lambda id_: id_ == candidates[2]) == candidates[2]


def test_a_hash_is_stable() -> None:
    assert command_hash("ExecuteTask", {"b": [1, None], "a": "é"}) == "fd859d7778833929de07f6d3edb3ce9d"


def test_the_order_of_keys_does_not_matter() -> None:
    assert command_hash("T", {"a": {"x": 1, "y": 2}, "b": 3}) == command_hash("T", {"b": 3, "a": {"y": 2, "x": 1}})


def test_everything_else_does() -> None:
    variants = [{"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {}, {"a": [1]}, {"a": 1.5}, [{"a": 1}], {"A": 1}]
    hashes = {command_hash(type_, data) for data in variants for type_ in ("T", "U")}
    assert len(hashes) == 2 * len(variants)

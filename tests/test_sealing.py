"""Sensitive values are sealed by the first key of a ring, and opened by any of it; no error shows a key or a value."""

import builtins
import json
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwe import decrypt_compact
from joserfc.jwk import OctKey

from service.contracts.codec import MAX_INTEGER, MIN_INTEGER
from service.contracts.examples import EXAMPLES
from service.contracts.sensitive import WITHHELD, withhold
from service.sealing import KeyRing, KeyRingError, SealedValueError

ONE = {"kty": "oct", "kid": "one", "k": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}
TWO = {"kty": "oct", "kid": "two", "k": "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(MIN_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc✓"), inner),
    max_leaves=9,
)  # fmt: skip


def ring(*keys: dict[str, Any]) -> KeyRing:
    return KeyRing(json.dumps({"keys": keys}).encode())


@given(JSON)
def test_what_is_sealed_opens_again(value: Any) -> None:
    assert ring(ONE).open(ring(ONE).seal(value)) == value


def test_each_sealing_differs_so_that_equal_values_cannot_be_told() -> None:
    keys = ring(ONE)
    assert len({str(keys.seal("0000")) for _ in range(9)}) == 9


def test_any_library_for_jwe_opens_it_by_the_key_that_it_names() -> None:
    text = ring(ONE, TWO).seal({"a": [1, None]})["sealed"] or ""
    opened = decrypt_compact(text, OctKey.import_key({"kty": "oct", "k": ONE["k"]}), algorithms=["dir", "A256GCM"])
    assert opened.headers() == {"alg": "dir", "enc": "A256GCM", "kid": "one"}
    assert json.loads(opened.plaintext or b"") == {"a": [1, None]}


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() -> None:
    before = ring(ONE).seal("old")
    rotated = ring(TWO, ONE)
    after = rotated.seal("new")
    assert (rotated.open(before), rotated.open(after)) == ("old", "new")
    with pytest.raises(SealedValueError, match="not among these keys"):
        ring(ONE).open(after)
    with pytest.raises(SealedValueError, match="not among these keys"):
        ring(TWO).open(before)


def test_another_key_of_the_same_name_opens_nothing() -> None:
    with pytest.raises(SealedValueError, match="sealed by another key"):
        ring({**TWO, "kid": "one"}).open(ring(ONE).seal("s3cret"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-2], lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"), lambda text: text[9:],
        lambda _: "", lambda _: "a.b.c.d.e", lambda _: "....", lambda text: text.replace(".", ""), lambda _: "✓",
        lambda text: text + ".", lambda text: text + "=",
    ],
)  # fmt: skip
def test_what_was_damaged_is_not_opened(change: Callable[[str], str]) -> None:
    text = ring(ONE).seal("s3cret" * 9)["sealed"] or ""
    with pytest.raises(SealedValueError):
        ring(ONE).open({"sealed": change(text)})


def test_what_was_withheld_is_nowhere() -> None:
    assert withhold("s3cret") == WITHHELD == {"sealed": None}
    with pytest.raises(SealedValueError, match="withheld"):
        ring(ONE).open(WITHHELD)


@pytest.mark.parametrize("value", [{}, {"sealed": 1}, "text", {"other": None}, None, []])
def test_what_is_not_sealed_is_told_so(value: Any) -> None:
    with pytest.raises(SealedValueError, match="no sealed value"):
        ring(ONE).open(value)


def test_the_example_in_the_contract_opens() -> None:
    sealed = EXAMPLES["TaskExecutionCreated"][0].payload["resolvedInputs"]["token"]
    assert ring({**ONE, "kid": "2026-03"}).open(sealed) == "s3cret"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "these are no keys: Input data was truncated"),
        (b"{oops", "these are no keys: JSON is malformed"),
        (b'{"keys":[{"kty":"\xff"}]}', "these are no keys"),
        (b"[]", "Expected `object`"),
        (b'{"keys":[]}', "length >= 1 - at `$.keys`"),
        ([{**ONE, "kty": "RSA"}], "at `$.keys[0].kty`"),
        ([ONE, {**TWO, "kid": ""}], "at `$.keys[1].kid`"),
        ([{"kty": "oct", "k": ONE["k"]}], "missing required field `kid`"),
        ([{**ONE, "k": ONE["k"][:-1]}], "at `$.keys[0].k`"),
        ([{**ONE, "k": ONE["k"] + "A"}], "at `$.keys[0].k`"),
        ([{**ONE, "k": "+" + ONE["k"][1:]}], "at `$.keys[0].k`"),
        ([ONE, {**TWO, "kid": "one"}], "two keys have the same kid"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_told_of_without_showing_them(text: Any, why: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(text if isinstance(text, bytes) else json.dumps({"keys": text}).encode())
    with pytest.raises(KeyRingError) as refusal:
        KeyRing.read(file)
    assert why in str(refusal.value)
    assert str(refusal.value).startswith(f"{file}: ")
    assert not any(key["k"][:10] in str(refusal.value) for key in (ONE, TWO))


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="cannot be read: No such file"):
        KeyRing.read(tmp_path / "none.json")


def test_a_missing_library_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("joserfc"):
            raise ImportError
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(KeyRingError, match=r"task-execution-service\[sensitive\]"):
        ring(ONE)


def test_the_command_in_the_documents_makes_keys(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "sensitive.md").read_text("utf-8")
    command = textwrap.dedent(page[page.index("    python3 -c") : page.index("> keys.json")])
    made = subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=30).stdout
    file = tmp_path / "keys.json"
    file.write_bytes(made)
    keys = KeyRing.read(file)
    assert keys.open(keys.seal("s3cret")) == "s3cret"

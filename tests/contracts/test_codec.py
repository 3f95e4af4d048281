"""JSON that other parsers let through is refused; what is let through comes out again as it went in."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts import codec
from service.contracts.codec import MAX_DEPTH, MalformedJsonError, decode, encode, pointer

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"{", b"{}x", b"[1,]", b"{'a':1}", b"01", b"1.", b".5", b"+1", b"tru", b"// c\n1",
        b'{"a":1,"a":1}', b'[{"x":{"a":1,"b":2,"a":3}}]', b'{"a":1,"\\u0061":2}',
        b"NaN", b"[Infinity]", b"-Infinity", b"1e400", b"-1E+0400", b"[1e99999]", b"1" * 310 + b".5",
        b"1" * 30, b"-" + b"9" * 20, b"9223372036854775808", b"-9223372036854775809", b"1" * 5000,
        b'"a\\u0000"', b'{"\\u0000":1}', b'"\x00"', b'"a\nb"', b"\x00",
        b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\ud800a"', b'"\xed\xa0\x80"',
        b'"\xff"', b'"\xc0\x80"', b'"\xe2\x82"', b"\xff\xfe1\x00", b"\xef\xbb\xbf{}",
        b"[" * 100_000, b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)  # fmt: skip
def test_what_is_not_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"12345678901234567890 1e999 "', "12345678901234567890 1e999 "),
        (b'"\\ud83d\\ude00"', "😀"),
        (b' {"b": [null, true], "a": 1.0}\n', {"b": [None, True], "a": 1.0}),
    ],
)
def test_what_looks_alike_is_let_through(raw: bytes, value: Any) -> None:
    decoded = decode(raw)
    assert (decoded, type(decoded)) == (value, type(value))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b'{"a":[1,{"b/c":1e400}]}', "#/a/1/b~1c"),
        (b'{"a b":"\\u0000"}', "#/a%20b"),
        (b'{"a":{"\\u0000":1}}', "#/a"),
        (b"[0,99999999999999999999]", "#/1"),
    ],
)
def test_the_error_says_where(raw: bytes, where: str) -> None:
    with pytest.raises(MalformedJsonError) as refusal:
        decode(raw)
    assert refusal.value.pointer == where


@pytest.mark.parametrize("raw", [b"[1,]", b"1e400", b"[" * 201 + b"]" * 201])
def test_the_error_is_written_as_its_detail(raw: bytes) -> None:
    with pytest.raises(MalformedJsonError) as refusal:
        decode(raw)
    assert str(refusal.value) == refusal.value.detail


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_depth_is_limited_exactly(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    for depth, limit in ((3, 3), (MAX_DEPTH, MAX_DEPTH)):
        assert decode((opening * depth + "1" + closing * depth).encode(), limit) is not None
        with pytest.raises(MalformedJsonError):
            decode((opening * (depth + 1) + "1" + closing * (depth + 1)).encode(), limit)


def test_many_brackets_are_not_depth() -> None:
    assert len(decode(b"[" + b",".join([b"[[]]"] * 1000) + b"]", 3)) == 1000


def test_brackets_in_strings_are_not_depth() -> None:
    for text in ("[" * 1000, '[{"\\' * 300, '\\"[' * 300):
        assert decode(json.dumps(text).encode(), 0) == text
        assert decode(json.dumps([text, {text: 1}]).encode(), 2) == [text, {text: 1}]


def depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


@given(st.lists(JSON, min_size=1), st.integers(0, 6))
def test_the_depth_is_counted_as_anybody_would(value: list[Any], limit: int) -> None:
    many = [value, [[]] * 10]
    if depth(many) <= limit:
        assert decode(encode(many), limit) == many
    else:
        with pytest.raises(MalformedJsonError, match=f"deeper than {limit}"):
            decode(encode(many), limit)


@given(JSON)
def test_what_we_write_we_read(value: Any) -> None:
    assert decode(encode(value)) == value
    assert decode(json.dumps(value).encode()) == value


@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_read_as_the_standard_library_reads_them_or_refused(raw: bytes) -> None:
    try:
        value = decode(raw)
    except MalformedJsonError:
        return
    expected = json.loads(raw)
    assert value == expected or math.isclose(value, expected)


@pytest.mark.parametrize(
    ("steps", "text"),
    [((), "#"), (("a", 0), "#/a/0"), (("",), "#/"), (("~/%",), "#/~0~1%25"), (('é#"',), "#/%C3%A9%23%22")],
)
def test_pointers_are_written_as_uri_fragments(steps: tuple[str | int, ...], text: str) -> None:
    assert pointer("#", *steps) == text


def test_only_the_place_of_the_flaw_becomes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for every value, each as long as the keys above it, would take minutes for a megabyte."""
    written: list[str] = []

    def watched(parent: str, *steps: str | int) -> str:
        written.append(pointer(parent, *steps))
        return written[-1]

    monkeypatch.setattr(codec, "pointer", watched)
    with pytest.raises(MalformedJsonError):
        decode(b'{"a":{"b/c":[' + b"1," * 1_000 + b'"\\u0000"]}}')
    assert written == ["#/a/b~1c/1000"]

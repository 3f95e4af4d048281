"""JSON that other parsers let through is refused; what is let through comes out again as it went in."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contracts import codec
from service.contracts.codec import (
    MAX_DEPTH,
    MalformedJsonError,
    decode,
    decode_slowly,
    encode,
    pointer,
    read,
    sorted_json,
)

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


# The fast way is what the slow one says, whatever comes

HOSTILE = st.sampled_from(
    [
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
        "18446744073709551615", "1" * 18, "1" * 19, "1" * 40, "0." + "1" * 30, "1e400", "-1E+400", "1e308", "1e-400",
        "5e-324", "2e-324", "-0", "-0.0", "1E5", "0e0", "01", "1.", "-", "NaN", "Infinity", "tru", "",
        '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\""', '"\\\\"', '"a:b,[{"', '"]}"', '"\x7f"', '"\t"', '"\x00"',
        '"\u00e9:"', "[]", "{}", "[" * 5 + "]" * 5, '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"":{"":0},":":":"}',
        '{"a":{"b":1,"b":{"c:":":"}}}', "\ufeff1", "// c\n1", "'a'",
    ]
)  # fmt: skip
PIECES = HOSTILE | st.text(max_size=5).map(json.dumps) | JSON.map(lambda value: json.dumps(value, ensure_ascii=False))
DOCUMENTS = st.recursive(
    PIECES,
    lambda inner: (
        st.lists(inner, max_size=5).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(["a", "b", "c:", "", "é"]), inner), max_size=4).map(
            lambda items: (
                "{" + " , ".join(f"{json.dumps(key, ensure_ascii=False)} : {item}" for key, item in items) + "}"
            )
        )
    ),
    max_leaves=12,
).map(lambda text: text.encode(errors="surrogatepass"))
SPOILT = st.tuples(DOCUMENTS, st.integers(0, 200), st.integers(0, 3), st.binary(max_size=2)).map(
    lambda parts: parts[0][: parts[1]] + parts[3] + parts[0][parts[1] + parts[2] :]
)


def outcome(decoder: Callable[[bytes, int], Any], raw: bytes, max_depth: int) -> str:
    """The value with its types, or all that the error says."""
    try:
        return f"{decoder(raw, max_depth)!r}"
    except MalformedJsonError as error:
        return f"{error.detail} at {error.pointer}"


@settings(max_examples=500)
@given(DOCUMENTS | SPOILT | st.binary(), st.integers(0, 8) | st.just(MAX_DEPTH))
def test_fast_or_slow_is_the_same(raw: bytes, max_depth: int) -> None:
    assert outcome(decode, raw, max_depth) == outcome(decode_slowly, raw, max_depth)


@settings(max_examples=500)
@given(
    DOCUMENTS | SPOILT, st.sampled_from(["[%b,%b]", "[%b%b]", '{"t":%b,"a":%b}', '{"a":%b,"a":%b}']), st.integers(0, 8)
)
def test_beside_much_text_it_is_the_same(raw: bytes, around: str, max_depth: int) -> None:
    for text in (b'"' + b"[1," * 500 + b'"', b'"' + b"1" * 1_500 + b'"', b'"' + b"y" * 1_500):
        large = around.encode() % (text, raw)
        assert outcome(decode, large, max_depth) == outcome(decode_slowly, large, max_depth)


@pytest.mark.parametrize("size", [10_000, 100_000])
@pytest.mark.parametrize("more", ["", ',"k":1', ',"n":9223372036854775808', "]"])
def test_large_documents_are_no_different(size: int, more: str) -> None:
    rows = ",".join(f'{{"id":{number},"name":"[row] {number}: \\u00e9"}}' for number in range(size // 40))
    for text in (f'{{"k":"{"x" * size}"{more}}}', f'{{"rows":[{rows}]{more}}}'):
        for raw in (text.encode(), text.replace("\\u00e9", "é").encode()):
            assert outcome(decode, raw, MAX_DEPTH) == outcome(decode_slowly, raw, MAX_DEPTH)


@given(DOCUMENTS)
def test_a_value_that_is_read_comes_with_its_sorted_json(raw: bytes) -> None:
    with suppress(MalformedJsonError):
        value, again = read(raw)
        assert again == sorted_json(value)


@pytest.mark.parametrize(
    ("raw", "where", "what"),
    [
        (b'{"inputs":{"login":{"s3cret":1,"s3cret":2}}}', "#", "Detected duplicate key at line 1 column 41"),
        (b'{"s3cret \\" at line 9":1,"s3cret \\" at line 9":2}', "#", "Detected duplicate key at line 1 column"),
        (b'{"inputs":{"login":{"s3cret":["\\u0000"]}}}', "#/inputs/login", "NUL characters are not allowed"),
        (b'{"data":{"outputs":{"link":{"inputs":{"s3cret":1e400}}}}}', "#/data/outputs/link", "64-bit float"),
        (b'{"inputs":["\\u0000"]}', "#/inputs/0", "NUL"),
        (b'{"inputs":"\\u0000"}', "#/inputs", "NUL"),
        (b'{"a":{"b":{"c":"\\u0000"}}}', "#/a/b/c", "NUL"),
    ],
)
def test_a_flaw_in_a_value_tells_the_variable_and_no_key_below_it(raw: bytes, where: str, what: str) -> None:
    with pytest.raises(MalformedJsonError) as refusal:
        decode(raw)
    assert (refusal.value.pointer, what in refusal.value.detail) == (where, True), refusal.value.detail
    assert "s3cret" not in refusal.value.detail

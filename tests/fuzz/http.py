"""HTTP requests: the documented operations with up to three mutations, and bytes that are no HTTP at all."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.commands import TYPES, execution_id
from tests.fuzz.values import RAW, SIZES, TEXTS, VALUES

_API: Final = "/api/v1/task-executions"
_ACTIONS: Final = {
    "": "ExecuteTask", "/start": "StartTaskExecution", "/succeed": "SucceedTaskExecution", "/fail": "FailTaskExecution",
    "/stop": "StopTaskExecution", "/skip": "SkipTaskExecution",
}  # fmt: skip
_QUERIES: Final = (
    "/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/api/v1/task-execution-stats",
    "/api/v1/task-execution-stats?taskId=fuzz:task", _API, f"{_API}?pageSize=3",
    f"{_API}?status=FAILURE&createdBy=maria",
    f"{_API}?tag=a&pageNumber=2", f"{_API}?sort=duration&counts=true", "/api/v1/task-execution-failures?limit=3",
    f"{_API}/{{id}}", f"{_API}/{{id}}/history", f"{_API}/{{id}}/graph", f"{_API}/{{id}}?minPosition=0:0",
)  # fmt: skip
_METHODS: Final = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FOO", "get", "POST", "GET")
_PATHS: Final[tuple[Callable[[str], str], ...]] = (
    lambda path: path + "/", lambda path: "/" + path, lambda path: path.upper(), lambda path: path + "%00",
    lambda path: path + "/..", lambda path: path.replace("/", "%2f"), lambda path: path + "x" * 5000,
    lambda path: "http://elsewhere" + path, lambda path: path + "%ff%fe", lambda path: path + ";a=b", lambda _: "*",
    lambda path: path.replace("{id}", "0" * 36), lambda path: path.replace("{id}", "{}"), lambda path: "?" + path,
    lambda path: path.replace("{id}", "00000000-0000-0000-0000-00000000000G"), lambda path: path + "/nothing",
)  # fmt: skip
_QUERY: Final = (
    "taskId=", "taskId=a:b&taskId=a:b", "unknown=1", "pageNumber=0", "pageNumber=-1", "pageSize=1001", "pageSize=1e3",
    "pageNumber=99999999999999999999", "pageNumber=1000000000&pageSize=1000", "cursor=%ff", "cursor=AAAA", "cursor=",
    "minPosition=1", "minPosition=-1:0", "minPosition=0:%D9%A3", "minPosition=99999:999999999999999999",
    "status=pending",
    "status=PENDING%00", "createdBy=%00", "createdBy=%5C%27%3B--", "tag=%F0%9F%91%A9", "%ff=%fe", "=", "&&&",
    "a" * 4000,
    "cursor=OTk5OTk5OTk5OTk5OTk5OjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMA", "taskId=%ud800",
)  # fmt: skip
_HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("Host", "evil.example"), ("Host", "["), ("Host", ""), ("Host", "localhost"), ("Origin", "http://evil.example"),
    ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"),
    ("Content-Type", "text/plain"),
    ("Content-Type", "application/json; charset=latin-1"), ("Content-Type", "\xff"), ("Content-Type", ""),
    ("Idempotency-Key", ""), ("Idempotency-Key", "k" * 256), ("Idempotency-Key", "\xe9"), ("Idempotency-Key", "same"),
    ("Idempotency-Key", "a b"), ("traceparent", "00-" + "a" * 32), ("traceparent", "\xff" * 500),
    ("tracestate", "x" * 40_000),
    ("Accept", "text/html"), ("Accept-Encoding", "br, zstd"), ("Expect", "100-continue"), ("Upgrade", "websocket"),
    ("Content-Encoding", "gzip"), ("Range", "bytes=0-1"),
    ("X-Forwarded-For", "1.2.3.4"), ("X-HTTP-Method-Override", "DELETE"),
    ("If-None-Match", "*"), ("Cookie", "a=" + "b" * 30_000), ("X" * 40_000, "1"),
)  # fmt: skip
MALFORMED: Final[dict[str, Callable[[int], bytes]]] = {
    "nothing": lambda _: b"",
    "not HTTP": lambda size: b"\x16\x03\x01" + b"\0" * min(size, 5000),
    "HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": lambda _: b"GET /healthz\r\n\r\n",
    "odd version": lambda _: b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": lambda _: b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "cut head": lambda size: b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b"[: size % 36],
    "huge head": lambda size: b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * max(70_000, min(size, 900_000)),
    "huge target": lambda size: b"GET /" + b"a" * max(70_000, min(size, 900_000)) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": lambda size: b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * min(size, 9000) + b"\r\n",
    "bad header": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nA b\r\n\r\n",
    "folded header": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "control character": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    "target not ASCII": lambda _: b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad chunk": lambda _: _post(b"Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "huge chunk": lambda _: _post(b"Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n{}",
    "cut chunk": lambda _: _post(b"Transfer-Encoding: chunked") + b"5\r\n{",
    "chunk extension": lambda size: b"".join(
        (_post(b"Transfer-Encoding: chunked"), b"2;", b"x" * min(size, 100_000), b"\r\n{}\r\n0\r\n\r\n")
    ),
    "both lengths": lambda _: _post(b"Transfer-Encoding: chunked\r\nContent-Length: 2") + b"2\r\n{}\r\n0\r\n\r\n",
    "two lengths": lambda _: _post(b"Content-Length: 2\r\nContent-Length: 3") + b"{}",
    "odd length": lambda _: _post(b"Content-Length: 0x2") + b"{}",
    "negative length": lambda _: _post(b"Content-Length: -1") + b"{}",
    "large length": lambda _: _post(b"Content-Length: 1000000000") + b"{}",
    "encoded": lambda _: _post(b"Transfer-Encoding: gzip") + b"{}",
    "cut body": lambda _: _post(b"Content-Length: 100") + b"{}",
    "long body": lambda _: _post(b"Content-Length: 2") + b"{}{}{}{}",
    "pipelined": lambda size: b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * (1 + size % 20),
    "pipelined, then nonsense": lambda _: b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0\r\n\r\n",
}  # fmt: skip
"""Requests that no client library would send, by name; the service may also close the connection without a word."""


@dataclass(frozen=True)
class Call:
    """One request by its recipe."""

    method: str
    path: str
    target: int
    mutations: tuple[tuple[str, str, int], ...]


@dataclass
class Parts:
    """A request in the making; header values are Latin-1."""

    method: str
    path: str
    body: dict[str, Any] | None
    query: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def build(call: Call, run: str, host: str) -> tuple[str, bytes]:
    """The method, and the whole request."""
    parts = Parts(call.method, call.path, None, headers={"Host": host, "Connection": "close"})
    if call.method == "POST":
        action = call.path.removeprefix(_API).removeprefix("/{id}")
        parts.body = dict(TYPES[_ACTIONS[action]])
        parts.headers["Content-Type"] = "application/json"
    for kind, which, size in call.mutations:
        _MUTATIONS[kind][1](parts, which, size)
    content = parts.raw
    if content is None and parts.body is not None:
        content = json.dumps(parts.body, ensure_ascii=False).encode(errors="replace")
    if content is not None:
        parts.headers.setdefault("Content-Length", str(len(content)))
    path = parts.path.replace("{id}", execution_id(run, call.target))
    target = path + "".join(("&" if "?" in path else "?") + query for query in parts.query)
    lines = [f"{parts.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in parts.headers.items())]
    return parts.method, "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + (content or b"")


def _post(header: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b\r\n\r\n" % (_API.encode(), header)


def _change(parts: Parts, which: str, size: int) -> None:
    match which:
        case "method":
            parts.method = _METHODS[size % len(_METHODS)]
        case "path":
            parts.path = _PATHS[size % len(_PATHS)](parts.path)
        case "query":
            parts.query.append(_QUERY[size % len(_QUERY)])
        case _:
            name, value = _HEADERS[size % len(_HEADERS)]
            parts.headers[name] = value


def _set_field(parts: Parts, which: str, size: int) -> None:
    if parts.body is not None:
        names = [*parts.body, "executionId", "unknown"]
        parts.body[names[size % len(names)]] = VALUES[which](size)


def _set_body(parts: Parts, which: str, size: int) -> None:
    parts.raw = RAW[which](size)


_MUTATIONS: Final[dict[str, tuple[tuple[str, ...], Callable[[Parts, str, int], None]]]] = {
    "change": (("method", "path", "query", "header", "header", "query"), _change),
    "field": (tuple({**VALUES, **TEXTS}), _set_field),
    "body": (tuple(RAW), _set_body),
}


def calls() -> st.SearchStrategy[Call]:
    """Documented operations, of which a third are sent as documented."""
    operations = [("GET", path) for path in _QUERIES] + [
        ("POST", f"{_API}{'/{id}' if action else ''}{action}") for action in _ACTIONS
    ]
    mutation = st.sampled_from([*_MUTATIONS]).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.sampled_from(_MUTATIONS[kind][0]),
            st.one_of(st.integers(0, 300), st.sampled_from([size for size in SIZES if size <= 1_000_000])),
        )
    )
    return st.builds(
        lambda operation, target, mutations: Call(operation[0], operation[1], target, mutations),
        st.sampled_from(operations),
        st.integers(0, 60),
        st.sampled_from((0, 0, 1, 1, 2, 3)).flatmap(lambda many: st.tuples(*[mutation] * many)),
    )


def malformed() -> st.SearchStrategy[tuple[str, int]]:
    """Names and sizes of `MALFORMED`."""
    return st.tuples(st.sampled_from([*MALFORMED]), st.integers(0, 100_000))

"""Stands in for the parts of the HTTP API that act on many, run again, and stream; it keeps what was done."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.api.scripted import FAILURE, METADATA, PENDING

PROBLEM = "application/problem+json"
BROKEN = {"broken": True}
"""In place of a message: the connection breaks."""
UNBORN = {"unborn": True}
"""The connection ends before it says where it begins."""


def id_of(number: int) -> str:
    return f"{number:08x}-7b0a-5a64-9c3b-2f6b1c0d9e11"


def place(offset: int) -> str:
    """The `id` of a stream that goes on with this offset, of whatever partition."""
    return ",".join(f"{partition}:{offset}" for partition in range(4))


def message(number: int, type_: str, status: str, id_: str, data: dict[str, Any]) -> dict[str, Any]:
    common = {"type": f"TaskExecution{type_}", "time": METADATA["createdAt"], "executionId": id_, "status": status}
    return common | {"sequence": number, "position": f"3:{number}", "data": {"taskId": "a:b"} | data}


@dataclass
class StandIn:
    """`matching` executions fit every filter; those in `refused` cannot be acted on."""

    matching: int = 450
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    carried_out: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)
    chunks: int = 0
    before_chunk: Callable[[int], None] = lambda _: None
    streams: list[list[dict[str, Any]]] = field(default_factory=list)
    """What each connection gets before it breaks; the last one stays open."""
    connections: list[dict[str, Any]] = field(default_factory=list)
    begin: int = 5
    """The offset that streams begin with that nobody has read before."""
    history: list[dict[str, Any]] = field(default_factory=list)
    histories: list[str | None] = field(default_factory=list)
    """The `minPosition` of each history that was asked for."""
    behind: int = 0
    """So many histories are refused, for the read side is behind."""
    stopping: Event = field(default_factory=Event)
    url: str = ""

    async def actions(self, request: Request) -> Response:
        body = json.loads(await request.body())
        if body.get("dryRun"):
            self.asked.append(body)
            begin = int(body.get("cursor", 0))
            ids = [id_of(number) for number in range(begin, min(begin + body["limit"], self.matching))]
            end = begin + len(ids)
            more = {"nextCursor": str(end)} if end < self.matching else {}
            return JSONResponse({"matched": self.matching, "executionIds": ids, "asOf": METADATA["createdAt"]} | more)
        key = request.headers["idempotency-key"]
        self.keys.add(key)
        self.chunks += 1
        self.before_chunk(self.chunks)
        items = [self._act(key, id_) for id_ in body["executionIds"]]
        return JSONResponse({"items": items, "request": {name: body[name] for name in body if name != "executionIds"}})

    def _act(self, key: str, id_: str) -> dict[str, Any]:
        if id_ in self.unanswered:
            return {"executionId": id_, "outcome": "unanswered"}
        if id_ in self.refused:
            problem = {"title": "No", "status": 409, "code": "invalid_transition", "detail": "It has ended."}
            return {"executionId": id_, "outcome": "rejected", "problem": problem}
        outcome = "duplicate" if f"{key}/{id_}" in self.carried_out else "accepted"
        if outcome == "accepted":
            self.carried_out[f"{key}/{id_}"] += 1
        return {"executionId": id_, "outcome": outcome, "status": "STOPPED"}

    async def get(self, request: Request) -> Response:
        return JSONResponse(PENDING | {"id": request.path_params["id"]})

    async def rerun(self, request: Request) -> Response:
        self.asked.append(json.loads(await request.body()))
        return JSONResponse(PENDING | {"retryOf": FAILURE["id"], "attempt": 2}, 201)

    async def told(self, request: Request) -> Response:
        self.histories.append(request.query_params.get("minPosition"))
        if self.behind:
            self.behind -= 1
            problem = {
                "type": "about:blank",
                "title": "Behind",
                "status": 503,
                "code": "projection_behind",
                "detail": "Wait.",
            }
            return JSONResponse(problem, 503, media_type=PROBLEM)
        return JSONResponse({"executionId": request.path_params["id"], "items": self.history})

    async def events(self, request: Request) -> Response:
        resume = request.headers.get("last-event-id")
        self.connections.append({"resume": resume, "query": request.query_params.multi_items()})
        if status := self.streams[0][:1] and self.streams[0][0].get("refusal"):
            if len(self.streams) > 1:
                self.streams.pop(0)
            problem = {"type": "about:blank", "title": "Too old", "status": status, "detail": "Begin anew."}
            code = {400: "invalid_request", 503: "unavailable"}[status]
            return JSONResponse(problem | {"code": code}, status, media_type=PROBLEM)
        return StreamingResponse(self._stream(resume or place(self.begin)), media_type="text/event-stream")

    async def _stream(self, begin: str) -> AsyncIterator[str]:
        is_last = len(self.streams) == 1
        messages = self.streams[0] if is_last else self.streams.pop(0)
        if messages == [UNBORN]:
            yield "retry: 50\n\n"
            return
        yield f"retry: 50\nid: {begin}\n\n: alive\n\n"
        for one in messages:
            if one == BROKEN:
                raise ConnectionError
            id_ = place(int(one["position"].partition(":")[2]) + 1)
            yield f"event: {one['type']}\nid: {id_}\ndata: {json.dumps(one)}\n\n"
        while is_last and not self.stopping.is_set():
            yield ": alive\n\n"
            await asyncio.sleep(0.1)

    @contextmanager
    def serving(self) -> Iterator["StandIn"]:
        base = "/api/v1/task-executions"
        app = Starlette(
            routes=[
                Route(f"{base}/actions", self.actions, methods=["POST"]),
                Route(f"{base}/events", self.events),
                Route(f"{base}/{{id}}", self.get),
                Route(f"{base}/{{id}}/history", self.told),
                Route(f"{base}/{{id}}/rerun", self.rerun, methods=["POST"]),
            ]
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            server.should_exit = True
            thread.join()
            listener.close()

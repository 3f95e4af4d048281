"""A webhook on this machine, which takes, refuses or holds what is posted, as a test wants it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Webhook(ThreadingHTTPServer):
    """`taken` are the bodies that it answered with 200, or would have; `hold` is the number of the one that waits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[dict[str, Any]] = []
        self.refused = 0
        self.status = 200
        self.hold: int | None = None
        self.held = Event()
        self.released = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def ids(self) -> list[str]:
        return [body["id"] for body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Idempotency-Key"] == body["id"]
        status = self.server.status
        if status == 200:
            self.server.taken.append(body)
        else:
            self.server.refused += 1
        if len(self.server.taken) == self.server.hold:
            self.server.held.set()
            self.server.released.wait()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def a_webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        Thread(target=webhook.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield webhook
        finally:
            webhook.released.set()
            webhook.shutdown()

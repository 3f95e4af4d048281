"""Asks the API what a round holds for it, and checks every answer."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final

from tests.fuzz import answers, http
from tests.fuzz.ledger import Ledger
from tests.fuzz.round import Round

_HELD: Final = 12
_UNAVAILABLE: Final = 503
_MALFORMED_SECONDS: Final = 3.0


class Asking:
    """Asks the API at `address`; `codes` are the documented ones."""

    def __init__(self, address: tuple[str, int], codes: set[str], ledger: Ledger) -> None:
        self._address, self._codes, self._ledger, self._lock = address, codes, ledger, Lock()
        self.answered: Counter[str] = Counter()
        self.slowest = 0.0

    def ask(self, now: Round) -> None:
        """Everything in the round, beside connections that say nothing or not enough."""
        held = answers.hold_open(self._address, 0 if "malformed" in now.without else _HELD)
        try:
            with ThreadPoolExecutor(5) as pool:
                asked = [pool.submit(self._ask, now, call) for call in now.calls]
                asked += [pool.submit(self._babble, now, *wrong) for wrong in now.malformed]
                for future in asked:
                    future.result()
        finally:
            for connection in held:
                connection.close()

    def _ask(self, now: Round, call: http.Call) -> None:
        host = ":".join(map(str, self._address))
        method, request = http.build(call, now.run, host)
        self._check(now, f"{call}", method, request)
        if (
            method == "GET"
            and "minPosition" not in call.path
            and all(which != "query" for _, which, _ in call.mutations)
        ):
            self._compare_head(f"{call}", request)

    def _babble(self, now: Round, name: str, size: int) -> None:
        self._check(now, f"malformed: {name} ({size})", "GET", http.MALFORMED[name](size), patience=_MALFORMED_SECONDS)

    def _check(self, now: Round, what: str, method: str, request: bytes, *, patience: float | None = None) -> None:
        try:
            found, seconds = answers.timed(self._address, method, request, patience or answers.PATIENCE_SECONDS)
        except (OSError, ValueError) as error:
            self._ledger.blame("HTTP", f"{error!r} to round {now.number} {what}")
            return
        with self._lock:
            now.inputs["HTTP request"] += 1
            self.slowest = max(self.slowest, seconds)
            if not found and patience is None:
                self._ledger.blame("HTTP: no answer", f"after {seconds:.1f} s to round {now.number} {what}")
            for answer in found:
                self.answered[f"HTTP {answer.status}"] += 1
                if flaw := answers.flaw_of(answer, self._codes):
                    self._ledger.blame("HTTP", f"{flaw} to round {now.number} {what}")

    def _compare_head(self, what: str, request: bytes) -> None:
        told = [
            [(answer.status, answer.content_type) for answer in answers.timed(
                self._address, method, method.encode() + request.removeprefix(b"GET"), answers.PATIENCE_SECONDS
            )[0]]
            for method in ("GET", "HEAD", "GET")
        ]  # fmt: skip
        before, head, after = told  # what is asked for may come into being between them
        if head not in (before, after) and all(status != _UNAVAILABLE for status, _ in before + head + after):
            get = after
            self._ledger.blame("HTTP: HEAD is not as GET", f"{head}, not {get}, to {what}")

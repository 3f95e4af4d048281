"""A steady load on the whole service, from threads: commands at a rate, and queries of every kind meanwhile."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Final, Self

import httpx2

from bench.cluster import Cluster
from bench.workload import TASK, WINDOW, execution_id, lives
from service.contracts.topics import COMMANDS_TOPIC

QUERIES_PER_SECOND: Final = 5
_STATS: Final = "/task-execution-stats"
_LIST: Final = "/task-executions"
_ENDLESS: Final = 10**9


class Repeating:
    """A thread that works while the context is open; an error of it comes out of `check`."""

    def __init__(self, work: Callable[[Event], None]) -> None:
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, args=(work,))

    def _run(self, work: Callable[[Event], None]) -> None:
        try:
            work(self._stop)
        except BaseException as error:  # noqa: BLE001 - told by `check`
            self._error = error

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Load(Repeating):
    """Whole lives of executions, so many commands a second; `sent` so far, and in `times` when, by their ids."""

    def __init__(self, cluster: Cluster, rate: int, times: dict[str, float] | None = None) -> None:
        super().__init__(self._send)
        self.sent = 0
        self._rate, self._times = rate, times
        self._producer = cluster.producer(**{"enable.idempotence": True, "linger.ms": 5})

    def _send(self, stop: Event) -> None:
        began = time.monotonic()
        for written in lives(_ENDLESS):
            while (wait := began + self.sent / self._rate - time.monotonic()) > 0 and not stop.wait(wait):
                self._producer.poll(0)
            if stop.is_set():
                break
            if self._times is not None:
                (id_,) = (value for name, value in written.headers if name == "ce_id" and isinstance(value, bytes))
                self._times[id_.decode()] = time.time()
            self._producer.produce(COMMANDS_TOPIC, written.value, written.key, headers=written.headers)
            self._producer.poll(0)
            self.sent += 1
        self._producer.flush()


class Reader(Repeating):
    """All queries in turn; `asked` so many, and the `lag` of the last answer that gave one."""

    def __init__(self, url: str) -> None:
        super().__init__(self._ask)
        self.asked = self.lag = 0
        self._url = f"{url}/api/v1"

    def _ask(self, stop: Event) -> None:
        with httpx2.Client(base_url=self._url, trust_env=False, timeout=60) as client:
            while not stop.wait(1 / QUERIES_PER_SECOND):
                path, parameters = self._next()
                answer = client.get(path, params=parameters)
                if not path.startswith(f"{_LIST}/"):  # one that is not there yet is no error
                    answer.raise_for_status()
                    self.lag = answer.json().get("lag", self.lag)  # none before the first commit
                self.asked += 1

    def _next(self) -> tuple[str, dict[str, Any]]:
        one = execution_id(self.asked * WINDOW // 100, "cmd")
        kinds: list[tuple[str, dict[str, Any]]] = [
            (_LIST, {}), (_STATS, {"taskId": TASK["taskId"]}), (f"{_LIST}/{one}", {}), (_STATS, {}),
            (_LIST, {"status": "RUNNING", "pageSize": 100}), (f"{_LIST}/{one}/history", {}),
            (_LIST, {"taskId": TASK["taskId"], "status": "SUCCESS", "pageNumber": 50}),
        ]  # fmt: skip
        return kinds[self.asked % len(kinds)]

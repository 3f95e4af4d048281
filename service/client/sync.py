"""The client for programs without asyncio, and for notebooks: the same methods, which wait."""

import asyncio
import atexit
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from threading import Thread
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from service.client.executions import TIMEOUT
from service.client.executions import TaskExecutions as AsyncTaskExecutions
from service.kafka.connection import Kafka

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Items = Generator[Answer, None, None]

_END: Final = object()
_THREADS: Final = "task-executions"


class _Loop:
    """An event loop in a thread of its own. What it runs has the context of who asked: OpenTelemetry's too."""

    def __init__(self) -> None:
        self._loop, self._executor = asyncio.new_event_loop(), ThreadPoolExecutor(thread_name_prefix=_THREADS)
        self._loop.set_default_executor(self._executor)  # else nobody could end its threads when the program ends
        self._thread = Thread(target=self._loop.run_forever, name=_THREADS, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("The client was closed. Open a new one.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C in a notebook: nobody waits any more
            future.cancel()
            raise

    def iterate(self, items: AsyncGenerator[Answer, None]) -> Items[Answer]:
        async def following() -> Any:  # noqa: ANN401 - an item, or the end
            return await anext(items, _END)

        try:
            while (item := self.run(following())) is not _END:
                yield item
        finally:
            if not self._loop.is_closed():  # not waited for: who collects garbage may be the loop itself
                asyncio.run_coroutine_threadsafe(items.aclose(), self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._executor.shutdown()


def _waiting(
    method: Callable[Concatenate[AsyncTaskExecutions, Arguments], Coroutine[Any, Any, Answer]],
) -> Callable[Concatenate["TaskExecutions", Arguments], Answer]:
    @wraps(method)
    def call(self: "TaskExecutions", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[AsyncTaskExecutions, Arguments], AsyncGenerator[Answer, None]],
) -> Callable[Concatenate["TaskExecutions", Arguments], Items[Answer]]:
    @wraps(method)
    def call(self: "TaskExecutions", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Items[Answer]:
        return self._loop.iterate(method(self._client, *args, **kwargs))

    return call


class TaskExecutions:
    """As `service.client.TaskExecutions`, open at once. It is closed by `close`, by `with`, or when the program ends.

    Several threads may share one.
    """

    def __init__(self, client: AsyncTaskExecutions) -> None:
        self._client, self._loop = client, _Loop()
        try:
            self._loop.run(client.__aenter__())
        except BaseException:
            self._loop.close()
            raise
        self._is_open = True
        atexit.register(self.close)

    @classmethod
    def over_http(cls, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> Self:
        """See `service.client.TaskExecutions`."""
        return cls(AsyncTaskExecutions.over_http(url, headers=headers, timeout=timeout))

    @classmethod
    def over_kafka(
        cls,
        kafka: Kafka | str,
        source: str,
        *,
        url: str | None = None,
        own_replies: bool = True,
        timeout: float = TIMEOUT,
    ) -> Self:
        """See `service.client.TaskExecutions`; what that raises on entering is raised here."""
        made = AsyncTaskExecutions.over_kafka(kafka, source, url=url, own_replies=own_replies, timeout=timeout)
        return cls(made)

    def close(self) -> None:
        """Close the connections. It may be called twice."""
        if self._is_open:
            self._is_open = False
            atexit.unregister(self.close)
            try:
                self._loop.run(self._client.__aexit__(None, None, None))
            finally:
                self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    execute = _waiting(AsyncTaskExecutions.execute)
    rerun = _waiting(AsyncTaskExecutions.rerun)
    start = _waiting(AsyncTaskExecutions.start)
    heartbeat = _waiting(AsyncTaskExecutions.heartbeat)
    succeed = _waiting(AsyncTaskExecutions.succeed)
    fail = _waiting(AsyncTaskExecutions.fail)
    stop = _waiting(AsyncTaskExecutions.stop)
    skip = _waiting(AsyncTaskExecutions.skip)
    get = _waiting(AsyncTaskExecutions.get)
    stats = _waiting(AsyncTaskExecutions.stats)
    page = _waiting(AsyncTaskExecutions.page)
    list = _iterating(AsyncTaskExecutions.list)
    watch = _iterating(AsyncTaskExecutions.watch)

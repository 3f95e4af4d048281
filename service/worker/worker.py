"""A worker: takes executions as it has room for them, runs them, and lets them end when it is stopped."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from service.contracts.executions import TaskExecution
from service.ports.claims import MAX_TASKS, ClaimTaskExecution
from service.sealing import KeyRing
from service.worker.calling import Function
from service.worker.executing import Executing, Lease
from service.worker.service import HttpService, Service, UnreachableError
from service.worker.tasks import Task
from service.worker.watching import watch

log = structlog.get_logger(__name__)

AnyFunction = TypeVar("AnyFunction", bound=Function)

_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_WAIT_SECONDS: Final = 20.0
_WITHDRAW_SECONDS: Final = 5.0
_REPORT_SECONDS: Final = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Worker:
    """Runs the tasks that functions are registered for.

    Args:
        url: where the service's HTTP API is; http://127.0.0.1:8080 if nobody says otherwise.
        concurrency: how many executions run at once.
        lease: how long the service hears nothing of a run before it takes it for lost, and the next attempt begins.
            It is told three times as often that the run goes on.
        drain: how long runs may go on when the worker is to stop; then they are cancelled, and fail.
        name: who this worker is to those who look at executions; the host's name if not given.
        keys: open sealed inputs (see the documentation of sensitive variables).

    Raises:
        ValueError: a number makes no sense.
    """

    def __init__(  # noqa: PLR0913 - what can be chosen; all but the first by name
        self,
        url: str | None = None,
        *,
        concurrency: int = 1,
        lease: timedelta = timedelta(seconds=30),
        drain: timedelta = timedelta(seconds=20),
        name: str | None = None,
        keys: KeyRing | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency}")
        self.url, self._concurrency, self._drain, self._keys = url, concurrency, drain, keys
        owner = f"{name or socket.gethostname()}/{os.getpid()}-{secrets.token_hex(3)}"
        self._lease = Lease(owner, lease)
        self._claim = ClaimTaskExecution(owner=owner, lease=lease, tasks=())
        self._tasks: list[Task] = []
        self._stopping = asyncio.Event()
        self._running: dict[Executing, asyncio.Task[None]] = {}

    @property
    def address(self) -> str:
        """Where the service is: `url`, or this machine."""
        return self.url or _DEFAULT_URL

    def task(
        self, task_id: str, *, version: str | None = None, process: bool = False
    ) -> Callable[[AnyFunction], AnyFunction]:
        """Register a function `(inputs, run) -> outputs` for a task, in a range of versions as npm has them (`>=1.2`).

        An asynchronous function runs in the worker's event loop, any other one in a thread; with `process`, in a
        process of its own, which is killed when the execution is stopped. What it raises is how the execution failed.

        Raises:
            ValueError: there can be no such task or range.
        """

        def register(function: AnyFunction) -> AnyFunction:
            if len(self._tasks) == MAX_TASKS:
                raise ValueError(f"a worker has at most {MAX_TASKS} tasks")
            self._tasks.append(Task.of(function, task_id, version, process=process))
            return function

        return register

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then take nothing new, and return when all that runs has ended.

        Raises:
            RefusedError: the service does not want this worker's claims.
        """

        async def until_told() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
            async with HttpService(self.address) as service:
                await self.serve(service)

        asyncio.run(until_told())

    def stop(self) -> None:
        """Take nothing new; told again: end what runs."""
        if self._stopping.is_set():
            self._end_runs()
        self._stopping.set()

    async def serve(self, service: Service) -> None:
        """As `run`, with this service, until `stop` is called."""
        if not self._tasks:
            raise ValueError("the worker has no task: register a function with @worker.task")
        names = sorted({task.wanted.task_id for task in self._tasks})
        log.info("worker_started", owner=self._lease.owner, url=self.address, tasks=names)
        stopping = asyncio.create_task(self._stopping.wait())
        watching = asyncio.create_task(watch(service, self._running))
        try:
            while not stopping.done():
                if len(self._running) == self._concurrency:
                    await asyncio.wait([stopping, *self._running.values()], return_when=asyncio.FIRST_COMPLETED)
                elif execution := await self._next(service, stopping):
                    self._begin(service, execution)
        finally:
            stopping.cancel()
            await self._let_end()
            watching.cancel()
            log.info("worker_stopped", owner=self._lease.owner)

    async def _next(self, service: Service, stopping: asyncio.Task[object]) -> TaskExecution | None:
        """An execution to run; None if there was none in time, or none is wanted any more."""
        asking = asyncio.create_task(self._ask(service))
        try:
            await asyncio.wait([asking, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                # To hang up could leave to its lease what is being claimed for us just now.
                async with asyncio.timeout(_WITHDRAW_SECONDS):
                    await service.claim(self._claim)
                    await asyncio.wait([asking])
            return asking.result()
        except (UnreachableError, TimeoutError):
            return None
        finally:
            asking.cancel()

    async def _ask(self, service: Service) -> TaskExecution | None:
        tasks = tuple({task.wanted: None for task in self._tasks})
        wanted = self._claim.model_copy(update={"tasks": tasks, "wait": _WAIT_SECONDS})
        pause = _FIRST_PAUSE
        while True:
            try:
                found = await service.claim(wanted)
            except UnreachableError as error:
                if pause == _FIRST_PAUSE:
                    log.warning("service_unreachable", url=self.address, error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                if pause != _FIRST_PAUSE:
                    log.info("service_reachable", url=self.address)
                return found

    def _begin(self, service: Service, execution: TaskExecution) -> None:
        task = next(task for task in self._tasks if task.takes(execution))
        executing = Executing(service, self._lease, execution, self._keys)
        running = asyncio.create_task(executing.run(task.function, task.call), name=execution.id)
        self._running[executing] = running
        running.add_done_callback(lambda ended: self._ended(executing, ended))

    def _ended(self, executing: Executing, ended: asyncio.Task[None]) -> None:
        del self._running[executing]
        if not ended.cancelled() and (error := ended.exception()):
            log.error("run_not_reported", execution_id=ended.get_name(), exc_info=error)

    async def _let_end(self) -> None:
        if not self._running:
            return
        log.info("worker_draining", runs=len(self._running), seconds=self._drain.total_seconds())
        _, late = await asyncio.wait(self._running.values(), timeout=self._drain.total_seconds())
        self._end_runs()
        if late:
            await asyncio.wait(late, timeout=_REPORT_SECONDS)

    def _end_runs(self) -> None:
        for executing in self._running:
            executing.drain()

"""One execution that this worker has claimed, from its claim until the service knows how it ended."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from service.contracts.commands import FailTaskExecution, HeartbeatTaskExecution, SucceedTaskExecution
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code
from service.sealing import KeyRing, SealedValueError
from service.worker.calling import Call, Ended, Function, Raised, Returned
from service.worker.run import Progress, Run
from service.worker.service import RefusedError, Report, Service

log = structlog.get_logger(__name__)

_TRUSTED: Final = 0.9
"""So much of its lease a worker relies on: its clock, and how long a cancelled run takes, are not exact."""

_BEATS: Final = 3
"""So often the service hears of a run within its lease."""

_PROGRESS_SECONDS: Final = 2.0
"""Progress is told no more often."""

_CANCEL_SECONDS: Final = 5.0
"""So long a cancelled coroutine may take before it is left alone."""

_NOT_OURS: Final = frozenset({Code.INVALID_TRANSITION, Code.NOT_OWNER, Code.EXECUTION_NOT_FOUND})
"""The service has ended the run already: it was stopped, or took us for lost."""


@dataclass(frozen=True, slots=True)
class Lease:
    """How a worker keeps what it has claimed: its name, and how long it may be silent."""

    owner: str
    length: timedelta


class _EndedElsewhereError(Exception):
    """Nobody wants the result any more; why."""


class Executing:
    """Runs one execution.

    The run is cancelled when the service says that it has ended it, and before the lease ends if the service does not
    answer: then another attempt may begin elsewhere.
    """

    def __init__(self, service: Service, lease: Lease, execution: TaskExecution, keys: KeyRing | None) -> None:
        self._service, self._lease, self._execution, self._keys = service, lease, execution, keys
        self._log = log.bind(execution_id=execution.id, task_id=execution.task_id)
        self._untold = Progress()
        self._heard = asyncio.get_running_loop().time()
        self._draining = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def execution_id(self) -> str:
        """Which one it is."""
        return self._execution.id

    def drain(self) -> None:
        """End the run now: it fails, as its worker is stopped."""
        self._draining.set()

    def over(self) -> None:
        """End the run now: the service says that the execution has ended."""
        self._over.set()

    async def run(self, function: Function, call: Call) -> None:
        """Call the function, and report how it ended. Returns when the service knows, or has ended it itself."""
        self._log.info("run_started", version=self._execution.task_version, attempt=self._execution.attempt or 1)
        try:
            ended = await self._ended(function, call)
            async with asyncio.timeout_at(self._limit):
                await self._report(await self._told(ended))
        except _EndedElsewhereError as error:
            self._log.warning("run_cancelled", why=str(error))
        except TimeoutError:
            self._log.warning("run_lost", why="the service did not answer until the lease ended")
        except RefusedError as error:
            if error.code not in _NOT_OURS:
                raise
            self._log.warning("result_dropped", why=error.detail)

    @property
    def _limit(self) -> float:
        """Until then, nobody else can have begun another attempt."""
        return self._heard + self._lease.length.total_seconds() * _TRUSTED

    async def _ended(self, function: Function, call: Call) -> Ended:
        """How the call ended, if it matters to anybody."""
        run = Run(self._execution, self._take_progress)
        try:
            inputs = self._opened(self._execution.resolved_inputs or {})
        except SealedValueError as error:
            return Raised(str(error))
        calling = asyncio.ensure_future(call(function, inputs, run))
        keeping = asyncio.create_task(self._keep())
        told = [asyncio.create_task(event.wait()) for event in (self._draining, self._over)]
        ends: list[asyncio.Future[Any]] = [calling, keeping, *told]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return calling.result()
            if keeping.done():
                return keeping.result()
            if self._over.is_set():
                raise _EndedElsewhereError("the execution has ended: it was stopped, or took too long")
            return Raised("worker stopped")
        finally:
            for one in ends:
                one.cancel()
            await asyncio.wait(ends, timeout=_CANCEL_SECONDS)
            if not calling.done():
                self._log.warning("run_goes_on", why="it does not let itself be cancelled; what it gives is dropped")

    async def _keep(self) -> Raised:
        """Keep the lease until cancelled, or until it is refused what the run tells of itself.

        Raises:
            _EndedElsewhereError: the run is not ours any more, or may not be for long.
        """
        seconds = self._lease.length.total_seconds() / _BEATS
        while True:
            beat_at = self._heard + seconds
            while (left := beat_at - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(min(left, _PROGRESS_SECONDS))
                if self._untold != Progress():
                    break
            try:
                async with asyncio.timeout_at(self._limit):
                    await self._beat()
            except TimeoutError:
                raise _EndedElsewhereError("the service does not answer, and the lease ends soon") from None
            except RefusedError as error:
                if error.code not in _NOT_OURS:
                    return Raised(f"What the run told was refused: {error.detail}")
                raise _EndedElsewhereError(error.detail) from None

    async def _beat(self) -> None:
        """Tell that the run goes on, and what it told of itself."""
        told = self._untold
        beat = HeartbeatTaskExecution(
            execution_id=self._execution.id, owner=self._lease.owner, progress=told.done, message=told.message,
            spark_application_id=told.spark_application_id,
        )  # fmt: skip
        sent = asyncio.get_running_loop().time()
        await self._service.report(beat)
        self._heard = sent
        if self._untold is told:
            self._untold = Progress()

    async def _told(self, ended: Ended) -> Ended:
        """How it ended, once its Spark application is known: it may have been quicker than the next heartbeat."""
        if self._untold.spark_application_id is None:
            return ended
        try:
            await self._beat()
        except RefusedError as error:
            if error.code in _NOT_OURS:
                raise
            return Raised(f"What the run told was refused: {error.detail}")
        return ended

    async def _report(self, ended: Ended) -> None:
        match ended:
            case Returned(value):
                outputs = {} if value is None else value
                if not isinstance(outputs, dict):
                    await self._fail(f"The function returned no object of outputs, but {type(outputs).__name__}.")
                    return
                try:
                    await self._service.report(self._succeeded(outputs))
                    self._log.info("run_succeeded")
                except RefusedError as error:
                    if error.code in _NOT_OURS:
                        raise
                    await self._fail(f"The outputs were refused: {error.detail}")
                except ValueError as error:
                    await self._fail(f"The outputs cannot be written as JSON: {error}")
            case Raised(text):
                await self._fail(text)

    def _succeeded(self, outputs: dict[str, Any]) -> Report:
        return SucceedTaskExecution(execution_id=self._execution.id, outputs=outputs, owner=self._lease.owner)

    async def _fail(self, text: str) -> None:
        await self._service.report(
            FailTaskExecution(execution_id=self._execution.id, error_message=text, owner=self._lease.owner)
        )
        self._log.info("run_failed", why=text.partition("\n")[0])

    def _take_progress(self, progress: Progress) -> None:
        self._untold = self._untold.then(progress)

    def _opened(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs, the sealed ones opened if there are keys.

        Raises:
            SealedValueError: one cannot be opened.
        """
        if self._keys is None:
            return dict(inputs)
        return {name: self._open(name, value) for name, value in inputs.items()}

    def _open(self, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON is any
        assert self._keys is not None  # noqa: S101 - see _opened
        match value:
            case {"sealed": str() | None} if len(value) == 1:
                try:
                    return self._keys.open(value)
                except SealedValueError as error:
                    raise SealedValueError(f"The input {name} cannot be opened: {error}") from None
            case _:
                return value
